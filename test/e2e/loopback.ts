/**
 * Whole networks on loopback: every address of 127.0.0.0/8 is this machine's on Linux, so a router
 * and its guests can have an address each without namespaces, and so without root.
 */

import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FIXTURES = join(import.meta.dirname, "../../fixtures/cloudstack");

/** What the guests' network of the isolated fixture starts with, and what it becomes. */
const NETWORK = "10.1.1.";
const LOOPBACK_NETWORK = "127.1.1.";

/** The router of the network that `copyToLoopback` writes. */
export const LOOPBACK_ROUTER = toLoopback("10.1.1.1");

/** An address, or any text that holds addresses, of the fixture as it is on loopback. */
export function toLoopback(text: string): string {
  return text.replaceAll(NETWORK, LOOPBACK_NETWORK);
}

/** Writes the isolated fixture's databags to `folder`, its network moved to loopback. */
export function copyToLoopback(folder: string): void {
  cpSync(join(FIXTURES, "isolated/etc-cloudstack"), folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    writeFileSync(path, toLoopback(readFileSync(path, "utf8")));
  }
}

/** Why addresses beside 127.0.0.1 cannot be used here, for `test.skipIf`. */
export function loopbackMissing(): string | undefined {
  if (process.platform === "linux") return undefined;
  const reason = "only Linux has all of 127.0.0.0/8 on loopback";
  console.warn(`skipped: ${reason}`);
  return reason;
}
