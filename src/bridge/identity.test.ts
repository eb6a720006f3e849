/**
 * Who a guest is, and what of its request goes upstream, whatever it sends.
 */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Ip, type Mac, parseIp, parseMac } from "../model/address.ts";
import { Links } from "../platform/links.ts";
import { canonicalPath } from "../protocol/path.ts";
import { proxyHeader } from "../protocol/proxy-protocol.ts";
import { Guests } from "./guests.ts";
import { UNDER_WAY_MAX, UNDER_WAY_PER_GUEST_MAX } from "./limits.ts";
import { metadataBridge, type PlanePorts } from "./metadata.ts";
import { passwordBridge } from "./passwords.ts";
import { UnderWay } from "./under-way.ts";
import type { Answer, Ask } from "./upstream.ts";

const MAC = parseMac("02:00:00:00:00:0a");
const OTHER = parseMac("02:00:00:00:00:0b");
const OWN = parseIp("10.1.1.5");
const PEER = parseIp("fd00::5");
const LEASES = new Map<Mac, Ip>([
  [MAC, OWN],
  [OTHER, parseIp("10.1.1.6")],
]);

/**
 * A kernel that knows one neighbour, and what the upstream is asked.
 *
 * @param meanwhile what happens while the upstream answers
 */
function scene(
  neighbours: { hint?: Mac; word?: Mac } = { hint: MAC, word: MAC },
  meanwhile: (leases: Map<Mac, Ip>) => void = () => {},
) {
  const asked: Ask[] = [];
  const leases = new Map(LEASES);
  const guests = new Guests({
    links: new Links(["eth0"]),
    leases: {
      find: (mac) => {
        const address = leases.get(mac);
        return address === undefined ? "unknown" : { address };
      },
    },
    neighbours: {
      find: (address, device) =>
        address === PEER && device === "eth0" ? neighbours.hint : undefined,
      lookUp: async (address, device) =>
        address === PEER && device === "eth0" ? neighbours.word : undefined,
      trust: () => "steady",
    },
  });
  const ports: PlanePorts = {
    ...{ guests, upstream: { host: parseIp("10.1.1.1"), port: 80 }, onAnswer: () => {} },
    as: async (guest) => ({ proxyFor: guest }),
    ask: async (ask) => {
      asked.push(ask);
      meanwhile(leases);
      ask.onEnd();
      return answer(Buffer.from("value"));
    },
  };
  return { asked, metadata: metadataBridge(ports), password: passwordBridge(ports) };
}

function answer(body: Uint8Array): Answer {
  const header = (): undefined => undefined;
  return { status: 200, header, length: body.length, read: async () => body, close: () => {} };
}

test("no header, method or path makes a request another guest's, or goes upstream", async () => {
  const names = fc.constantFrom(
    "x-forwarded-for",
    "host",
    "forwarded",
    "connection",
    "domu_request",
  );
  const text = fc.oneof(
    fc.constantFrom("10.1.1.6", "saved_password", "save_password"),
    fc.string(),
  );
  const method = fc.oneof(fc.constantFrom("GET", "HEAD", "POST", "CONNECT"), fc.string());
  const spelled = ["/latest/user-data?x=10.1.1.6", "/x/../latest/user-data", "/latest%2Fuser-data"];
  const usual = [
    "/latest/meta-data/x",
    "//latest///user-data",
    "/",
    "/LATEST/%75ser-data",
    ...spelled,
  ];
  const target = fc.oneof(fc.constantFrom(...usual), fc.webPath()).map((path) => path || "/");
  const property = fc.asyncProperty(
    ...[method, target, fc.dictionary(fc.oneof(names, fc.string()), text)],
    async (method, target, headers) => {
      const { asked, metadata, password } = scene();
      const request = {
        ...{ method, target, peer: `${PEER}%eth0` },
        header: (name: string) => (Object.hasOwn(headers, name) ? headers[name] : undefined),
      };
      await metadata(request);
      await password(request);
      for (const ask of asked) {
        expect(ask.as).toEqual({ proxyFor: OWN });
        expect(["GET", "HEAD"]).toContain(ask.method);
        expect(ask.path).toMatch(/^\/(latest\b[\x21-\x7e]*)?$/i);
        expect([ask.path, ask.path.includes("?")]).toEqual([canonicalPath(ask.path), false]);
        for (const [name, value] of Object.entries(ask.headers)) {
          expect(["if-none-match", "DomU_Request"]).toContain(name);
          if (name !== "if-none-match") {
            expect(["send_my_password", "saved_password"]).toContain(value);
          }
          expect(value).toMatch(/^[\x20-\x7e]*$/);
        }
      }
    },
  );
  await fc.assert(property);
});

