/**
 * What is of the machine and not of the router: processes, limits, the kernel's tables, the clock,
 * the CPU and dnsmasq. A file that is not there is a fact that nobody knows.
 */

import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { ExecError } from "../../model/errors.ts";
import type { Exec } from "../../platform/exec.ts";
import { type OwnAddress as DhcpAddress, rangesOf } from "../dhcp-lines.ts";
import type { Dnsmasq, Facts, FileLimit, RouterProcess } from "./facts.ts";

/** systemd's own mark that it runs the machine (sd_booted(3)). */
const BOOTED = "/run/systemd/system";
const UNIT = "frontdesk-router.service";
const UNIT_FOLDERS = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

export function readSystemd(): Facts["systemd"] {
  const hasUnit = UNIT_FOLDERS.some((folder) => existsSync(join(folder, UNIT)));
  return { runs: existsSync(BOOTED), hasUnit };
}

export async function readClock(exec: Exec): Promise<boolean | undefined> {
  if (!existsSync(BOOTED)) return undefined;
  try {
    const argv = ["timedatectl", "show", "--property=NTPSynchronized", "--value"];
    const { code, stdout } = await exec(argv, { timeoutMs: 2_000 });
    const word = stdout.trim();
    return code !== 0 || (word !== "yes" && word !== "no") ? undefined : word === "yes";
  } catch (error) {
    if (error instanceof ExecError) return undefined;
    throw error;
  }
}

/** Bun's programs need SSE4.2 on x86; other processors have what they need. */
export function readCpu(): boolean | undefined {
  if (process.arch !== "x64") return true;
  const flags = /^flags\s*:(.*)$/m.exec(textOf("/proc/cpuinfo") ?? "")?.[1];
  return flags === undefined ? undefined : flags.split(/\s+/).includes("sse4_2");
}

/** IPv4's neighbours of the whole kernel, and at how many it begins to refuse new ones. */
export function readNeighbours(): Facts["neighbours"] {
  const max = Number(textOf("/proc/sys/net/ipv4/neigh/default/gc_thresh3") ?? Number.NaN);
  const [, line = ""] = (textOf("/proc/net/stat/arp_cache") ?? "").split("\n");
  const entries = Number.parseInt(line, 16);
  return Number.isNaN(max) || Number.isNaN(entries) ? undefined : { entries, max };
}

export function readFileLimit(pid: number | undefined): FileLimit | undefined {
  if (pid === undefined) return undefined;
  const [, soft, most] =
    /^Max open files\s+(\d+)\s+(\d+)/m.exec(textOf(`/proc/${pid}/limits`) ?? "") ?? [];
  const [max, hard] = [Number(soft), Number(most)];
  try {
    const open = readdirSync(`/proc/${pid}/fd`).length;
    return Number.isNaN(max) ? undefined : { pid, max, hard, open };
  } catch {
    return undefined; // Another user's, or gone.
  }
}

/** Routers of ours in this network namespace; those that one program started count as that one. */
export function readRouters(): readonly RouterProcess[] {
  const own = linkOf("/proc/self/ns/net");
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const argv = textOf(`/proc/${name}/cmdline`)?.split("\0") ?? [];
      if (!isRouter(argv) || linkOf(`/proc/${name}/ns/net`) !== own) return [];
      const pid = Number(name);
      return [{ pid, unit: unitOf(pid), argv: argv.slice(0, -1), folder: folderOf(pid) }];
    });
}

/** The folder in which a process runs: names that it was given are relative to that. */
export function folderOf(pid: number | undefined): string | undefined {
  return linkOf(`/proc/${pid}/cwd`);
}

/** The systemd service to which a process belongs. */
export function unitOf(pid: number | undefined): string | undefined {
  return /\/([^/\n]+\.service)$/m.exec(textOf(`/proc/${pid}/cgroup`) ?? "")?.[1];
}

const RUNTIMES = /^(?:frontdesk|node|nodejs|bun)(?:[.-].*)?$/;
const PROGRAM = /(?:^|\/)frontdesk(?:\.mjs)?$|\/src\/cli\/main\.ts$/;

/** Whether this command line is `frontdesk router` or `serve`, and not a sub-command. */
export function isRouter(argv: readonly string[]): boolean {
  const at = 1 + argv.findIndex((word) => PROGRAM.test(word));
  if (at < 1 || !RUNTIMES.test(basename(argv[0] ?? ""))) return false;
  if (argv[at] === "serve") return true;
  if (argv[at] !== "router" || argv.includes("--namespace")) return false;
  return !["firewall", "dhcp"].includes(argv[at + 1] ?? "");
}

/** What CloudStack and others wrote for dnsmasq; `undefined` on a machine without. */
export function readDnsmasq(own: readonly DhcpAddress[], root = "/"): Dnsmasq | undefined {
  const folder = join(root, "etc/dnsmasq.d");
  const cloud = textOf(join(folder, "cloud.conf"));
  if (cloud === undefined) return undefined;
  const files = [
    join(root, "etc/dnsmasq.conf"),
    ...namesIn(folder).map((one) => join(folder, one)),
  ];
  const lines = files.flatMap((file) => (textOf(file) ?? "").split("\n")).map((one) => one.trim());
  const valuesOf = (name: string): readonly string[] =>
    lines.filter((line) => line.startsWith(`${name}=`)).map((line) => line.slice(name.length + 1));
  const hosts = ["/etc/hosts", ...valuesOf("addn-hosts")].map((file) => join(root, file));
  return {
    dataServer: [...new Set(hosts.flatMap((file) => addressesOf("data-server", textOf(file))))],
    ranges: rangesOf(cloud, own),
    options: valuesOf("dhcp-option"),
  };
}

function addressesOf(name: string, hosts = ""): readonly string[] {
  return hosts.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    return names.some((one) => one === name || one.startsWith(`${name}.`)) ? [address] : [];
  });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
