import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseMac } from "../../model/address.ts";
import { type Bond, lateAt, look, type Seen } from "./bindings.ts";
import { METADATA_LATE_MS } from "./limits.ts";

const A = parseMac("02:00:00:00:00:0a");
const B = parseMac("02:00:00:00:00:0b");
const C = parseMac("02:00:00:00:00:0c");

// A look, written short: the MAC of the lease, or what stands for it, then the instance that the
// metadata names; `!` where it arrived just now, `?` where it is known by name only.
// `-` is none. `x` before a MAC: removed. `~` before it: leases cannot be read now.
// `+` before it: the lease is newer than the metadata, and they do not belong together.
// `off`: there are no leases at all.
const MACS: Readonly<Record<string, typeof A>> = { A, B, C };

test("an address with a lease and metadata is served, from epoch 1 on", () => {
  check([["A I!", "serve 1 I"]]);
  check([["- I!", "no-lease 1 I"]]);
  check([["xA I!", "lease-removed 1 I"]]);
  check([["off I!", "serve 1 I"]]);
  check([["A -", "awaiting-metadata 1 -"]]);
});

test("the same MAC and instance are the same binding, whatever happened in between", () => {
  check([
    ["A I!", "serve 1 I"],
    ["xA I", "lease-removed 1 I"],
    ["A I", "serve 1 I"],
    ["- I", "no-lease 1 I"],
    ["A I", "serve 1 I"],
    ["A I!", "serve 1 I"],
    ["A -", "awaiting-metadata 1 I"],
    ["A I!", "serve 1 I"],
  ]);
});

test("a new MAC with the former instance's metadata is not served until metadata arrives", () => {
  const start: Step[] = [
    ["A I!", "serve 1 I"],
    ["B I", "awaiting-metadata 2 I"],
  ];
  check([...start, ["B I", "awaiting-metadata 2 I"], ["B J!", "serve 2 J"]]);
  // An instance whose NIC was replaced keeps its id.
  check([...start, ["B I!", "serve 2 I"]]);
  check([...start, ["xB I", "lease-removed 2 I"], ["B I", "awaiting-metadata 2 I"]]);
  check([...start, ["xB J!", "lease-removed 2 J"], ["B J", "serve 2 J"]]);
  check([...start, ["- I", "no-lease 2 I"], ["B I", "awaiting-metadata 2 I"]]);
  check([...start, ["B -", "awaiting-metadata 2 I"], ["B I", "awaiting-metadata 2 I"]]);
});

test("a new MAC and another instance's metadata at once are one new binding", () => {
  check([
    ["A I!", "serve 1 I"],
    ["B J!", "serve 2 J"],
  ]);
});

test("metadata that was awaited for one MAC and is seen with the next may be the former's", () => {
  check([
    ["A I!", "serve 1 I"],
    ["B I", "awaiting-metadata 2 I"],
    ["C J!", "awaiting-metadata 3 I"],
    ["C J", "awaiting-metadata 3 I"],
    ["C K!", "serve 3 K"],
  ]);
  check([
    ["A -", "awaiting-metadata 1 -"],
    ["B I!", "awaiting-metadata 2 -"],
    ["B J!", "serve 2 J"],
  ]);
  check([
    ["A I!", "serve 1 I"],
    ["B I", "awaiting-metadata 2 I"],
    ["C J!", "awaiting-metadata 3 I"],
    ["B J", "serve 4 J"],
  ]);
});

test("metadata that is older than a lease that it does not belong to may be a third one's", () => {
  check([
    ["A I!", "serve 1 I"],
    ["+C J!", "awaiting-metadata 2 I"],
    ["+C J", "awaiting-metadata 2 I"],
    ["A J", "awaiting-metadata 3 I"],
    ["A K!", "serve 3 K"],
  ]);
  check([["+A I!", "serve 1 I"]]);
});

