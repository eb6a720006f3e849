/**
 * Which process holds a TCP port, so that "address in use" can name it. Linux only.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { tryParseIp } from "../model/address.ts";

/** State of a listening socket in /proc/net/tcp. */
const LISTEN = "0A";

/** A socket that listens in this network namespace. */
export interface Holder {
  readonly address: string;
  readonly port: number;
  /** `undefined` where the kernel does not say: another user's process. */
  readonly pid: number | undefined;
  readonly program: string | undefined;
}

/**
 * The pid of a process that listens on `port`.
 *
 * @returns `undefined` where the kernel does not say: another user's process, another namespace.
 */
export function portHolder(port: number): number | undefined {
  return portHolders([port]).find(({ pid }) => pid !== undefined)?.pid;
}

/** The same for people: `process 12 (nginx)`. */
export function holderWords(port: number): string {
  const pid = portHolder(port);
  if (pid === undefined) return "another process (ss -ltnp names it to root)";
  const name = processName(pid);
  return `process ${pid}${name === undefined ? "" : ` (${name})`}`;
}

/** All that listen, or on one of `ports`; of several processes that share a socket, the first. */
export function portHolders(ports: readonly number[] | "all"): readonly Holder[] {
  const sockets = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap(linesOf).flatMap((line) => {
    const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
    const [hex = "", portHex = ""] = local.split(":");
    const port = Number.parseInt(portHex, 16);
    if (state !== LISTEN || !(ports === "all" || ports.includes(port))) return [];
    return [{ address: addressOf(hex), port, inode }];
  });
  const pids = sockets.length === 0 ? new Map() : pidsOf(new Set(sockets.map((one) => one.inode)));
  return sockets.map(({ address, port, inode }) => {
    const pid: number | undefined = pids.get(inode);
    return { address, port, pid, program: pid === undefined ? undefined : processName(pid) };
  });
}

function pidsOf(inodes: ReadonlySet<string>): Map<string, number> {
  const pids = new Map<string, number>();
  for (const pid of namesIn("/proc").filter((name) => /^\d+$/.test(name))) {
    for (const fd of namesIn(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode === undefined || !inodes.has(inode) || pids.has(inode)) continue;
      pids.set(inode, Number(pid));
      if (pids.size === inodes.size) return pids;
    }
  }
  return pids;
}

/** The kernel prints 32 bits at a time, in the order of this machine: little-endian everywhere. */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((part) =>
    [...Buffer.from(part, "hex")].reverse(),
  );
  if (bytes.length === 4) return bytes.join(".");
  const words = Buffer.from(bytes).toString("hex").match(/.{4}/g) ?? [];
  return tryParseIp(words.join(":")) ?? hex;
}

/** What a process calls itself; `undefined` where the kernel does not say. */
export function processName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n").slice(1);
  } catch {
    return [];
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // Gone meanwhile, or not ours to see.
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
