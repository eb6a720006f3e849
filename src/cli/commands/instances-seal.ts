/**
 * `frontdesk instances seal` and `open`: whether the guest is told its user data and its password.
 */

import { API_OPTIONS, openApiClient } from "../api-client.ts";
import { findOne, networkOf, OF_NETWORK, pathOf } from "../api-instances.ts";
import { type Command, EXIT, type Invocation, JSON_OPTION } from "../command.ts";

/** How an instance is shown that is sealed. */
export const SEALED = "sealed: no user data and no password until it is installed anew or opened";

const INSTANCE = [{ name: "<instance>", summary: "its id, or its name" }];
/** An instance has a seal in each of its networks: where there are several, one is named. */
const OPTIONS = [OF_NETWORK, ...API_OPTIONS, JSON_OPTION];

interface SealState {
  readonly sealed: boolean;
  readonly incarnation: number;
}

export const seal: Command = {
  description:
    "Closes user data, payloads and password to the guest, in this network: what comes into it " +
    "later cannot read them. The guest is answered as one without user data; its keys go on. An " +
    "instance that is installed anew is open.",
  arguments: INSTANCE,
  options: OPTIONS,
  examples: [["frontdesk instances seal web-01", "once it has booted"]],
  run: (call) => change(call, true),
};

export const open: Command = {
  description: "Opens user data and password to the guest again; a password that waits is offered.",
  arguments: INSTANCE,
  options: OPTIONS,
  examples: [["frontdesk instances open web-01 --network 204", "before it boots again"]],
  run: (call) => change(call, false),
};

async function change({ args, options, out }: Invocation, isSealed: boolean): Promise<0> {
  const [word = ""] = args;
  const client = await openApiClient(options);
  const { network, id } = await findOne(client, { word, network: networkOf(options) }, out);
  const path = `${pathOf({ network, id })}/seal`;
  if (isSealed) await client.put(path, { type: "application/json", body: "{}" });
  else await client.remove(path);
  const state = (await client.get(path)) as SealState;
  if (options.flag("json")) out.json({ network, id, ...state });
  else out.note(state.sealed ? "sealed: its guest is told no user data and no password" : "open");
  return EXIT.done;
}
