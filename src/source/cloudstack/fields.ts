/**
 * The fields of CloudStack's answers that we read: a line each, with what it is for.
 *
 * Whatever else an answer has is not looked at. A needed field that is missing is a finding.
 *
 * Not asked, because the above say it already: `listNics` (`nic` of each instance is the same),
 * `listVPCs` (`vpcid` of networks and addresses), `listSSHKeyPairs` (names and fingerprints only;
 * the text of the keys is the instance's detail `SSH.PublicKey`), `listZones` and `listDomains`
 * (instances carry both names and ids).
 */

import { type Fields, isFields } from "./answer.ts";

interface Kinds {
  readonly text: string;
  readonly flag: boolean;
  readonly list: readonly Fields[];
  readonly map: Fields;
}

type Kind = keyof Kinds;

export interface Field {
  readonly kind: Kind;
  readonly needed: boolean;
  /** What it is read for: metadata keys, or what it decides. */
  readonly use: string;
}

export type Table = Readonly<Record<string, Field>>;

/** An item as it is read by a table. A needed field may be missing all the same. */
export type Item<T extends Table> = {
  readonly [Name in keyof T]: Kinds[T[Name]["kind"]] | undefined;
};

// biome-ignore format: a table
export const INSTANCE = {
  id:                  { kind: "text", needed: true,  use: "instance-id, vm-id" },
  name:                { kind: "text", needed: true,  use: "local-hostname, public-hostname" },
  state:               { kind: "text", needed: true,  use: "whether it has a record" },
  zonename:            { kind: "text", needed: true,  use: "availability-zone" },
  nic:                 { kind: "list", needed: true,  use: "local-ipv4" },
  zoneid:              { kind: "text", needed: false, use: "cloud-name" },
  serviceofferingid:   { kind: "text", needed: false, use: "service-offering" },
  serviceofferingname: { kind: "text", needed: false, use: "service-offering, without its text" },
  userdata:            { kind: "text", needed: false, use: "user-data" },
  userdatadetails:     { kind: "text", needed: false, use: "the keys that it names" },
  details:             { kind: "map",  needed: false, use: "public-keys" },
  keypair:             { kind: "text", needed: false, use: "whether public-keys is hidden" },
  keypairs:            { kind: "text", needed: false, use: "whether public-keys is hidden" },
  hostname:            { kind: "text", needed: false, use: "hypervisor-host-name" },
  domain:              { kind: "text", needed: false, use: "cloud-domain" },
  domainid:            { kind: "text", needed: false, use: "cloud-domain-id" },
  account:             { kind: "text", needed: false, use: "for people; hypervisor-host-name" },
  project:             { kind: "text", needed: false, use: "for people" },
  templatename:        { kind: "text", needed: false, use: "for people" },
} as const satisfies Table;

// biome-ignore format: a table
export const NIC = {
  networkid:   { kind: "text", needed: true,  use: "which network answers" },
  macaddress:  { kind: "text", needed: true,  use: "who asks" },
  ipaddress:   { kind: "text", needed: false, use: "local-ipv4; absent in a network without any" },
  ip6address:  { kind: "text", needed: false, use: "who asks" },
  secondaryip: { kind: "list", needed: false, use: "who asks" },
  isdefault:   { kind: "flag", needed: false, use: "where a password is delivered" },
  type:        { kind: "text", needed: false, use: "public-ipv4, where the network is not listed" },
} as const satisfies Table;

// biome-ignore format: a table
export const NETWORK = {
  id:            { kind: "text", needed: true,  use: "which network answers" },
  type:          { kind: "text", needed: true,  use: "public-ipv4, public-hostname" },
  cidr:          { kind: "text", needed: false, use: "which addresses are the network's" },
  networkcidr:   { kind: "text", needed: false, use: "the same, where a part of it is reserved" },
  ip6cidr:       { kind: "text", needed: false, use: "which addresses are the network's" },
  networkdomain: { kind: "text", needed: false, use: "the names by which guests call the router" },
  vpcid:         { kind: "text", needed: false, use: "public-ipv4" },
} as const satisfies Table;

// biome-ignore format: a table
export const PUBLIC_ADDRESS = {
  id:                  { kind: "text", needed: true,  use: "which of several is taken" },
  ipaddress:           { kind: "text", needed: true,  use: "public-ipv4, public-hostname" },
  state:               { kind: "text", needed: true,  use: "public-ipv4" },
  issourcenat:         { kind: "flag", needed: true,  use: "public-ipv4" },
  isstaticnat:         { kind: "flag", needed: true,  use: "public-ipv4" },
  associatednetworkid: { kind: "text", needed: false, use: "public-ipv4" },
  vpcid:               { kind: "text", needed: false, use: "public-ipv4" },
  virtualmachineid:    { kind: "text", needed: false, use: "public-ipv4" },
  vmipaddress:         { kind: "text", needed: false, use: "public-ipv4" },
} as const satisfies Table;

// biome-ignore format: a table
export const OFFERING = {
  id:          { kind: "text", needed: true, use: "service-offering" },
  displaytext: { kind: "text", needed: true, use: "service-offering" },
} as const satisfies Table;

// biome-ignore format: a table
export const VOLUME = {
  id:               { kind: "text", needed: true,  use: "the incarnation" },
  virtualmachineid: { kind: "text", needed: false, use: "the incarnation" },
  state:            { kind: "text", needed: false, use: "the incarnation" },
} as const satisfies Table;

// biome-ignore format: a table
export const ACCOUNT = {
  id:       { kind: "text", needed: true, use: "hypervisor-host-name" },
  name:     { kind: "text", needed: true, use: "hypervisor-host-name" },
  domainid: { kind: "text", needed: true, use: "hypervisor-host-name" },
} as const satisfies Table;

/** @param missing is told each needed field that is not there, or of another kind. */
export function readItem<T extends Table>(
  table: T,
  raw: Fields,
  missing: (field: string, use: string) => void,
): Item<T> {
  const item: Record<string, unknown> = {};
  for (const [name, { kind, needed, use }] of Object.entries(table)) {
    const value = readAs(kind, raw[name]);
    item[name] = value;
    if (value === undefined && needed) missing(name, use);
  }
  return item as Item<T>;
}

function readAs(kind: Kind, value: unknown): unknown {
  switch (kind) {
    case "text":
      // Ids were numbers once.
      if (typeof value === "number") return String(value);
      return typeof value === "string" ? value : undefined;
    case "flag":
      return typeof value === "boolean" ? value : undefined;
    case "list":
      return Array.isArray(value) ? value.filter(isFields) : undefined;
    case "map":
      return isFields(value) ? value : undefined;
  }
}
