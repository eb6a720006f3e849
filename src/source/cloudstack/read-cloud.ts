/**
 * Reads a cloud through its API: what the mapping needs, and nothing else.
 *
 * What the API keys may not use is a finding that names the keys that suffer; every other failure
 * is an error, because half a cloud would look like one that shrank.
 */

import { CloudStackError } from "../../model/errors.ts";
import { isLine } from "../../model/record-parse.ts";
import { type Fields, isFields } from "./answer.ts";
import { Budget } from "./budget.ts";
import type { Cloud, CloudNic, Instance } from "./cloud.ts";
import { readExposed } from "./exposed.ts";
import {
  INSTANCE,
  type Item,
  NETWORK,
  NIC,
  OFFERING,
  PUBLIC_ADDRESS,
  readItem,
  VOLUME,
} from "./fields.ts";
import type { Findings } from "./findings.ts";
import { firstItemsOf, idOf, type List, type Listing, type ReadItem } from "./listing.ts";
import {
  type CloudReader,
  ifPermitted,
  type ListReader,
  listEverywhere,
  listOf,
  withProjects,
} from "./reader.ts";
import { readUserData, userDataFrom } from "./user-data.ts";

/** More vanished at once are not asked for one by one, but by reading the list again. */
const CONFIRMED_MAX = 100;

/** The states of a disk that no longer is one. */
const GONE_DISK = /^(destroy|expung)/i;

/**
 * @param known ids of instances that were there: one that is not listed now is looked for
 * @throws {CloudStackError}
 */
export async function readCloud(
  given: CloudReader,
  known: ReadonlySet<string> = new Set(),
): Promise<Cloud> {
  const reader = await withProjects(given);
  const [listing, networks, publicAddresses, offerings, volumes, identifier] = await Promise.all([
    readInstances(reader, known),
    listOf(reader, { command: "listNetworks", item: "network" }, NETWORK, OF_NETWORKS),
    listOf(
      reader,
      { command: "listPublicIpAddresses", item: "publicipaddress" },
      PUBLIC_ADDRESS,
      OF_NETWORKS,
    ),
    listOf(
      reader,
      // Instances keep an offering that is no longer offered.
      { command: "listServiceOfferings", item: "serviceoffering", params: { state: "all" } },
      OFFERING,
      ["service-offering"],
    ),
    listOf(reader, LIST_DISKS, VOLUME, []),
    readIdentifier(reader),
  ]);
  const instances = await readUserData(reader, listing.items);
  return {
    instances,
    complete: listing.settled,
    networks: new Map((networks ?? []).map((network) => [network.id ?? "", network])),
    publicAddresses,
    offerings: new Map(
      (offerings ?? []).map(({ id, displaytext }) => [id ?? "", displaytext ?? ""]),
    ),
    rootDisks: rootDisks(volumes ?? []),
    identifier,
    exposed: await readExposed(reader, instances),
  };
}

const OF_NETWORKS = ["public-ipv4", "public-hostname"];

const LIST_INSTANCES: List = {
  command: "listVirtualMachines",
  item: "virtualmachine",
  params: { details: "nics,tmpl,servoff", userdata: "true" },
};
const LIST_DISKS: List = { command: "listVolumes", item: "volume", params: { type: "ROOT" } };

async function readInstances(
  reader: ListReader,
  known: ReadonlySet<string>,
): Promise<Listing<Instance>> {
  const list = LIST_INSTANCES;
  const read: ReadItem<Instance> = (raw) => readInstance(reader.findings, raw);
  const listing = await listEverywhere(reader, list, read);
  const names = new Set(listing.items.map(({ id }) => id));
  const missing = [...known].filter((id) => !names.has(id));
  if (missing.length === 0 || !listing.settled) return listing;
  // Of what is read again, nothing is kept but those.
  const again = { ...reader, budget: new Budget() };
  const rest =
    missing.length > CONFIRMED_MAX
      ? (await listEverywhere(again, list, read)).items.filter(({ id }) => !names.has(id))
      : await Promise.all(missing.map((id) => readOne(reader, list, { id }, read)));
  const back = rest.filter((instance) => instance !== undefined);
  return { items: [...listing.items, ...back], settled: true };
}

/** What is read of a cloud beside its instances, as a whole reading found it. */
export type Surroundings = Omit<Cloud, "instances" | "complete" | "rootDisks">;

/** Why one instance alone says nothing. */
export type NotAlone =
  /** The API does not list it: it is gone, or the keys may not see it. */
  | "unlisted"
  /** It needs what the reading of the whole cloud did not know; another one must be made. */
  | "unknown";

/**
 * Reads one instance anew, and its root disk.
 *
 * @param around of an earlier reading of the whole cloud
 * @throws {CloudStackError}
 */
