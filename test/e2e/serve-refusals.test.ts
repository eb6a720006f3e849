/**
 * `frontdesk serve` that cannot start: it says why in one line that names what to do, greets
 * nobody, and ends. What it serves when it can is in `serve.test.ts`.
 */

import { expect, test } from "bun:test";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { openFolder } from "./leftovers.ts";
import { type Done, run, start } from "./program.ts";
import { frontdesk } from "./router.ts";

const API = "127.0.0.1:19823";
const ADDRESSES = ["--listen", "127.0.0.1:19821", "--password-listen", "127.0.0.1:19822"];
const FAILED = 1;
const USAGE = 2;

async function serve(folder: string, ...more: readonly string[]): Promise<Done> {
  const { argv, env } = frontdesk("bun", ["serve", "--state-dir", join(folder, "s"), ...more]);
  return run(argv, { env });
}

/** What people read; the log is for programs. */
function words({ code, stderr }: Done): string {
  return `${code} ${stderr}`;
}

test("an address of the APIs that another program has is named with it, and it ends", async () => {
  using folder = openFolder("serve-taken");
  const other = createServer();
  other.listen(19_823, "127.0.0.1");
  await once(other, "listening");
  try {
    const done = await serve(folder.path, ...ADDRESSES, "--api-listen", API);
    const who = `process ${process.pid} (`;
    expect(words(done)).toStartWith(
      `${FAILED} frontdesk: the API's address ${API} is held by ${who}`,
    );
    expect(done.stderr.trim().split("\n")).toHaveLength(1);
  } finally {
    other.close();
  }
});

test("another source or store in its configuration is refused, with its line", async () => {
  using folder = openFolder("serve-source");
  const file = join(folder.path, "frontdesk.yaml");
  const check = async (text: string, why: string): Promise<void> => {
    writeFileSync(file, text);
    const done = await serve(folder.path, "--config", file, ...ADDRESSES, "--api-listen", API);
    expect(words(done)).toStartWith(`${USAGE} frontdesk: ${file}:${why}`);
  };
  await check(
    "logLevel: warn\nsource: file:lab.yaml\n",
    "2: source: serve takes controller.source",
  );
  const own = "serve has a store of its own";
  await check("store: sqlite:other.sqlite\n", `1: store: ${own}`);
  await check("controller:\n  store: sqlite:other.sqlite\n", `2: controller.store: ${own}`);
});

test("keys that are missing are named with both ways to give them, before a greeting", async () => {
  using folder = openFolder("serve-keys");
  const cloud = ["--source", "cloudstack:http://127.0.0.1:1"];
  const done = await serve(folder.path, ...cloud, ...ADDRESSES, "--api-listen", API);
  expect(words(done)).toBe(
    `${USAGE} frontdesk: FRONTDESK_API_KEY in the environment is missing or empty: set it, or ` +
      "name a file with --credentials-file FILE; try: frontdesk serve --help\n",
  );
});

test("the greeting comes when the APIs answer", async () => {
  using folder = openFolder("serve-greeting");
  const args = ["serve", "--state-dir", join(folder.path, "s"), ...ADDRESSES, "--api-listen", API];
  const { argv, env } = frontdesk("bun", args);
  await using program = start(argv, { env });
  await program.says(/the APIs are at/);
  expect(program.output()).toContain(`http://${API}/v1 and http://${API}/client/api`);
  expect((await fetch(`http://${API}/openapi.json`)).status).toBe(200);
});
