/**
 * What packaging/README.md says to type installs what it says, and takes all of it away again.
 *
 * Its blocks are run as they stand, with another folder in place of the file system's root and
 * without systemd.
 */

import { afterAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = mkdtempSync(join(tmpdir(), "frontdesk-packaging-"));
afterAll(() => rmSync(ROOT, { recursive: true }));

const SYSTEM = "etc/systemd/system";

test("what is installed on a router is removed without a trace, and nothing else", () => {
  const copied = join(ROOT, "copied");
  for (const folder of ["usr/local/bin", "usr/local/lib", "var/lib/frontdesk", "copied/dist"]) {
    mkdirSync(join(ROOT, folder), { recursive: true });
  }
  cpSync("packaging", join(copied, "packaging"), { recursive: true });
  writeFileSync(join(copied, "dist/frontdesk"), "");
  mkdirSync(join(ROOT, SYSTEM, "apache2.service.d"), { recursive: true });
  writeFileSync(join(ROOT, SYSTEM, "apache2.service.d/other.conf"), "");
  const before = files();

  type("install -m 0755 dist/frontdesk", copied);
  const installed = [
    `${SYSTEM}/apache2.service.d/frontdesk.conf`,
    `${SYSTEM}/cloud-password-server@.service.d/frontdesk.conf`,
    `${SYSTEM}/frontdesk-router.service`,
    "usr/local/bin/frontdesk",
  ];
  expect(files()).toEqual([...before, ...installed].sort());

  mkdirSync(join(ROOT, SYSTEM, "frontdesk-router.service.d"));
  writeFileSync(join(ROOT, SYSTEM, "frontdesk-router.service.d/local.conf"), "");
  type("rmdir", copied);
  expect(files()).toEqual(before);
  const left = spawnSync("find", [ROOT, "-mindepth", "1", "-name", "*frontdesk*"]).stdout;
  expect(`${left}`.split("\n").filter((path) => !path.startsWith(copied))).toEqual([""]);
});

/** Runs the block that holds `text`. */
function type(text: string, cwd: string): void {
  const page = readFileSync("packaging/README.md", "utf8");
  const blocks = [...page.matchAll(/```sh\n(.*?)```/gs)].map(([, block = ""]) => block);
  const block = blocks.find((one) => one.includes(text)) ?? "false";
  const script = `systemctl() { :; }; frontdesk() { :; }\n${block}`;
  const elsewhere = script.replace(/(?<![\w.$])\/(etc|usr|var)\//g, `${ROOT}/$1/`);
  const { status, stderr } = spawnSync("bash", ["-e", "-c", elsewhere], { cwd, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
}

function files(): string[] {
  const { stdout } = spawnSync("find", [".", "-type", "f", "-not", "-path", "./copied/*"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((path) => path.replace("./", ""))
    .sort();
}
