/**
 * How the API shows an instance, its NICs and its networks: CloudStack's fields in its order.
 */

import { createHash } from "node:crypto";
import type { Network } from "../../model/change.ts";
import { type InstanceRecord, type RecordNic, userDataOf } from "../../model/record.ts";
import type { Fields } from "../../source/cloudstack/answer.ts";
import { timestamp } from "../../source/cloudstack/sign.ts";
import { rangeOf } from "./addresses.ts";
import {
  ACCOUNT,
  DOMAIN,
  LAB_NETWORK,
  LAB_NETWORK_NAME,
  OFFERINGS,
  TEMPLATES,
  USER,
  ZONE,
} from "./catalogue.ts";
import type { Known, Lab } from "./lab.ts";

/** Nothing is run, and CloudStack has a word for that. */
export const HYPERVISOR = "Simulator";

/** What an answer says beside what is known of an instance. */
export interface Extra {
  readonly state?: string;
  /** Only where it was made or set by this very command. */
  readonly password?: string;
  /** Its user data, which may be long. */
  readonly withUserData?: boolean;
}

/** What is looked up to show instances: read once for all of a list. */
export interface Viewer {
  readonly lab: Lab;
  readonly networks: readonly Network[];
}

export async function viewerOf(lab: Lab): Promise<Viewer> {
  return { lab, networks: await lab.ports.store.networks() };
}

/** What a command about one instance answers. @throws {ClientApiError} 431 if there is none */
export async function answerOf(lab: Lab, id: string, extra: Extra = {}): Promise<Fields> {
  return { virtualmachine: await showInstance(await viewerOf(lab), await lab.get(id), extra) };
}

export async function showInstance(
  { lab, networks }: Viewer,
  known: Known,
  extra: Extra = {},
): Promise<Fields> {
  const { id, records, management } = known;
  const { record } = records[0];
  const template = TEMPLATES.find((one) => one.id === management.templateid);
  const offering = OFFERINGS.find((one) => one.id === management.serviceofferingid);
  const userData = lab.userData.get(management.userdataid ?? "");
  return present({
    id,
    name: record.name,
    displayname: management.displayname,
    account: record.account ?? ACCOUNT.name,
    userid: USER.id,
    username: USER.name,
    domainid: DOMAIN.id,
    domain: DOMAIN.name,
    created: management.created === 0 ? undefined : timestamp(management.created),
    state: extra.state ?? management.state,
    haenable: false,
    zoneid: ZONE.id,
    zonename: record.zone ?? ZONE.name,
    templateid: template?.id,
    templatename: template?.name ?? record.template,
    templatedisplaytext: template?.displaytext,
    passwordenabled: template?.passwordenabled ?? record.password !== undefined,
    serviceofferingid: offering?.id,
    serviceofferingname: offering?.name ?? keyOf(record, "service-offering"),
    cpunumber: offering?.cpunumber,
    cpuspeed: offering?.cpuspeed,
    memory: offering?.memory,
    keypairs: management.keypairs.length === 0 ? undefined : management.keypairs.join(","),
    userdata: extra.withUserData === true ? await base64Of(record) : undefined,
    userdataid: userData?.id,
    userdataname: userData?.name,
    userdatapolicy: userData === undefined ? undefined : "ALLOWOVERRIDE",
    userdatadetails: mapText(management.userdatadetails),
    rootdeviceid: 0,
    rootdevicetype: "ROOT",
    securitygroup: [],
    password: extra.password,
    nic: showNics(known, networks),
    hypervisor: HYPERVISOR,
    details: detailsOf(record, management.details),
    affinitygroup: [],
    displayvm: true,
    isdynamicallyscalable: false,
    tags: [],
  });
}

/** All NICs of an instance, the default one first. */
export function showNics({ id, records }: Known, networks: readonly Network[]): Fields[] {
  const all = records.flatMap(({ record }) =>
    record.nics.map((nic, at) => ({ network: record.network, nic, at })),
  );
  return all.map(({ network, nic, at }, device) => {
    const name = `${id}/${network}/${at}`;
    const known = networks.find((one) => one.id === network);
    return present(showNic({ name, network, nic, device }, known));
  });
}

