/**
 * The machine that the figures belong to: what it is, what else it does, what is installed.
 */

import { spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { delimiter, join } from "node:path";

/** Directories of system programs that a plain user's PATH leaves out. */
const SYSTEM_PATH = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/** The program's path, or `undefined` where it is not installed. */
export function which(program: string): string | undefined {
  const directories = [...(process.env.PATH ?? "").split(delimiter), ...SYSTEM_PATH];
  return directories.map((directory) => join(directory, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first line of what `program ARGS` says about itself, `undefined` if it cannot. */
export function versionOf(program: string, ...args: string[]): string | undefined {
  const path = which(program);
  if (path === undefined) return undefined;
  const { stdout, stderr } = spawnSync(path, args, { encoding: "utf8" });
  return `${stdout}${stderr}`.split("\n")[0]?.trim();
}

/** The three load averages, as the kernel writes them. */
export function loadAverage(): string {
  return readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 3).join(" ");
}

/** The processor's name and how many of it there are. */
export function processor(): string {
  const info = readFileSync("/proc/cpuinfo", "utf8");
  const model = /^(?:model name|Model)\s*:\s*(.+)$/m.exec(info)?.[1] ?? "unknown CPU";
  return `${model}, ${processors()} CPUs`;
}

export function processors(): number {
  return cpus().length;
}

/** One line of versions: kernel, this runtime and the peers that are installed. */
export function versions(): string {
  const parts = [
    `Linux ${release()}`,
    `Bun ${process.versions.bun ?? "?"}`,
    versionOf("node", "--version")?.replace(/^v/, "Node.js "),
    versionOf("nginx", "-v")?.replace("nginx version: ", ""),
    versionOf("apache2", "-v")?.replace("Server version: ", ""),
    versionOf("cc", "--version"),
    versionOf("python3", "--version"),
  ];
  return parts.filter((part) => part !== undefined).join(" · ");
}