test("metadata of the same instance that changed before the MAC was seen does not count", () => {
  check([
    ["A I!", "serve 1 I"],
    ["B I!", "awaiting-metadata 2 I"],
    ["B I!", "serve 2 I"],
  ]);
});

test("a MAC that goes back to the former is served again, in an epoch of its own", () => {
  check([
    ["A I!", "serve 1 I"],
    ["B I", "awaiting-metadata 2 I"],
    ["A I", "serve 3 I"],
    ["B I", "awaiting-metadata 4 I"],
    ["C I", "awaiting-metadata 5 I"],
    ["A I", "serve 6 I"],
  ]);
  check([
    ["A I!", "serve 1 I"],
    ["B J!", "serve 2 J"],
    ["A J", "awaiting-metadata 3 J"],
  ]);
});

test("another instance behind the same MAC is another binding", () => {
  check([
    ["A I!", "serve 1 I"],
    ["A J!", "serve 2 J"],
    ["A I!", "serve 3 I"],
  ]);
  check([
    ["off I!", "serve 1 I"],
    ["off J!", "serve 2 J"],
  ]);
});

test("a lease that was given back keeps the former's MAC in mind", () => {
  check([
    ["A I!", "serve 1 I"],
    ["xA I", "lease-removed 1 I"],
    ["B I", "awaiting-metadata 2 I"],
    ["B J!", "serve 2 J"],
  ]);
  check([
    ["xA I!", "lease-removed 1 I"],
    ["B I", "awaiting-metadata 2 I"],
  ]);
  check([
    ["A I!", "serve 1 I"],
    ["xB I", "lease-removed 2 I"],
    ["C I", "awaiting-metadata 3 I"],
  ]);
});

test("a first lease is taken as it is where the address was served without", () => {
  check([
    ["off I!", "serve 1 I"],
    ["A I", "serve 1 I"],
    ["B I", "awaiting-metadata 2 I"],
  ]);
});

test("a first lease of an address that was withheld for want of one may be another's", () => {
  check([
    ["- I!", "no-lease 1 I"],
    ["A I", "awaiting-metadata 2 I"],
    ["A J!", "serve 2 J"],
  ]);
});

test("metadata that came while leases could not be read is confirmed by the lease", () => {
  check([
    ["A I!", "serve 1 I"],
    ["~A J!", "serve 2 J"],
    ["B J", "serve 2 J"],
    ["C J", "awaiting-metadata 3 J"],
  ]);
  check([
    ["A I!", "serve 1 I"],
    ["~A J!", "serve 2 J"],
    ["A J", "serve 2 J"],
    ["B J", "awaiting-metadata 3 J"],
  ]);
});

test("metadata that is known by its name only is not served, and not forgotten", () => {
  check([
    ["A I!", "serve 1 I"],
    ["A I?", "awaiting-metadata 1 I"],
    ["B I?", "awaiting-metadata 2 I"],
    ["B J!", "serve 2 J"],
  ]);
});

test("after a restart that does not know whose metadata was withheld, it is the former's", () => {
  const removed: Bond = {
    ...{ mac: A, instance: undefined, epoch: 4, verdict: "lease-removed", since: 0 },
    ...{ past: undefined, unconfirmed: false, unsure: true },
  };
  check(
    [
      ["xA I!", "lease-removed 4 I"],
      ["B I", "awaiting-metadata 5 I"],
    ],
    removed,
  );
  check(
    [
      ["B I!", "awaiting-metadata 5 I"],
      ["B I", "awaiting-metadata 5 I"],
    ],
    removed,
  );
  check([["A I!", "serve 4 I"]], removed);
  const awaiting: Bond = {
    ...{ ...removed, mac: B, verdict: "awaiting-metadata" },
    past: { mac: undefined, instance: undefined },
  };
  check(
    [
      ["B I", "awaiting-metadata 4 -"],
      ["B J!", "serve 4 J"],
    ],
    awaiting,
  );
});

