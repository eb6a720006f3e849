/**
 * From a cloud to records: one for each instance and network, with its NICs there.
 *
 * Pure. Each record has passed `parseRecord`. What cannot be kept is a finding, and its instance
 * has no `records`, so that a record of it is neither changed nor deleted.
 */

import { type Ip, tryParseMac } from "../../model/address.ts";
import { KEY_NAME, type KeyValue } from "../../model/binding.ts";
import { RecordError } from "../../model/errors.ts";
import type { InstanceRecord } from "../../model/record.ts";
import { NICS_MAX, VALUE_CHARS_MAX } from "../../model/record-limits.ts";
import { isLine, parseRecord } from "../../model/record-parse.ts";
import { type AddressesOf, addressesOf } from "./addresses.ts";
import type { Cloud, CloudNic, Instance } from "./cloud.ts";
import type { Findings } from "./findings.ts";
import { type Installation, nextInstallation } from "./incarnation.ts";
import { keysOf, NIC_KEYS, offeringOf, type PublicAddressOf, publicAddressOf } from "./keys.ts";

/** In these an instance does not run, and cannot before CloudStack says so. */
const GONE: ReadonlySet<string> = new Set(["Destroyed", "Expunging", "Expunged", "Error"]);

/** What becomes of one instance. */
export interface Mapped {
  readonly id: string;
  /** One for each network; `undefined` where nothing certain is known. */
  readonly records: readonly InstanceRecord[] | undefined;
  /** To be remembered for the next mapping. */
  readonly installation: Installation;
}

/** What is remembered of an instance, by its id. */
export type Installations = Pick<ReadonlyMap<string, Installation>, "get">;

/**
 * Of each instance that is not gone, in order. O(instances) in all; it yields between two, because
 * a large cloud takes a while, and so that nobody has to keep the records of all.
 */
export function* recordsOf(
  cloud: Cloud,
  last: Installations,
  findings: Findings,
): Generator<Mapped, void> {
  const publicAddress = publicAddressOf(cloud);
  const addresses = addressesOf(cloud);
  const claimed = taken(cloud, addresses, findings);
  const mapping = { cloud, findings, publicAddress, addresses, taken: claimed };
  for (const instance of cloud.instances) {
    const { id } = instance;
    if (GONE.has(instance.state ?? "")) continue;
    if (!isLine(id)) {
      findings.add("instance-unusable", "listVirtualMachines.id", [], id);
      continue;
    }
    const installation = nextInstallation(last.get(id), cloud.rootDisks.get(id));
    yield { id, installation, records: tryRecords(mapping, instance, installation.incarnation) };
  }
}

function tryRecords(
  mapping: Mapping,
  instance: Instance,
  incarnation: number,
): readonly InstanceRecord[] | undefined {
  if (!instance.usable) return undefined;
  try {
    return instanceRecords(mapping, instance, incarnation);
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    mapping.findings.add("instance-unusable", `record.${error.field}`, [], instance.id);
    return undefined;
  }
}

interface Mapping {
  readonly cloud: Cloud;
  readonly findings: Findings;
  readonly publicAddress: PublicAddressOf;
  readonly addresses: AddressesOf;
  /** `network/address` of what several instances claim. */
  readonly taken: ReadonlySet<string>;
}

/** @throws {RecordError} */
function instanceRecords(
  mapping: Mapping,
  instance: Instance,
  incarnation: number,
): InstanceRecord[] {
  const { cloud, findings } = mapping;
  const networks = new Map<string, CloudNic[]>();
  for (const nic of instance.nics.slice(0, NICS_MAX)) {
    const { networkid = "" } = nic;
    networks.set(networkid, [...(networks.get(networkid) ?? []), nic]);
  }
  if (!cloud.offerings.has(instance.serviceofferingid ?? "") && offeringOf(instance, cloud)) {
    findings.add("offering-unknown", "listServiceOfferings", ["service-offering"], instance.id);
  }
  const userData = userDataOf(instance, findings);
  const publicKeys = (instance.publicKeys ?? "").split(/\r?\n/).filter((key) => key.trim() !== "");
  const { account, project, zonename, templatename } = instance;
  return [...networks].flatMap(([network, nics]) => {
    const kept = nics.map((nic) => nicOf(mapping, instance, nic));
    // Nobody is ever asked for an address that such a network cannot have.
    const isBare =
      typeOf(cloud, nics[0]) === "L2" && kept.every((nic) => nic.addresses.length === 0);
    if (isBare) return [];
    if (!cloud.networks.has(network)) {
      findings.add("network-unknown", "listNetworks", NIC_KEYS, network);
    }
    const record = parseRecord({
      network,
      id: instance.id,
      name: instance.name,
      account,
      project,
      zone: zonename,
      template: templatename,
      ...keysAndNics(kept),
      userData,
      publicKeys,
      incarnation,
      epoch: 1,
    });
    return [record];
  });
}

