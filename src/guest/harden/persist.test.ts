/** The units: what they start, that systemd takes them, and that they go without a trace. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec } from "../../platform/exec.ts";
import { endpointAt } from "../endpoint.ts";
import { harden } from "./harden.ts";
import { readHardenOptions } from "./options.ts";
import type { HardenPorts } from "./ports.ts";
import { type Given, optionValues, playedExec, testPorts, willingNft } from "./testing.ts";

const SERVICE = "/etc/systemd/system/frontdesk-guest-harden.service";
const PROGRAM = "/usr/local/bin/frontdesk";

const hasSystemd = spawnSync("systemctl", ["--version"]).status === 0;
const isRoot = process.getuid?.() === 0;
const lacking = !isRoot ? "units need root" : hasSystemd ? undefined : "systemd is not installed";
if (lacking !== undefined) console.warn(`skipped: ${lacking}`);
const it = test.skipIf(lacking !== undefined);

let root: string;
beforeEach(() => {
  // Below a folder that others may write to nothing counts as safe, but the root is our `/`.
  root = mkdtempSync(join(tmpdir(), "fd-persist-"));
  chmodSync(root, 0o755);
  mkdirSync(join(root, "usr/local/bin"), { recursive: true, mode: 0o755 });
  mkdirSync(join(root, "etc/systemd/system"), { recursive: true });
  writeFileSync(join(root, PROGRAM), "#!/bin/sh\n", { mode: 0o755 });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

it("the units are written and enabled once, and removal leaves no trace", async () => {
  const before = tree();
  const words = { allow: ["33"], persist: true };
  expect((await run({ ...words, apply: true })).changed).toBe(true);
  const links = tree().filter((path) => path.includes(".wants/"));
  expect(links).toEqual([
    "etc/systemd/system/multi-user.target.wants/frontdesk-guest-harden.path",
    "etc/systemd/system/multi-user.target.wants/frontdesk-guest-harden.service",
    "etc/systemd/system/timers.target.wants/frontdesk-guest-harden.timer",
  ]);
  expect((await run({ ...words, apply: true })).files.map(({ action }) => action)).toEqual([
    "keep",
    "keep",
    "keep",
  ]);
  await run({ remove: true });
  expect(tree()).toEqual(before);
});

it("the service says what was said, with the addresses of now", async () => {
  const words = { allow: ["root", "33"], endpoint: ["http://10.1.1.1:8775"], persist: true };
  const { files } = await run(words);
  const service = files.find(({ path }) => path === SERVICE)?.text ?? "";
  expect(/^ExecStart=(.*)$/m.exec(service)?.[1]?.split(" ")).toEqual([
    ...[PROGRAM, "guest", "harden", "--apply", "--skip-unknown", "--allow", "root"],
    ...["--allow", "33", "--endpoint", "10.1.1.1", "--endpoint", "10.1.1.9"],
    ...["--endpoint", "169.254.169.254", "--endpoint", "fd00:ec2::254"],
    ...["--endpoint", "fe80::a9fe:a9fe", "--endpoint", "http://10.1.1.1:8775"],
  ]);
});

it("a program that others could exchange is not started as root at each boot", async () => {
  for (const [path, mode] of [
    [PROGRAM, 0o775],
    ["/usr/local", 0o777],
  ] as const) {
    chmodSync(join(root, path), mode);
    expect(await refusal()).toContain(`${path} could be changed by others`);
    chmodSync(join(root, path), 0o755);
  }
  rmSync(join(root, PROGRAM));
  expect(await refusal()).toContain(`${PROGRAM} is not there`);
  expect(await refusal(["/opt/a b/frontdesk"])).toContain('cannot start "/opt/a b/frontdesk"');
});

it("rules that the units would soon undo are told", async () => {
  await run({ allow: ["33"], persist: true, apply: true });
  const text = "units of an earlier --persist let others ask";
  const notes = async (given: Given): Promise<string> => (await run(given)).notes.join();
  expect(await notes({ allow: ["34"], apply: true })).toContain(text);
  expect(await notes({ allow: ["33"], "allow-group": ["9"] })).toContain(text);
  expect(await notes({ allow: ["33"], apply: true })).not.toContain(text);
  expect(await notes({ allow: ["34"], apply: true, persist: true })).not.toContain(text);
});

it("systemd takes the units", async () => {
  await run({ allow: ["33"], persist: true, apply: true });
  const units = globSync("etc/systemd/system/frontdesk-*", { cwd: root });
  expect(units).toHaveLength(3);
  const verify = ["verify", "--man=no", ...units.map((unit) => join(root, unit))];
  const done = spawnSync("systemd-analyze", verify, { encoding: "utf8" });
  // The program of the test's folder is not at its place on this machine.
  const words = done.stderr.split("\n").filter((line) => line.includes("frontdesk-guest-harden"));
  expect(words.filter((line) => !line.includes(`${PROGRAM} is not executable`))).toEqual([]);
});

function portsOf(self: readonly string[] = [PROGRAM, "guest", "harden"]): HardenPorts {
  const found = [endpointAt("10.1.1.9", { via: "gateway" })];
  const played = playedExec([], willingNft);
  // systemctl is the real one, on the test's folder.
  const either: typeof exec = (argv, options) =>
    argv[0] === "systemctl" ? exec(argv, options) : played(argv, options);
  return { ...testPorts({ exec: either, root, found }), self };
}

function run(given: Given): ReturnType<typeof harden> {
  return harden(readHardenOptions(optionValues(given)), portsOf());
}

async function refusal(self?: readonly string[]): Promise<string> {
  const options = readHardenOptions(optionValues({ persist: true, apply: true }));
  return harden(options, portsOf(self)).then(
    () => "",
    (error) => error.message,
  );
}

/** Files and links; systemctl leaves empty folders. */
function tree(): string[] {
  return globSync("**/*", { cwd: root })
    .filter((path) => !lstatSync(join(root, path)).isDirectory())
    .sort();
}