test("metadata is late 30 s after the epoch began, and only where there was a former one", () => {
  const served = look(undefined, seen("A I!"), 1000);
  expect(lateAt(served)).toBeUndefined();
  const awaiting = look(served, seen("B I"), 2000);
  expect(lateAt(awaiting)).toBe(2000 + METADATA_LATE_MS);
  expect(lateAt(look(awaiting, seen("B I"), 9000))).toBe(2000 + METADATA_LATE_MS);
  expect(lateAt(look(awaiting, seen("C I"), 9000))).toBe(9000 + METADATA_LATE_MS);
  expect(lateAt(look(awaiting, seen("B J!"), 9000))).toBeUndefined();
  expect(lateAt(look(undefined, seen("A -"), 0))).toBeUndefined();
});

// Goal: whatever the order of events, no guest is given another's metadata.
// Method: instances come and go at one address as CloudStack lets them (lease first, metadata
// later, nothing taken back); some of it is seen late or not at all; whenever something is served,
// the instance that has the MAC is the one that the metadata names.
test("no order of looks serves an instance's metadata to another's MAC", () => {
  const event = fc.constantFrom("lease", "metadata", "remove", "next");
  const history = fc.array(fc.tuple(event, fc.boolean()), { maxLength: 40 });
  fc.assert(
    fc.property(history, (events) => {
      let owner = 0;
      let lease: { mac: number; removed: boolean } | undefined;
      let metadata: number | undefined;
      let known: number | undefined;
      let bond: Bond | undefined;
      let epoch = 0;
      for (const [what, isSeen] of events) {
        if (what === "next") [owner, lease] = [owner + 1, lease && { ...lease, removed: true }];
        else if (what === "remove" && lease?.mac === owner) lease = { mac: owner, removed: true };
        else if (what === "lease") lease = { mac: owner, removed: false };
        else if (what === "metadata" && lease?.mac === owner) metadata = owner;
        if (!isSeen && bond !== undefined) continue; // It is seen late, with what comes next.
        const mac = lease && macOf(lease.mac);
        const sight: Seen = {
          lease: lease && { ...(mac && { mac }), removed: lease.removed },
          leasesKnown: true,
          leasesFresh: true,
          instance: metadata === undefined ? undefined : `i${metadata}`,
          servable: metadata !== undefined,
          arrived: metadata !== known,
          doubtful: metadata !== lease?.mac,
        };
        known = metadata;
        if (bond === undefined && lease === undefined) continue;
        bond = look(bond, sight, 0);
        if (bond.verdict === "serve") expect(bond.instance).toBe(`i${lease?.mac}`);
        expect(bond.epoch).toBeGreaterThanOrEqual(epoch);
        epoch = bond.epoch;
      }
    }),
    { numRuns: 1000 },
  );
});

function macOf(number: number): typeof A {
  return parseMac(`02:00:00:00:00:${number.toString(16).padStart(2, "0")}`);
}

type Step = readonly [sight: string, expected: string];

function check(steps: readonly Step[], start?: Bond): void {
  let bond = start;
  const seenSoFar: string[] = [];
  for (const [sight, expected] of steps) {
    bond = look(bond, seen(sight), 0);
    seenSoFar.push(`${sight} -> ${bond.verdict} ${bond.epoch} ${bond.instance ?? "-"}`);
    expect(seenSoFar.at(-1)).toBe(`${sight} -> ${expected}`);
  }
}

function seen(sight: string): Seen {
  const [lease = "", metadata = ""] = sight.split(" ");
  const mac = MACS[lease.at(-1) ?? ""];
  return {
    lease: mac === undefined ? undefined : { mac, removed: lease.includes("x") },
    leasesKnown: lease !== "off",
    leasesFresh: !lease.includes("~"),
    instance: metadata === "-" ? undefined : metadata[0],
    servable: metadata !== "-" && !metadata.includes("?"),
    arrived: metadata.includes("!"),
    doubtful: lease.includes("+"),
  };
}
