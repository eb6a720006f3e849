/** Which lease a change tells of. */

import { expect, test } from "bun:test";
import { parseIp, parseMac } from "../../model/address.ts";
import type { Change } from "../../model/change.ts";
import { leaseOf } from "./leases.ts";

const ADDRESS = parseIp("10.1.1.5");
const MAC = parseMac("02:00:00:00:00:01");
const AT = { network: "a", address: ADDRESS, epoch: 1 };

test("a lease begins with the new MAC address, and ends with the lease", () => {
  const binding = { ...AT, instance: "i", name: "n", keys: [] };
  const origin = { kind: "databag", place: "vmdata.json" } as const;
  const withheld = { ...AT, mac: MAC, since: 0 };
  check({ kind: "put", binding: { ...binding, origin, mac: MAC } }, MAC);
  check({ kind: "put", binding: { ...binding, origin } }, undefined);
  check({ kind: "withhold", withheld: { ...withheld, reason: "awaiting-metadata" } }, MAC);
  check({ kind: "withhold", withheld: { ...withheld, reason: "lease-removed" } }, undefined);
  check({ kind: "withhold", withheld: { ...withheld, reason: "conflict" } }, undefined);
  check({ kind: "delete", network: "a", address: ADDRESS }, undefined);
});

test("a password is no lease", () => {
  const password = { ...AT, password: "x", via: "apply", standing: false };
  expect(leaseOf({ kind: "password", ...password })).toBeUndefined();
});

function check(change: Change, mac: string | undefined): void {
  expect(leaseOf(change)).toEqual({ address: ADDRESS, mac: mac as typeof MAC | undefined });
}
