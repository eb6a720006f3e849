/**
 * What `harden` enforces, as numbers: who may ask, and where the metadata service is.
 *
 * A policy holds nothing but numbers and parsed addresses, so no text from outside can reach a
 * rule. It is sorted and without doubles: two equal policies render equally.
 */

import assert from "node:assert/strict";
import { isIP } from "node:net";
import { type Ip, parseIp } from "../../model/address.ts";
import { UsageError } from "../../model/errors.ts";

/** The name of our table, and the first part of our chains' names. */
export const TABLE = "frontdesk_guest";

/** Ports of the service: metadata, and the password. */
export const PORTS = [80, 8080] as const;

/** Addresses that metadata services have everywhere; a rule for each, found or not. */
export const WELL_KNOWN: readonly Ip[] = [
  parseIp("169.254.169.254"),
  parseIp("fd00:ec2::254"),
  parseIp("fe80::a9fe:a9fe"),
];

/** One less than (uid_t) -1, which means "no user". */
export const ID_MAX = 0xffff_fffe;
/** Users and groups, each: a list for people to oversee; iptables has a rule for each. */
export const IDS_MAX = 1_000;
/** Addresses: a router has one or two for each network that the instance is in. */
export const ADDRESSES_MAX = 64;
/** Ports: iptables takes 15 in one rule. */
export const PORTS_MAX = 15;

export interface Policy {
  /** User ids that may ask. Root (0) is always among them. */
  readonly users: readonly number[];
  readonly groups: readonly number[];
  readonly addresses: readonly Ip[];
  readonly ports: readonly number[];
}

/** Brings a policy into its one form, with root in it. @throws {UsageError} beyond a limit. */
export function makePolicy(parts: Policy): Policy {
  const users = sorted([0, ...parts.users]);
  const groups = sorted(parts.groups);
  const ports = sorted([...PORTS, ...parts.ports]);
  const addresses = [...new Set([...WELL_KNOWN, ...parts.addresses])].sort();
  for (const id of [...users, ...groups]) assert.ok(isWhole(id, ID_MAX), `no id: ${id}`);
  for (const port of ports) assert.ok(port > 0 && isWhole(port, 65_535), `no port: ${port}`);
  for (const address of addresses) assert.ok(isIP(address) !== 0, "not an address");
  limit("users", users, IDS_MAX);
  limit("groups", groups, IDS_MAX);
  limit("ports", ports, PORTS_MAX);
  limit("addresses", addresses, ADDRESSES_MAX);
  return { users, groups, addresses, ports };
}

/** The addresses of one IP version. */
export function addressesOf(policy: Policy, version: 4 | 6): readonly Ip[] {
  return policy.addresses.filter((address) => isIP(address) === version);
}

function sorted(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function isWhole(number: number, max: number): boolean {
  return Number.isInteger(number) && number >= 0 && number <= max;
}

function limit(what: string, list: readonly unknown[], max: number): void {
  if (list.length > max)
    throw new UsageError(`${list.length} ${what} are too many: ${max} at most`);
}
