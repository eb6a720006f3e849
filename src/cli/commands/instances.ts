/**
 * `frontdesk instances`: what a controller's store has of them.
 */

import { clean } from "../../model/clean.ts";
import { counted } from "../../model/count.ts";
import { API_OPTIONS, openApiClient } from "../api-client.ts";
import {
  checkNetwork,
  find,
  type ListedInstance,
  listed,
  networkOf,
  OF_NETWORK,
  pathOf,
  type ShownInstance,
} from "../api-instances.ts";
import { type Command, EXIT, type Invocation, JSON_OPTION } from "../command.ts";
import type { Output } from "../output.ts";
import { open, SEALED, seal } from "./instances-seal.ts";

const OPTIONS = [OF_NETWORK, ...API_OPTIONS, JSON_OPTION];

const list: Command = {
  options: OPTIONS,
  examples: [
    ["frontdesk instances list --network 204", "those of one network"],
    ["frontdesk instances list --json | jq -r '.[].id'", "for a program"],
  ],
  run: runList,
};

async function runList({ options, out }: Invocation): Promise<0> {
  const client = await openApiClient(options);
  const all: ListedInstance[] = [];
  for await (const one of listed(client, { network: networkOf(options) }, out)) all.push(one);
  if (all.length === 0) await checkNetwork(client, networkOf(options));
  if (options.flag("json")) out.json(all);
  else {
    const head = ["NETWORK", "ID", "NAME", "ADDRESSES", "USER DATA", "PASSWORD", "SEAL", "ZONE"];
    out.table(head, all.map(row));
    if (all.length === 0) out.note("there are no instances");
  }
  return EXIT.done;
}

function row(listed: ListedInstance): string[] {
  const { network, id, name, nics, userData, password, sealed, zone } = listed;
  const addresses = nics.flatMap((nic) => nic.addresses).join(" ");
  const bytes = userData === undefined ? "-" : counted(userData.bytes, "byte");
  const closed = sealed === true ? "sealed" : "-";
  return [network, id, name, addresses || "-", bytes, password, closed, zone ?? "-"];
}

const show: Command = {
  description: "Shows an instance in each of its networks: what its guest is told.",
  arguments: [{ name: "<instance>", summary: "its id, or its name" }],
  options: OPTIONS,
  examples: [["frontdesk instances show web-01", "all that is kept of it, but no secret"]],
  async run({ args: [word = ""], options, out }) {
    const client = await openApiClient(options);
    const found = await find(client, { word, network: networkOf(options) }, out);
    const all: ShownInstance[] = [];
    for (const one of found) all.push((await client.get(pathOf(one))) as ShownInstance);
    if (options.flag("json")) out.json(all);
    else for (const [index, one] of all.entries()) print(out, one, index);
    return EXIT.done;
  },
};

function print(out: Output, shown: ShownInstance, index: number): void {
  if (index > 0) out.print("");
  for (const [label, value] of rows(shown)) out.print(`${label.padEnd(11)} ${clean(value)}`);
}

function* rows(shown: ShownInstance): Generator<readonly [string, string]> {
  yield ["instance", `${shown.id} (${shown.name})`];
  yield ["network", shown.network];
  for (const { mac, addresses } of shown.nics) {
    yield ["nic", `${addresses.join(" ") || "no address"}${mac === undefined ? "" : `, ${mac}`}`];
  }
  for (const name of ["account", "project", "zone", "template"] as const) {
    const value = shown[name];
    if (value !== undefined) yield [name, value];
  }
  const { userData, password, revision, epoch, incarnation } = shown;
  yield ["user data", userData === undefined ? "none" : counted(userData.bytes, "byte")];
  yield ["password", password === "pending" ? "waits for the guest" : "none waits"];
  if (shown.sealed === true) yield ["seal", SEALED];
  yield ["revision", `${revision}, epoch ${epoch}, incarnation ${incarnation}`];
  for (const { sha256, bytes } of shown.payloads ?? []) {
    yield ["payload", `${sha256}, ${counted(bytes, "byte")}`];
  }
  for (const key of shown.publicKeys) yield ["public key", key];
  for (const [name, value] of shown.keys) yield ["key", `${name} = ${value ?? "(no value)"}`];
}

// biome-ignore format: a table reads best with one line for each command
export const instances: Command = {
  description: "Asks a controller's API, as frontdesk controller --api-listen opens it.",
  options: OPTIONS,
  examples: [
    ["frontdesk instances", "all of them"],
    ["frontdesk instances show web-01", "one of them"],
  ],
  commands: [
    { name: "list", summary: "list instances", load: async () => ({ list }) },
    { name: "show", summary: "show all that is kept of one", load: async () => ({ show }) },
    { name: "seal", summary: "close user data and password to the guest", load: async () => ({ seal }) },
    { name: "open", summary: "open them again", load: async () => ({ open }) },
  ],
  run: runList,
};