test("a hint begins, and the kernel's word decides", async () => {
  await check({ hint: MAC, word: MAC }, 200);
  await check({ word: MAC }, 200);
  await check({ hint: MAC, word: OTHER }, 503);
  await check({ hint: MAC }, 503);
  await check({ hint: OTHER, word: MAC }, 503);
  await check({ word: parseMac("02:00:00:00:00:0c") }, 404);
  await check({}, 404);
  // An acknowledgement in another's name could not be undone: there the word is waited for.
  const { asked, password } = scene({ hint: OTHER, word: MAC });
  const header = (name: string) => (name === "domu_request" ? "saved_password" : undefined);
  await password({ method: "GET", target: "/", peer: PEER, header });
  expect(asked.map(({ as }) => as)).toEqual([{ proxyFor: OWN }]);
});

test("what passes to another while the upstream answers is not given to the former", async () => {
  const header = (name: string) => (name === "domu_request" ? "send_my_password" : undefined);
  const request = { method: "GET", target: "/latest/user-data", peer: PEER, header };
  const neighbours = { hint: MAC, word: MAC };
  const changes: ((leases: Map<Mac, Ip>) => unknown)[] = [
    (leases) => leases.delete(MAC),
    (leases) => leases.set(MAC, parseIp("10.1.1.7")),
    () => Object.assign(neighbours, { hint: OTHER }),
  ];
  for (const change of changes) {
    const { metadata, asked } = scene(neighbours, change);
    const { status, body } = await metadata(request);
    expect([asked.length, status, body]).toEqual([1, 503, undefined]);
    Object.assign(neighbours, { hint: MAC });
    const other = scene(neighbours, change);
    const reply = await other.password(request);
    expect([other.asked.length, reply.status, reply.body]).toEqual([1, 502, undefined]);
    Object.assign(neighbours, { hint: MAC });
  }
});

test("IPv4 peers and peers without an address are nobody", async () => {
  for (const peer of [undefined, "", "10.1.1.5", "::ffff:10.1.1.5", "fd00::6", "junk"]) {
    const { asked, metadata } = scene();
    const { status } = await metadata({
      ...{ method: "GET", target: "/latest/user-data", peer, header: () => undefined },
    });
    expect([peer, status, asked.length]).toEqual([peer, 404, 0]);
  }
});

test("one guest has so much under way, all have so much, and what ends is forgotten", () => {
  const underWay = new UnderWay();
  const mac = (n: number): Mac => parseMac(`02:00:00:00:00:${n.toString(16).padStart(2, "0")}`);
  const ends: (() => void)[] = [];
  const begin = (n: number): boolean => {
    const end = underWay.begin(mac(n));
    if (end !== undefined) ends.push(end);
    return end !== undefined;
  };
  for (let i = 0; i < UNDER_WAY_PER_GUEST_MAX; i++) expect(begin(0)).toBe(true);
  expect(begin(0)).toBe(false);
  for (let n = 1; n < 255; n++) while (begin(n)) {}
  expect(ends.length).toBe(UNDER_WAY_MAX);
  for (const end of ends) for (let twice = 0; twice < 2; twice++) end();
  expect([underWay.guests, begin(0)]).toEqual([0, true]);
});

test("a PROXY header of version 2 is the one of the specification", () => {
  const from = { host: "10.1.1.57", port: 0 };
  expect(proxyHeader({ from, to: { host: "10.1.1.1", port: 80 } }).toString("hex")).toBe(
    ["0d0a0d0a000d0a515549540a", "21", "11", "000c", "0a010139", "0a010101", "0000", "0050"].join(
      "",
    ),
  );
  expect(() => proxyHeader({ from: { host: "fd00::1", port: 0 }, to: from })).toThrow(RangeError);
});

async function check(neighbours: { hint?: Mac; word?: Mac }, status: number): Promise<void> {
  const { metadata } = scene(neighbours);
  const request = { method: "GET", target: "/latest/user-data", peer: PEER };
  const reply = await metadata({ ...request, header: () => undefined });
  expect([neighbours, reply.status]).toEqual([neighbours, status]);
}