export async function readInstanceAnew(
  reader: CloudReader,
  { id }: { readonly id: string },
  around: Surroundings,
): Promise<Cloud | NotAlone> {
  const read: ReadItem<Instance> = (raw) => readInstance(reader.findings, raw);
  const disks = { ...LIST_DISKS, params: { ...LIST_DISKS.params, virtualmachineid: id } };
  const [instance, volumes] = await Promise.all([
    readOne(reader, LIST_INSTANCES, { id }, read),
    // An instance of a project has its disks where all projects' are.
    listOf({ ...reader, hasProjects: true }, disks, VOLUME, []),
  ]);
  if (instance?.id !== id) return "unlisted";
  const { networks, offerings } = around;
  // A list that has nothing may not be read, and will not be by another reading either.
  const isIn = (list: ReadonlyMap<string, unknown>, name = ""): boolean =>
    list.size === 0 || list.has(name);
  const isKnown =
    instance.nics.every(({ networkid }) => isIn(networks, networkid)) &&
    isIn(offerings, instance.serviceofferingid);
  if (!isKnown) return "unknown";
  const instances = await readUserData(reader, [instance]);
  return { ...around, instances, complete: false, rootDisks: rootDisks(volumes ?? []) };
}

/** One instance, looked for by its id; `undefined` if there is no such instance. */
async function readOne(
  { api, signal }: CloudReader,
  list: List,
  { id }: { id: string },
  read: ReadItem<Instance>,
): Promise<Instance | undefined> {
  try {
    // An instance of a project is found by its id without more.
    const params = { ...list.params, id, listall: "true" };
    const [raw] = firstItemsOf(list, await api.read(list.command, params, signal));
    return isFields(raw) ? read(raw) : undefined;
  } catch (error) {
    if (error instanceof CloudStackError && error.code === "CLOUDSTACK_REQUEST") return undefined;
    throw error;
  }
}

function readInstance(findings: Findings, raw: Fields): Instance | undefined {
  let usable = true;
  const name = idOf(raw);
  const missing = (field: string, use: string): void => {
    findings.add("field-missing", `listVirtualMachines.${field}`, [use], name);
    usable = false;
  };
  const { id, nic, details, userdata, ...rest } = readItem(INSTANCE, raw, missing);
  if (id === undefined) return undefined;
  const nics = (nic ?? []).map((one) => readNic(one, missing));
  const key = details?.["SSH.PublicKey"];
  const publicKeys = typeof key === "string" ? key : undefined;
  if (publicKeys === undefined && (rest.keypair ?? rest.keypairs) !== undefined) {
    findings.add("keys-hidden", "listVirtualMachines.details", ["public-keys"], id);
  }
  return { ...rest, id, nics, publicKeys, usable, userData: userDataFrom(userdata) };
}

function readNic(raw: Fields, missing: (field: string, use: string) => void): CloudNic {
  const { secondaryip, ...rest } = readItem(NIC, raw, (field, use) => missing(`nic.${field}`, use));
  const secondary = (secondaryip ?? [])
    .map(({ ipaddress }) => ipaddress)
    .filter((address) => typeof address === "string");
  return { ...rest, secondary };
}

/** The disk that an instance is installed on: another one is another installation. */
function rootDisks(volumes: readonly Item<typeof VOLUME>[]): Map<string, string> {
  const disks = new Map<string, string>();
  const several = new Set<string>();
  for (const { id, virtualmachineid: instance, state } of volumes) {
    if (id === undefined || !isLine(id) || instance === undefined || GONE_DISK.test(state ?? ""))
      continue;
    if (disks.has(instance)) several.add(instance);
    disks.set(instance, id);
  }
  // Which of two it is cannot be said: as long as that is so, nothing has changed.
  for (const instance of several) disks.delete(instance);
  return disks;
}

/** The cloud's own name. The API tells it to a user who names a user: the keys' own. */
async function readIdentifier(reader: CloudReader): Promise<string | undefined> {
  const { api, apiKey, signal } = reader;
  const keys = ["cloud-identifier"];
  const user = await ifPermitted(reader, "getUser", keys, async () => {
    const answer = await api.read("getUser", { userapikey: apiKey }, signal);
    return isFields(answer.user) ? answer.user : {};
  });
  if (user === undefined) return undefined;
  const userid = String(user.id ?? "");
  return ifPermitted(reader, "getCloudIdentifier", keys, async () => {
    const answer = await api.read("getCloudIdentifier", { userid }, signal);
    const { cloudidentifier } = isFields(answer.cloudidentifier) ? answer.cloudidentifier : {};
    if (typeof cloudidentifier === "string") return cloudidentifier;
    reader.findings.add("field-missing", "getCloudIdentifier.cloudidentifier", keys);
    return undefined;
  });
}
