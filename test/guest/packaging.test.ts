/**
 * The units and the snippet are what systemd and cloud-init take, and name commands that exist.
 */

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import { GUEST_COMMANDS } from "../../src/guest/commands/index.ts";
import { parse } from "../../src/guest/parse.ts";

const FOLDER = join(import.meta.dirname, "../../packaging/guest");
const UNITS = readdirSync(FOLDER).filter((name) => /\.(service|timer)$/.test(name));
const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;
const hasCloudInit = spawnSync("cloud-init", ["--version"]).status === 0;

test.skipIf(!hasSystemd)("systemd takes the units without a word", () => {
  const scratch = mkdtempSync(join(tmpdir(), "fd-units-"));
  try {
    // The program need not be installed here: any that exists will do for the check.
    for (const name of UNITS) {
      const text = readFileSync(join(FOLDER, name), "utf8");
      writeFileSync(
        join(scratch, name),
        text.replace("/usr/local/bin/frontdesk-guest", "/bin/true"),
      );
    }
    const { status, stdout, stderr } = spawnSync(
      "systemd-analyze",
      ["verify", "--man=no", ...UNITS.map((name) => join(scratch, name))],
      { encoding: "utf8" },
    );
    const ours = `${stdout}${stderr}`.split("\n").filter((line) => line.includes("frontdesk"));
    expect([status, ours]).toEqual([0, []]);
  } finally {
    rmSync(scratch, { recursive: true });
  }
});

test("the units start commands that exist, with options that exist", async () => {
  const lines = UNITS.flatMap((name) => readFileSync(join(FOLDER, name), "utf8").split("\n"));
  const starts = lines.filter((line) => line.startsWith("ExecStart="));
  expect(starts.length).toBeGreaterThan(1);
  for (const line of starts) {
    const [, name = "", ...args] = line.replace("ExecStart=", "").split(" ");
    const command = (await GUEST_COMMANDS.find((one) => one.name === name)?.load())?.[name];
    expect(command, line).toBeDefined();
    if (command !== undefined) expect(parse(args, command, {})).toBeObject();
  }
});

test("the snippet is cloud-config that runs programs without a shell", () => {
  const text = readFileSync(join(FOLDER, "cloud-init.yaml"), "utf8");
  expect(text).toStartWith("#cloud-config\n");
  const { runcmd } = parseYaml(text) as { runcmd: string[][] };
  for (const line of runcmd) for (const word of line) expect(word).toBeString();
  expect(runcmd.flat()).toContain("frontdesk-guest-cache.service");
});

test.skipIf(!hasCloudInit)("cloud-init takes the snippet", () => {
  const scratch = mkdtempSync(join(tmpdir(), "fd-cloud-"));
  try {
    const path = join(scratch, "user-data");
    copyFileSync(join(FOLDER, "cloud-init.yaml"), path);
    const { status, stderr } = spawnSync("cloud-init", ["schema", "--config-file", path], {
      encoding: "utf8",
    });
    expect([status, stderr]).toEqual([0, ""]);
  } finally {
    rmSync(scratch, { recursive: true });
  }
});
