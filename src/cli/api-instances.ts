/**
 * Instances as the operator API lists them, and how a command finds the one that is meant.
 */

import { PAGE_MAX } from "../controller/api/limits.ts";
import type { InstanceOutput, SummaryOutput } from "../controller/api/schemas.ts";
import { AdminError, quote, RecordError, UsageError } from "../model/errors.ts";
import { parseNetworks } from "../model/record-parse.ts";
import type { ApiClient } from "./api-client.ts";
import type { OptionSpec, Options } from "./command.ts";
import type { Output } from "./output.ts";

/** `sealed` is absent where the controller is of an earlier version. */
type OfAnyVersion<T extends { sealed: boolean }> = Omit<T, "sealed"> & {
  readonly sealed?: boolean;
};

export type ListedInstance = OfAnyVersion<SummaryOutput>;
/** Whole. */
export type ShownInstance = OfAnyVersion<InstanceOutput>;

interface Page {
  readonly instances: readonly ListedInstance[];
  readonly next?: string;
}

export const OF_NETWORK: OptionSpec = {
  flags: "--network <id>",
  summary: "only in this network",
};

/**
 * The network that `--network` names.
 *
 * @throws {UsageError} if no network can have such an id.
 */
export function networkOf(options: Options): string | undefined {
  const network = options.string("network");
  if (network === undefined) return undefined;
  try {
    parseNetworks([{ id: network, cidrs: [] }]);
    return network;
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    const what = `${quote(network)} is no id of a network`;
    throw new UsageError(`--network ${what}; frontdesk networks lists them`);
  }
}

/** All instances, or a network's, or those of an id or a name, page by page. */
export async function* listed(
  client: ApiClient,
  { network, word }: { readonly network: string | undefined; readonly word?: string },
  out: Output,
): AsyncGenerator<ListedInstance> {
  let after: string | undefined;
  let count = 0;
  do {
    const query = new URLSearchParams({ limit: String(PAGE_MAX) });
    if (network !== undefined) query.set("network", network);
    if (word !== undefined) for (const field of ["id", "name"]) query.set(field, word);
    if (after !== undefined) query.set("after", after);
    const { instances, next } = (await client.get(`/v1/instances?${query}`)) as Page;
    yield* instances;
    count += instances.length;
    after = next;
    if (after === undefined) return;
    out.progress(word === undefined ? `read ${count} instances` : "looking for the instance");
  } while (after !== undefined);
}

/**
 * Where an instance is, by its id or its name: one place for each of its networks.
 *
 * @throws {AdminError} if there is none.
 */
export async function find(
  client: ApiClient,
  asked: { readonly word: string; readonly network: string | undefined },
  out: Output,
): Promise<readonly ListedInstance[]> {
  const { word, network } = asked;
  const named: ListedInstance[] = [];
  const exact: ListedInstance[] = [];
  for await (const one of listed(client, asked, out)) (one.id === word ? exact : named).push(one);
  const found = exact.length > 0 ? exact : named;
  if (found.length > 0) return found;
  await checkNetwork(client, network);
  const where = network === undefined ? "" : ` in network ${quote(network)}`;
  throw new AdminError(
    `there is no instance ${quote(word)}${where}; frontdesk instances list shows those that are`,
  );
}

/**
 * The same, where it must be one.
 *
 * @throws {AdminError} if there is none, or there are several.
 */
export async function findOne(
  client: ApiClient,
  asked: { readonly word: string; readonly network: string | undefined },
  out: Output,
): Promise<ListedInstance> {
  const [one, ...others] = await find(client, asked, out);
  if (one !== undefined && others.length === 0) return one;
  const places = [one, ...others].map((each) => quote(`${each?.network} ${each?.id}`));
  throw new AdminError(
    `${quote(asked.word)} is ${places.slice(0, 5).join(" and ")}; say which: the id, and --network`,
  );
}

/**
 * Whether a network is one that is known: nothing is found in it for no other reason.
 *
 * @throws {AdminError} if there is none.
 */
export async function checkNetwork(client: ApiClient, network: string | undefined): Promise<void> {
  if (network === undefined) return;
  const { networks } = (await client.get("/v1/networks")) as { networks: { id: string }[] };
  if (networks.some(({ id }) => id === network)) return;
  throw new AdminError(`there is no network ${quote(network)}; frontdesk networks lists them`);
}

export function pathOf({ network, id }: { readonly network: string; readonly id: string }): string {
  return `/v1/instances/${encodeURIComponent(network)}/${encodeURIComponent(id)}`;
}
