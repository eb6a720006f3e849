import { expect, test } from "bun:test";
import { type Command, EXIT } from "./command.ts";
import { complete, describe, readWords } from "./completion.ts";

const serve: Command = {
  arguments: [{ name: "<file...>", summary: "files" }],
  options: [
    { flags: "--mode <mode>", summary: "how", choices: ["fast", "fair"] },
    { flags: "--mac-check", summary: "check it" },
  ],
  examples: [],
  run: async () => EXIT.done,
};
const lab: Command = {
  examples: [],
  commands: [{ name: "serve", summary: "in a lab", load: async () => ({ serve }) }],
};
const entries = [
  { name: "serve", summary: "answer", load: async () => ({ serve }) },
  { name: "lab", summary: "labs", load: async () => ({ lab }) },
  { name: "label", summary: "begins as another", load: async () => ({ label: serve }) },
  { name: "broken", summary: "never loaded", load: () => Promise.reject(new Error("loaded")) },
  { name: "secret", summary: "not shown", hidden: true, load: async () => ({ secret: serve }) },
];

async function check(words: readonly string[], expected: readonly string[]): Promise<void> {
  const asked = await readWords(entries, words);
  const lines = complete(await describe(entries, asked), asked);
  expect(lines.map((line) => line.split("\t")[0] ?? "")).toEqual([...expected]);
}

test("commands are completed, those of a group too, hidden ones not", async () => {
  await check([""], ["serve", "lab", "label", "broken", "help", ":4"]);
  await check(["la"], ["lab", "label", ":4"]);
  await check(["lab"], ["lab", "label", ":4"]);
  await check(["labe"], ["label", ":4"]);
  await check(["lab", "s"], ["serve", ":4"]);
  await check(["label", "--m"], ["--mode", "--mac-check", ":4"]);
  await check(["lab", ""], ["serve", ":4"]);
});

test("options are completed, and their values where these are known", async () => {
  await check(["serve", "--m"], ["--mode", "--mac-check", ":4"]);
  await check(["lab", "serve", "--mo"], ["--mode", ":4"]);
  await check(["serve", "--mode", ""], ["fast", "fair", ":4"]);
  await check(["serve", "--mode", "fas"], ["fast", ":4"]);
  await check(["serve", "--nothing"], [":4"]);
});

test("behind help only names of commands are offered", async () => {
  await check(["help", ""], ["serve", "lab", "label", "broken", ":4"]);
  await check(["help", "ser"], ["serve", ":4"]);
  await check(["help", "lab", ""], ["serve", ":4"]);
  await check(["lab", "help", ""], ["serve", ":4"]);
  await check(["help", "serve", ""], [":4"]);
  await check(["help", "serve", "--m"], [":4"]);
  // A file of that name.
  await check(["serve", "help", ""], [":0"]);
});

test("where nothing is known the shell completes file names", async () => {
  await check(["serve", ""], [":0"]);
  await check(["serve", "dir/fi"], [":0"]);
});
