/**
 * `frontdesk networks`: the networks that a controller's store knows.
 */

import type { Network } from "../../model/change.ts";
import { API_OPTIONS, openApiClient } from "../api-client.ts";
import { type Command, EXIT, type Invocation, JSON_OPTION } from "../command.ts";

const OPTIONS = [...API_OPTIONS, JSON_OPTION];

const list: Command = {
  options: OPTIONS,
  examples: [["frontdesk networks list --json | jq -r '.[].id'", "for a program"]],
  run,
};

async function run({ options, out }: Invocation): Promise<0> {
  const client = await openApiClient(options);
  const answer = (await client.get("/v1/networks")) as { networks: readonly Network[] };
  if (options.flag("json")) {
    out.json(answer.networks);
    return EXIT.done;
  }
  const rows = answer.networks.map(({ id, cidrs, dnsDomain }) => [
    id,
    cidrs.join(" ") || "-",
    dnsDomain ?? "-",
  ]);
  out.table(["ID", "RANGES", "DNS DOMAIN"], rows);
  if (rows.length === 0) out.note("there are no networks");
  return EXIT.done;
}

export const networks: Command = {
  description: "Asks a controller's API, as frontdesk controller --api-listen opens it.",
  options: OPTIONS,
  examples: [["frontdesk networks", "which there are, with their ranges of addresses"]],
  commands: [{ name: "list", summary: "list networks", load: async () => ({ list }) }],
  run,
};
