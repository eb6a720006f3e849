/**
 * What MAC evidence adds to a request: the look-up of who asks with the kernel's neighbour table
 * beside it, and the same look-up in the directory alone.
 *
 * In this process, because the difference is smaller than the tick in which the kernel counts the
 * time of another. Both are asked for the same addresses by turns, and CPU time is counted: what
 * else the machine does hits both alike.
 */

import { type Ip, parseCidr, parseIp, parseMac } from "../../src/model/address.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { NeighbourTable } from "../../src/platform/neighbour-table.ts";
import type { Neighbours } from "../../src/platform/neighbours.ts";
import { Directory } from "../../src/router/directory.ts";
import { Identity } from "../../src/router/identity.ts";
import { type Bench, INSTANCES } from "../bench.ts";
import { addressOf } from "../lab.ts";
import { median } from "../stats.ts";

/** Calls in a turn: a tenth of a second. */
const CALLS = 500_000;
const TURNS_EACH_ROUND = 10;
/** Turns before anything is counted: just-in-time compilers need them. */
const WARM_UP = 4;
const NS_PER_US = 1000;

export interface IdentityFigures {
  /** CPU of one look-up in the directory alone. ns. */
  readonly directoryNs: number;
  /** The same with MAC evidence, of a guest that is who it says. ns. */
  readonly identityNs: number;
  /** What the evidence adds: the median of the differences within a turn. ns. */
  readonly addedNs: number;
  readonly neighbours: number;
}

type Find = (peer: string) => unknown;

export function measureIdentity(bench: Bench): IdentityFigures {
  const { directory, identity, addresses, neighbours } = prepare();
  const ways = {
    directory: (peer: string) => directory.find(peer),
    identity: (peer: string) => identity.find(peer),
  };
  const ns = { directory: [] as number[], identity: [] as number[] };
  const turns = bench.scale.rounds * TURNS_EACH_ROUND;
  for (let turn = 1 - WARM_UP; turn <= turns; turn++) {
    if (turn === 1) bench.say(`identity: ${turns} turns`);
    // Whoever comes second finds the addresses in the processor's memory.
    const order =
      turn % 2 === 0 ? (["directory", "identity"] as const) : (["identity", "directory"] as const);
    for (const way of order) {
      const each = cpuNs(ways[way], addresses);
      if (turn > 0) ns[way].push(each);
    }
  }
  const added = ns.identity.map((value, turn) => value - (ns.directory[turn] ?? Number.NaN));
  return {
    directoryNs: median(ns.directory) ?? Number.NaN,
    identityNs: median(ns.identity) ?? Number.NaN,
    addedNs: median(added) ?? Number.NaN,
    neighbours,
  };
}

/** CPU time of one call. @throws if a look-up finds nobody. */
function cpuNs(find: Find, addresses: readonly string[]): number {
  let found = 0;
  const before = process.cpuUsage();
  for (let i = 0; i < CALLS; i++) {
    if (find(addresses[i % addresses.length] ?? "") !== undefined) found++;
  }
  const { user, system } = process.cpuUsage(before);
  if (found !== CALLS) throw new Error(`${CALLS - found} of ${CALLS} guests were not known`);
  return ((user + system) * NS_PER_US) / CALLS;
}

/** Every instance has a lease and a neighbour, in a network that enforces. */
function prepare(): {
  readonly directory: Directory;
  readonly identity: Identity;
  readonly addresses: readonly string[];
  readonly neighbours: number;
} {
  const directory = new Directory({ epochBegan() {}, hostNameCut() {} });
  const table = new NeighbourTable();
  const addresses = Array.from({ length: INSTANCES }, (_, index) => guestAddress(index));
  for (const [index, address] of addresses.entries()) {
    const mac = macOf(index);
    const origin = { kind: "databag", place: "vmdata.json" } as const;
    const known = { network: "guests", address, mac, epoch: 1, origin };
    const binding = { ...known, instance: `i-${index}`, name: `vm-${index}`, keys: [] };
    directory.apply([{ kind: "put", binding }]);
    table.put({ address, device: "eth0", mac, permanent: false });
  }
  const neighbours: Pick<Neighbours, "find" | "at" | "lookUp" | "lookUpAt"> = {
    find: (address, device) => table.find(address, device),
    at: (address, device) => table.at(address, device),
    lookUp: () => Promise.reject(new Error("a look-up in memory was not enough")),
    lookUpAt: () => Promise.reject(new Error("a look-up in memory was not enough")),
  };
  const conditions = new Conditions(() => 0);
  const found = neighbours as Neighbours;
  const identity = new Identity({ directory, conditions, neighbours: () => found });
  const cidrs = [parseCidr("10.0.0.0/8")];
  const policy = { id: "guests", cidrs, devices: ["eth0"], routed: false };
  identity.setPolicies([{ ...policy, macEvidence: "enforce" }]);
  return { directory, identity, addresses, neighbours: table.size };
}

/** As the other figures' guests, but not on loopback, where nobody has a MAC address. */
function guestAddress(index: number): Ip {
  return parseIp(addressOf(index).replace(/^127\./, "10."));
}

function macOf(index: number) {
  const tail = index.toString(16).padStart(4, "0");
  return parseMac(`02:00:00:00:${tail.slice(0, 2)}:${tail.slice(2)}`);
}
