/**
 * Whole networks on loopback: every address of 127.0.0.0/8 is this machine's on Linux, so a router
 * and its guests can have an address each without namespaces, and so without root.
 */

import { once } from "node:events";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
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

/**
 * Writes the isolated fixture's databags to `folder`, its network moved to loopback. The instance
 * with compressed user data, which has no lease in the fixture, gets one.
 */
export function copyToLoopback(folder: string): void {
  cpSync(join(FIXTURES, "isolated/etc-cloudstack"), folder, { recursive: true });
  const leases = join(folder, "dhcpentry.json");
  const entries = JSON.parse(readFileSync(leases, "utf8"));
  const added = { ipv4_address: "10.1.1.59", mac_address: "02:00:5a:10:00:09", host_name: "gz-01" };
  entries["10.1.1.59"] = { ...entries["10.1.1.58"], ...added };
  writeFileSync(leases, JSON.stringify(entries));
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    writeFileSync(path, toLoopback(readFileSync(path, "utf8")));
  }
}

/** The kernel gives a port again as soon as it is free, and a router needs two that differ. */
const given = new Set<number>();

/** A port that nothing holds on `host`, so that two runs of the tests do not meet; each once. */
export async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  if (given.has(port)) return freePort(host);
  given.add(port);
  return port;
}

/** Why addresses beside 127.0.0.1 cannot be used here, for `test.skipIf`. */
export function loopbackMissing(): string | undefined {
  if (process.platform === "linux") return undefined;
  const reason = "only Linux has all of 127.0.0.0/8 on loopback";
  console.warn(`skipped: ${reason}`);
  return reason;
}
