/** Settings of a firewall at random, for property tests: some with ids that nobody should have. */

import fc from "fast-check";
import { type Cidr, type Ip, parseCidr, parseIp, parseMac } from "../../model/address.ts";
import type { FirewallNetwork, FirewallSettings } from "./settings.ts";

const cidr4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(join);
const cidr6 = fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map(join);
const cidr = fc.oneof(cidr4, cidr6);
const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom("0.0.0.0", "::")).map(parseIp);
const port = fc.integer({ min: 1, max: 65_535 });
const limits = fc.record({
  maxConnections: fc.integer({ min: 1, max: 1_000_000 }),
  newPerSecond: fc.integer({ min: 1, max: 1_000_000 }),
});
const hops = fc.option(fc.integer({ min: 1, max: 255 }), { nil: undefined });
const device = fc.constantFrom("eth0", "eth1", "eth2.100", "br-guests", "veth@1", "e+x:1", "lo");
const mac = fc
  .array(fc.integer({ min: 0, max: 255 }), { minLength: 6, maxLength: 6 })
  .map((bytes) => parseMac(bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":")));

const network = fc
  .record({
    id: fc.oneof(fc.string({ unit: "binary", maxLength: 80 }), fc.constantFrom(...HOSTILE())),
    cidrs: fc.array(cidr, { minLength: 1, maxLength: 4 }),
    devices: fc.array(device, { maxLength: 3 }),
    routed: fc.boolean(),
    macEvidence: fc.constantFrom("off" as const, "audit" as const, "enforce" as const),
    hopLimit: hops,
    guests: fc.option(limits, { nil: undefined }),
  })
  .map(present<FirewallNetwork>);

/** Ranges of different networks may overlap: then the settings are refused. */
export const settings: fc.Arbitrary<FirewallSettings> = fc
  .record({
    networks: fc.array(network, { minLength: 1, maxLength: 4 }),
    listen: fc.array(fc.record({ host, port }), { minLength: 1, maxLength: 4 }),
    passwordListen: fc.array(fc.record({ host, port }), { maxLength: 2 }),
    admin: fc.option(fc.record({ host, port }), { nil: undefined }),
    managementCidrs: fc.array(cidr, { maxLength: 3 }),
    guests: limits,
    hopLimit: hops,
    leases: fc.array(fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()).map(parseIp), mac })),
  })
  .map((given) => {
    const settings = present<FirewallSettings>(given);
    // Leases in a range of one of the networks, or nothing of them would be seen.
    const inside = settings.networks.map(({ cidrs: [first] }) => first).filter(isThere);
    const leases = settings.leases.map((lease, i) => {
      const range = inside[i % (inside.length + 1)];
      return range === undefined ? lease : { ...lease, address: firstOf(range) };
    });
    return { ...settings, leases };
  });

/** Words that mean something to nft, to a shell or to a terminal. */
function HOSTILE(): string[] {
  return ['"; flush ruleset; #', "a\n\tdrop\n}", "$(reboot)", "\u001b[2J", "}", "'", "\\", "ü☃"];
}

function join([address, bits]: [string, number]): Cidr {
  return parseCidr(`${address}/${bits}`);
}

function firstOf(cidr: Cidr): Ip {
  return parseIp(cidr.text.split("/")[0] ?? "");
}

function isThere<T>(value: T | undefined): value is T {
  return value !== undefined;
}

/** Without the fields that are `undefined`. */
function present<T>(value: object): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;
}
