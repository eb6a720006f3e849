/**
 * A virtual router with an IPv4 service, the bridge beside it, and two guests that have no IPv4
 * address: each has a fixed one, a privacy one and a link-local one of IPv6.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Lab, openLab, type Place, ROUTER_ADDRESS } from "./lab.ts";
import { ok, type Program, until } from "./program.ts";
import { frontdesk, type Rim, type Router, startRouter } from "./router.ts";

export const FIXTURE: string = join(
  import.meta.dirname,
  "../../fixtures/cloudstack/isolated/etc-cloudstack",
);
/** The instances web-01 and db-01 of the fixture. */
export const WEB = { mac: "02:00:5a:10:00:07", address: "10.1.1.57" };
export const DB = { mac: "02:00:5a:10:00:08", address: "10.1.1.58" };
const NOBODY = { mac: "02:00:00:00:00:99" };

export const LINK_LOCAL = "fe80::a9fe:a9fe";
export const EC2 = "fd00:ec2::254";
export const METADATA_PORT = 18680;
export const PASSWORD_PORT = 18681;
const SETTLE_MS_MAX = 8_000;

export interface BridgeLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly router: Place;
  readonly web: Place;
  readonly db: Place;
  readonly nobody: Place;
  /** A lease file that a test may change. */
  readonly leases: string;
}

export async function openBridgeLab(): Promise<BridgeLab> {
  const lab = await openLab({ guests: [WEB, DB, NOBODY].map(({ mac }) => ({ mac })) });
  const { router } = lab;
  const [web, db, nobody] = lab.guests;
  if (web === undefined || db === undefined || nobody === undefined) throw new Error("lab");
  for (const address of ["fd00:5a::1/64", "2001:db8:5a::1/64", `${EC2}/128`, `${LINK_LOCAL}/64`]) {
    await ip(router, `-6 address add ${address} dev eth0 nodad`);
  }
  for (const [index, guest] of lab.guests.entries()) {
    // Temporary addresses, as an operating system makes them of what its router advertises.
    await ok(guest.command(["sysctl", "-qw", "net.ipv6.conf.eth0.use_tempaddr=2"]));
    await ip(guest, `-6 address add fd00:5a::1${index}/64 dev eth0 nodad`);
    await ip(guest, `-6 address add 2001:db8:5a::1${index}/64 dev eth0 nodad mngtmpaddr`);
    await ip(guest, "-6 route add default via fd00:5a::1 dev eth0");
  }
  await until("privacy addresses", SETTLE_MS_MAX, async () => {
    const shown = lab.guests.map((guest) => ip(guest, "-6 address show dev eth0 -tentative"));
    return (await Promise.all(shown)).every(
      (text) => text.includes("temporary") && text.includes("inet6 fe80"),
    );
  });
  const leases = join(lab.folder, "dhcpentry.json");
  writeFileSync(leases, readFileSync(join(FIXTURE, "dhcpentry.json")));
  return {
    ...{ lab, router, web, db, nobody, leases },
    [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
  };
}

/** Our own router, on IPv4 alone, as it is started on a virtual router. */
export function startIpv4Router(scene: BridgeLab, rim: Rim): Promise<Router> {
  return startRouter({
    ...{
      rim,
      source: `databag:${FIXTURE}`,
      place: scene.router,
      stateDir: join(scene.lab.folder, "desk"),
    },
    listen: [`${ROUTER_ADDRESS}:${METADATA_PORT}`],
    passwordListen: [`${ROUTER_ADDRESS}:${PASSWORD_PORT}`],
  });
}

/** A program that is an upstream; see `bridge-upstream.ts`. */
export async function startUpstream(scene: BridgeLab, kind: string): Promise<Program> {
  const script = join(import.meta.dirname, "bridge-upstream.ts");
  const argv = [process.execPath, script, kind, ROUTER_ADDRESS];
  const program = scene.router.start([...argv, `${METADATA_PORT}`, `${PASSWORD_PORT}`]);
  await program.says(/ready/);
  return program;
}

export const BRIDGE_ARGS: readonly string[] = [
  ...["--device", "eth0"],
  ...["fd00:5a::1", "2001:db8:5a::1", EC2, `${LINK_LOCAL}%eth0`].flatMap((host) => [
    ...["--listen", `[${host}]:80`, "--password-listen", `[${host}]:8080`],
  ]),
  ...["--upstream", `${ROUTER_ADDRESS}:${METADATA_PORT}`],
  ...["--password-upstream", `${ROUTER_ADDRESS}:${PASSWORD_PORT}`],
];

/** Starts the bridge and waits until guests can ask it. */
export async function startBridge(
  scene: BridgeLab,
  rim: Rim,
  more: readonly string[] = [],
): Promise<Program> {
  const program = launchBridge(scene, rim, more);
  await program.says(/bridge started/);
  return program;
}

export function launchBridge(scene: BridgeLab, rim: Rim, more: readonly string[] = []): Program {
  const { argv, env } = frontdesk(rim, [
    "bridge",
    ...BRIDGE_ARGS,
    "--leases",
    scene.leases,
    ...more,
  ]);
  return scene.router.start(argv, { env });
}

export interface Seen {
  /** 0 where there was no answer. */
  readonly status: number;
  readonly body: string;
}

/** What a guest sees, from one of its addresses if one is named. */
export async function get(guest: Place, url: string, ...more: readonly string[]): Promise<Seen> {
  const args = ["curl", "-gsm", "15", "-w", "\n%{http_code}", ...more, url];
  const text = (await guest.run(args)).stdout.toString();
  const end = text.lastIndexOf("\n");
  return { status: Number(text.slice(end + 1)), body: text.slice(0, end) };
}

export function metadata(guest: Place, path: string, ...more: readonly string[]): Promise<Seen> {
  return get(guest, `http://[fd00:5a::1]${path}`, ...more);
}

export function password(guest: Place, word: string, ...more: readonly string[]): Promise<Seen> {
  return get(guest, "http://[fd00:5a::1]:8080/", "-H", `DomU_Request: ${word}`, ...more);
}

/** The addresses of a guest's eth0: fixed, privacy and link-local. */
export async function addressesOf(guest: Place): Promise<readonly string[]> {
  const shown = await ip(guest, "-6 -o address show dev eth0 -tentative");
  return [...shown.matchAll(/inet6 ([^/ ]+)\//g)].map(([, address = ""]) => address);
}

export async function ip(place: Place, words: string): Promise<string> {
  return ok(place.command(["ip", ...words.split(" ")]));
}

/** What the bridge may have put into the kernel. */
export async function kernelState(place: Place): Promise<string> {
  const rules = await ok(place.command(["nft", "list", "tables"]));
  return rules + (await ip(place, "route show table all proto 206"));
}
