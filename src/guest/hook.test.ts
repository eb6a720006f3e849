import { expect, test } from "bun:test";
import { ExecError } from "../model/errors.ts";
import type { Exec } from "../platform/exec.ts";
import { openHook } from "./hook.ts";

const { signal } = new AbortController();

test("what changes while it runs is one more run afterwards, with all names", async () => {
  const runs: (string | undefined)[] = [];
  let finish = (): void => {};
  const hook = open((_, options) => {
    runs.push(options?.env?.FRONTDESK_CHANGED);
    return new Promise((resolve) => {
      finish = () => resolve({ code: 0, stdout: "", stderr: "" });
    });
  });
  hook.changed(["a"], signal);
  hook.changed(["b"], signal);
  hook.changed(["c", "b"], signal);
  expect(runs).toEqual(["a"]);
  finish();
  await tick();
  expect(runs).toEqual(["a", "b c"]);
  finish();
  await hook.settled();
  hook.changed(["d"], signal);
  finish();
  await hook.settled();
  expect(runs).toEqual(["a", "b c", "d"]);
});

test("names beyond what an environment holds are a star", async () => {
  let changed: string | undefined;
  const hook = open(async (_, options) => {
    changed = options?.env?.FRONTDESK_CHANGED;
    return { code: 0, stdout: "", stderr: "" };
  });
  hook.changed(
    Array.from({ length: 1_000 }, (_, i) => `${"k".repeat(100)}${i}`),
    signal,
  );
  await hook.settled();
  expect(changed).toBe("*");
});

test("one that fails, or is not there, is told of and ends nothing", async () => {
  const notes: string[] = [];
  const failing = open(async () => ({ code: 3, stdout: "out\n", stderr: "err\n" }), notes);
  failing.changed(["a"], signal);
  await failing.settled();
  const missing = open(
    () => Promise.reject(new ExecError("PROGRAM_MISSING", "x cannot be started")),
    notes,
  );
  missing.changed(["a"], signal);
  await missing.settled();
  expect(notes).toEqual([
    "out",
    "err",
    "frontdesk: hook ended with 3",
    "frontdesk: x cannot be started",
  ]);
});

test("words are split at spaces, and nothing of a shell is taken", () => {
  const note = (): void => {};
  for (const command of [
    "",
    "  ",
    "a; b",
    "a $(b)",
    "a `b`",
    "a | b",
    "a 'b c'",
    "a > b",
    "a && b",
  ]) {
    expect(() => openHook({ command, path: "/x", note }), command).toThrow("--on-change");
  }
});

function open(exec: Exec, notes: string[] = []) {
  return openHook({
    command: "hook  with words",
    path: "/x",
    note: (line) => notes.push(line),
    exec,
  });
}

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}