interface ShownNic {
  /** Of which its id is made. */
  readonly name: string;
  readonly network: string;
  readonly nic: RecordNic;
  readonly device: number;
}

function showNic({ name, network: networkid, nic, device }: ShownNic, network?: Network): Fields {
  const ipv4 = nic.addresses.find((address) => !address.includes(":"));
  const ipv6 = nic.addresses.find((address) => address.includes(":"));
  const range = rangeOf(network, ipv4);
  const range6 = ipv6 === undefined ? undefined : rangeOf(network, ipv6);
  const secondary = nic.addresses.filter((address) => address !== ipv4 && address !== ipv6);
  const known = range !== undefined && range.netmask !== undefined;
  return {
    id: uuidOf(`nic ${name}`),
    networkid,
    networkname: nameOf(networkid),
    netmask: known && ipv4 !== undefined ? range.netmask : undefined,
    gateway: known && ipv4 !== undefined ? range.gateway : undefined,
    ipaddress: ipv4,
    ip6address: ipv6,
    ip6gateway: range6?.gateway,
    ip6cidr: range6?.cidr,
    traffictype: "Guest",
    type: "Shared",
    isdefault: nic.default,
    macaddress: nic.mac,
    secondaryip: secondary.map((ipaddress) => ({
      id: uuidOf(`address ${name}/${ipaddress}`),
      ipaddress,
    })),
    extradhcpoption: [],
    deviceid: String(device),
  };
}

export function showNetwork({ id, cidrs }: Network): Fields {
  const v4 = cidrs.filter((cidr) => !cidr.includes(":"));
  const v6 = cidrs.filter((cidr) => cidr.includes(":"));
  const range = rangeOf({ id, cidrs: v4 });
  return present({
    id,
    name: nameOf(id),
    displaytext: nameOf(id),
    broadcastdomaintype: "Vlan",
    traffictype: "Guest",
    gateway: range?.gateway,
    netmask: range?.netmask,
    cidr: joined(v4),
    ip6cidr: joined(v6),
    zoneid: ZONE.id,
    zonename: ZONE.name,
  });
}

/** A name of the network for people: the lab's has one, others go by their ids. */
export function nameOf(network: string): string {
  return network === LAB_NETWORK.id ? LAB_NETWORK_NAME : network;
}

/** User data as base64; `undefined` where there is none. */
export async function base64Of(record: InstanceRecord): Promise<string | undefined> {
  const bytes = await userDataOf(record);
  return bytes && Buffer.from(bytes).toString("base64");
}

/** As Java writes a map: `{a=1, b=2}`. */
function mapText(pairs: readonly (readonly [string, string])[]): string | undefined {
  if (pairs.length === 0) return undefined;
  return `{${pairs.map(([name, value]) => `${name}=${value}`).join(", ")}}`;
}

/** The fields that have a value: the others are not in an answer. */
export function present(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function detailsOf(
  { publicKeys }: InstanceRecord,
  details: readonly (readonly [string, string])[],
): Fields {
  const keys = publicKeys.length === 0 ? {} : { "SSH.PublicKey": publicKeys.join("\n") };
  return { ...Object.fromEntries(details), ...keys };
}

function keyOf({ keys }: InstanceRecord, name: string): string | undefined {
  return keys.find(([key]) => key === name)?.[1] ?? undefined;
}

function joined(items: readonly string[]): string | undefined {
  return items.length === 0 ? undefined : items.join(",");
}

/** Always the same one for a name, so that it need not be kept. @see RFC 9562 section 5.8 */
export function uuidOf(name: string): string {
  const hash = createHash("sha256").update(name).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString("hex", 0, 16);
  return [8, 12, 16, 20, 32]
    .map((end, at, ends) => hex.slice(at === 0 ? 0 : ends[at - 1], end))
    .join("-");
}
