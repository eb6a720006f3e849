/**
 * Every request that was recorded at CloudStack's own router, replayed.
 *
 * Goal: a guest sees no difference but those that the documentation gives a reason for.
 * Method: the real curl with the recorded arguments, from the recorded address; what differs is
 * compared with docs/differences.md, in both directions.
 */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeDatabags } from "../e2e/databags.ts";
import { hasTool } from "../e2e/lab.ts";
import { scratchFolder } from "../e2e/leftovers.ts";
import { freePort, loopbackMissing } from "../e2e/loopback.ts";
import { ok } from "../e2e/program.ts";
import { RIMS, type Rim, startRouter } from "../e2e/router.ts";
import { compare, differences, parseListed } from "./differences.ts";
import { RECORDED } from "./instances.ts";
import { parseRecordings, parseReply, type RawReply, type Recorded } from "./recording.ts";

const ROOT = join(import.meta.dirname, "../..");
const ROUTER = RECORDED.router;
const TOKEN = "0123456789abcdef0123456789abcdef";
const TEST_MS_MAX = 60_000;
/** How many requests each file holds: none may get lost in the reading. */
const RECORDINGS = [
  { file: "http-golden.txt", count: 50, name: "", plane: "metadata" },
  { file: "password-golden.txt", count: 12, name: ":8080", plane: "password" },
] as const;

const lacking = loopbackMissing() ?? (hasTool("curl") ? undefined : "curl is not installed");

test("every block of the recordings is read", () => {
  for (const recording of RECORDINGS) expect(read(recording)).toHaveLength(recording.count);
  const names = RECORDINGS.flatMap((recording) => read(recording).map(({ name }) => name));
  expect(names).toContain("127.0.0.2 GET /latest/meta-data/public-keys/");
  expect(names).toContain("127.0.0.2 HEAD /latest/user-data");
  expect(names).toContain("127.0.0.2 POST /latest/user-data");
  expect(names).toContain("127.0.0.2 GET /latest/user-data (Range: bytes=0-4)");
  expect(names).toContain("127.0.0.2 GET :8080/any/path (domu_request: send_my_password)");
});

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `the ${rim} rim differs from CloudStack's router where docs/differences.md says so`,
    () => replay(rim),
    TEST_MS_MAX,
  );
}

async function replay(rim: Rim): Promise<void> {
  using folder = scratchFolder("golden");
  const databags = join(folder.path, "databags");
  const tokenFile = join(folder.path, "token");
  writeDatabags(databags, RECORDED);
  writeFileSync(tokenFile, TOKEN, { mode: 0o600 });
  const ports = { metadata: await freePort(ROUTER), password: await freePort(ROUTER) };
  await using _router = await startRouter({
    rim,
    source: `databag:${databags}`,
    listen: [`${ROUTER}:${ports.metadata}`],
    passwordListen: [`${ROUTER}:${ports.password}`],
    stateDir: join(folder.path, "state"),
    more: ["--password-token-file", tokenFile],
  });
  const found = new Map<string, Set<string>>();
  for (const recording of RECORDINGS) {
    for (const recorded of read(recording)) {
      const seen = differences(recorded.reply, await ask(recorded, ports[recording.plane]));
      if (seen.length === 0) continue;
      const before = found.get(recorded.name) ?? new Set();
      found.set(recorded.name, new Set([...before, ...seen]));
    }
  }
  const listed = parseListed(readFileSync(join(ROOT, "docs/differences.md"), "utf8"), rim);
  expect(compare(found, listed)).toEqual({ unlisted: [], unfound: [] });
}

/** Sends what was recorded, by curl as it was recorded. */
async function ask(recorded: Recorded, port: number): Promise<RawReply> {
  const args = recorded.args.map((arg) =>
    arg.replace(/^http:\/\/127\.0\.0\.1:\d+/, `http://127.0.0.1:${port}`).replace("<TOKEN>", TOKEN),
  );
  const curl = [
    "curl",
    "-q",
    "--silent",
    "--include",
    "--max-time",
    "10",
    "--noproxy",
    "*",
    "--path-as-is",
  ];
  return parseReply(await ok([...curl, "--interface", recorded.from, ...args]));
}

function read({ file, name }: (typeof RECORDINGS)[number]): readonly Recorded[] {
  return parseRecordings(readFileSync(join(ROOT, "fixtures/cloudstack", file), "utf8"), name);
}
