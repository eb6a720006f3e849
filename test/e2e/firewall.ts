/**
 * A router namespace with servers behind its firewall, two guests, and somebody outside.
 *
 * The programs nft and ip run in the router's namespace; what is tested runs here.
 */

import { join } from "node:path";
import { parseCidr, parseIp, parseMac } from "../../src/model/address.ts";
import { type Exec, exec } from "../../src/platform/exec.ts";
import { type StartLines, startLines } from "../../src/platform/lines.ts";
import { applyPins } from "../../src/platform/neighbour-pins.ts";
import { render } from "../../src/router/firewall/render.ts";
import {
  enforcedLeases,
  type FirewallNetwork,
  type FirewallSettings,
  pinsOf,
} from "../../src/router/firewall/settings.ts";
import { applyRuleset, type Plan } from "../../src/router/firewall/table.ts";
import { type Lab, openLab, type Place } from "./lab.ts";
import { ok, until } from "./program.ts";

export const OWNER = parseMac("02:00:00:00:00:01");
export const THIEF = parseMac("02:00:00:00:00:02");
export const ADDRESS = parseIp("10.1.1.11");
export const ADDRESS6 = parseIp("fd00:5a::11");
export const ROUTER = "10.1.1.1";
export const ROUTER6 = "fd00:5a::1";
/** Where EC2's 169.254.169.254 would be on the link, on both sides of the router. */
export const LINK_LOCAL = "fe80::a9fe:a9fe";
/** The router's other side. */
export const PUBLIC = "203.0.113.1";
export const MANAGEMENT = "198.51.100.0/24";
/** What comes to nothing is not waited for as long as what is to come. */
const ANSWER_SECONDS_MAX = "5";
const SILENCE_SECONDS = "0.8";
const SPOOF = join(import.meta.dirname, "spoof.py");

/** Says who asks, on every port that a test uses. */
const SERVER = `
  const fetch = (request, server) => new Response(server.requestIP(request).address);
  for (const port of [80, 81, 8080, 9000]) Bun.serve({ hostname: "::", port, fetch });
  console.log("ready");
`;

export interface FirewallLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly router: Place;
  readonly owner: Place;
  readonly thief: Place;
  readonly outside: Place;
  readonly exec: Exec;
  readonly start: StartLines;
  /** Applies settings made of `network` and `more`, as the command does. */
  apply(network?: Partial<FirewallNetwork>, more?: Partial<FirewallSettings>): Promise<Plan>;
}

export async function openFirewallLab(): Promise<FirewallLab> {
  const lab = await openLab({
    guests: [
      { mac: OWNER, address: ADDRESS },
      { mac: THIEF, address: "10.1.1.12" },
      { mac: "02:00:00:00:00:03" },
    ],
  });
  const [owner, thief, outside] = lab.guests;
  if (owner === undefined || thief === undefined || outside === undefined) throw new Error("lab");
  const { router } = lab;
  await ip(router, "link set port2 nomaster");
  await ip(router, `address add ${PUBLIC}/24 dev port2`);
  await ip(outside, "address add 203.0.113.9/24 dev eth0");
  await ip(outside, `route add 10.1.1.0/24 via ${PUBLIC}`);
  await ip(outside, `route add 169.254.169.254 via ${PUBLIC}`);
  await ip(outside, "address add 198.51.100.9/24 dev eth0");
  await ip(router, "route add 198.51.100.0/24 dev port2");
  await ip(router, `-6 address add ${ROUTER6}/64 dev eth0 nodad`);
  await ip(owner, `-6 address add ${ADDRESS6}/64 dev eth0 nodad`);
  await ip(thief, "-6 address add fd00:5a::12/64 dev eth0 nodad");
  await ip(router, `-6 address add ${LINK_LOCAL}/64 dev eth0 nodad`);
  await ip(router, `-6 address add ${LINK_LOCAL}/64 dev port2 nodad`);
  const server = router.start([process.execPath, "-e", SERVER]);
  await server.says(/ready/);
  await until("IPv6 of the link", 5_000, async () => {
    const shown = [router, owner, outside].map((place) => ip(place, "-6 address show tentative"));
    return (await Promise.all(shown)).every((text) => text === "");
  });
  const run: Exec = (argv, options) => exec(router.command(argv), options);
  const start: StartLines = (argv, options) => startLines(router.command(argv), options);
  return {
    ...{ lab, router, owner, thief, outside, exec: run, start },
    async apply(network, more) {
      const settings = settingsOf(network, more);
      const plan = await applyRuleset(render(settings), run);
      await applyPins(pinsOf(enforcedLeases(settings)), start);
      return plan;
    },
    [Symbol.asyncDispose]: () => lab[Symbol.asyncDispose](),
  };
}

/** One network of both IP versions, in which the owner and the thief have leases. */
export function settingsOf(
  network: Partial<FirewallNetwork> = {},
  more: Partial<FirewallSettings> = {},
): FirewallSettings {
  const at = (host: string, port: number) => ({ host: parseIp(host), port });
  return {
    networks: [
      {
        ...{ id: "guests", cidrs: [parseCidr("10.1.1.0/24"), parseCidr("fd00:5a::/64")] },
        ...{ devices: ["eth0"], routed: false, macEvidence: "enforce" },
        ...network,
      },
    ],
    listen: [at(ROUTER, 80), at("169.254.169.254", 80), at(ROUTER6, 80), at(LINK_LOCAL, 80)],
    passwordListen: [at(ROUTER, 8080), at(ROUTER6, 8080)],
    managementCidrs: [],
    guests: { maxConnections: 1000, newPerSecond: 1000 },
    leases: [
      { address: ADDRESS, mac: OWNER },
      { address: ADDRESS6, mac: OWNER },
      { address: parseIp("10.1.1.12"), mac: THIEF },
    ],
    ...more,
  };
}

/** What the server sees of a request; `""` where there was no answer. */
export async function asks(
  place: Place,
  url: string,
  from?: string,
  seconds = ANSWER_SECONDS_MAX,
): Promise<string> {
  const source = from === undefined ? [] : ["--interface", from];
  return (await place.run(["curl", "-gsm", seconds, ...source, url])).stdout.toString();
}

/** What is answered to somebody who should get nothing: `""`. */
export function gets(place: Place, url: string, from?: string): Promise<string> {
  return asks(place, url, from, SILENCE_SECONDS);
}

export async function ip(place: Place, words: string): Promise<string> {
  return ok(place.command(["ip", ...words.split(" ")]));
}

export async function spoof(place: Place, ...words: readonly string[]): Promise<void> {
  await ok(place.command(["python3", SPOOF, ...words]));
}

export async function nftList(place: Place, ...more: readonly string[]): Promise<string> {
  return ok(place.command(["nft", "-s", ...more, "list", "ruleset"]));
}