interface Nic {
  readonly mac: string | undefined;
  readonly addresses: readonly Ip[];
  readonly default: boolean;
  readonly keys: readonly KeyValue[];
}

function nicOf(mapping: Mapping, instance: Instance, nic: CloudNic): Nic {
  const { cloud, findings, publicAddress, taken } = mapping;
  const { macaddress, networkid = "" } = nic;
  const mac = tryParseMac(macaddress);
  if (mac === undefined) findings.add("address-invalid", "nic.macaddress", [], instance.id);
  const addresses = mapping.addresses(nic, () => {
    findings.add("address-invalid", "nic.ipaddress", ["local-ipv4"], instance.id);
  });
  const isOwn = addresses.some((address) => address === nic.ipaddress);
  const shown = isOwn ? nic : { ...nic, ipaddress: undefined };
  const keys = keysOf(instance, shown, cloud, publicAddress(instance.id, nic));
  const served = keys.filter(([name, value]) => {
    const isServed = KEY_NAME.test(name) && (value?.length ?? 0) <= VALUE_CHARS_MAX;
    if (!isServed) findings.add("key-refused", "userdatadetails", [], instance.id);
    return isServed;
  });
  return {
    mac,
    addresses: addresses.filter((address) => !taken.has(`${networkid}/${address}`)),
    default: nic.isdefault === true,
    keys: served,
  };
}

/** One NIC has its keys in the record; of several, each has what differs. */
function keysAndNics(nics: readonly Nic[]): { keys: readonly KeyValue[]; nics: readonly object[] } {
  const [first, second] = nics;
  if (first === undefined || second === undefined) {
    return { keys: first?.keys ?? [], nics: nics.map(({ keys: _, ...nic }) => nic) };
  }
  const differs = ([name]: KeyValue): boolean => NIC_KEYS.includes(name);
  // All of them in one order, also those that the first one lacks.
  const fullest = nics.reduce((a, b) => (b.keys.length > a.keys.length ? b : a));
  const keys = fullest.keys.map((key): KeyValue => (differs(key) ? [key[0], ""] : key));
  return { keys, nics: nics.map((nic) => ({ ...nic, keys: nic.keys.filter(differs) })) };
}

function userDataOf({ id, userData }: Instance, findings: Findings): Uint8Array | undefined {
  if (typeof userData !== "string") return userData;
  findings.add(userData, "userdata", ["user-data"], id);
  return undefined;
}

/** What more than one instance claims: whose it is cannot be said, so nobody has it. */
function taken(cloud: Cloud, addresses: AddressesOf, findings: Findings): ReadonlySet<string> {
  const owners = new Map<string, string>();
  const claimed = new Set<string>();
  for (const { id, state = "", usable, nics } of cloud.instances) {
    if (!usable || GONE.has(state)) continue;
    for (const nic of nics) {
      for (const address of addresses(nic, () => {})) {
        const place = `${nic.networkid}/${address}`;
        const owner = owners.get(place);
        if (owner === undefined) {
          owners.set(place, id);
          continue;
        }
        claimed.add(place);
        const who = `${address} of ${owner} and ${id}`;
        findings.add("address-conflict", `network ${nic.networkid}`, ["local-ipv4"], who);
      }
    }
  }
  return claimed;
}

function typeOf(cloud: Cloud, nic: CloudNic | undefined): string | undefined {
  return cloud.networks.get(nic?.networkid ?? "")?.type ?? nic?.type;
}
