/**
 * `frontdesk instances seal` and `open`: whether the guest is told its user data and its password.
 */

import { API_OPTIONS, openApiClient } from "../api-client.ts";
import { pathOf } from "../api-instances.ts";
import { type Command, EXIT, type Invocation, JSON_OPTION } from "../command.ts";

/** How an instance is shown that is sealed. */
export const SEALED = "sealed: no user data and no password until it is installed anew or opened";

/** Both, because an instance has a seal in each of its networks. */
const PLACE = [
  { name: "<network>", summary: "the network's id" },
  { name: "<id>", summary: "the instance's id" },
] as const;
const OPTIONS = [...API_OPTIONS, JSON_OPTION];

interface SealState {
  readonly sealed: boolean;
  readonly incarnation: number;
}

export const seal: Command = {
  description:
    "Closes user data, payloads and password to the guest, in this network: what comes into it " +
    "later cannot read them. The guest is answered as one without user data; its keys go on. An " +
    "instance that is installed anew is open.",
  arguments: PLACE,
  options: OPTIONS,
  examples: [
    ["frontdesk instances seal 204 5d1ad3f5-4a3c-4d38-8b6b-2b1f1d6f3b0a", "once it has booted"],
  ],
  run: (call) => change(call, true),
};

export const open: Command = {
  description: "Opens user data and password to the guest again; a password that waits is offered.",
  arguments: PLACE,
  options: OPTIONS,
  examples: [
    ["frontdesk instances open 204 5d1ad3f5-4a3c-4d38-8b6b-2b1f1d6f3b0a", "before it boots again"],
  ],
  run: (call) => change(call, false),
};

async function change({ args, options, out }: Invocation, isSealed: boolean): Promise<0> {
  const [network = "", id = ""] = args;
  const client = await openApiClient(options);
  const path = `${pathOf({ network, id })}/seal`;
  if (isSealed) await client.put(path, { type: "application/json", body: "{}" });
  else await client.remove(path);
  const state = (await client.get(path)) as SealState;
  if (options.flag("json")) out.json({ network, id, ...state });
  else out.note(state.sealed ? "sealed: its guest is told no user data and no password" : "open");
  return EXIT.done;
}
