/** `/v1/networks`: which networks there are, and their ranges of addresses. */

import { createRoute } from "@hono/zod-openapi";
import type { Context } from "hono";
import { containedIn, parseCidr } from "../../model/address.ts";
import type { Network as NetworkOf } from "../../model/change.ts";
import { OperatorApiError, quote, RecordError } from "../../model/errors.ts";
import { addressesOf, type RecordName } from "../../model/record.ts";
import { parseNetworks } from "../../model/record-parse.ts";
import { rest } from "../../platform/turns.ts";
import { isHostName } from "../../protocol/host-name.ts";
import type { Store } from "../../store/store.ts";
import { turns } from "../turns.ts";
import { checkWritable, unknownNetwork } from "./records.ts";
import { type AddRoutes, body, done, failures, json, secured, takesJson } from "./routes.ts";
import { Network, NetworkBody, NetworkName, Networks } from "./schemas.ts";

const tags = ["networks"];
const security = secured;
const path = "/v1/networks/{network}";
const request = { params: NetworkName };

const list = createRoute({
  ...{ method: "get", path: "/v1/networks", tags, security },
  summary: "All networks",
  responses: { 200: json(Networks, "All of them."), ...failures },
});

const show = createRoute({
  ...{ method: "get", path, tags, security, request },
  summary: "One network",
  responses: { 200: json(Network, "The network."), ...failures },
});

const put = createRoute({
  ...{ method: "put", path, tags, security, middleware: takesJson },
  summary: "Replace or make a network; needs the role admin",
  request: { params: NetworkName, body: body(NetworkBody) },
  responses: {
    200: json(Network, "It was replaced."),
    201: json(Network, "It is new."),
    ...failures,
  },
});

const remove = createRoute({
  ...{ method: "delete", path, tags, security, request },
  summary: "Take a network away that has no instances; needs the role admin",
  responses: { 204: done, ...failures },
});

export const addNetworks: AddRoutes = (app, ports) => {
  const { store } = ports;
  // A store replaces all networks at once: two that change one each must not meet.
  const inTurn = turns();
  app.openapi(list, async (c) => {
    const networks = await store.networks();
    return c.json({ networks: networks.map(view) }, 200);
  });
  app.openapi(show, async (c) => {
    const { network: id } = c.req.valid("param");
    const network = (await store.networks()).find((one) => one.id === id);
    if (network === undefined) throw unknownNetwork();
    return c.json(view(network), 200);
  });
  app.openapi(put, async (c) => {
    checkWritable(ports);
    checkUnconditional(c);
    const { network: id } = c.req.valid("param");
    const { cidrs, dnsDomain, ...given } = c.req.valid("json");
    if (given.id !== undefined && given.id !== id) {
      throw new OperatorApiError("REQUEST_INVALID", "id: differs from the path's");
    }
    const next = checked({ id, cidrs, ...(dnsDomain !== undefined && { dnsDomain }) });
    return inTurn(async () => {
      const before = await store.networks();
      const former = before.find((one) => one.id === id);
      const isNew = former === undefined;
      const others = before.map((one) => (one.id === id ? next : one));
      const write = () => store.putNetworks(isNew ? [...others, next] : others);
      if (isWithin(former?.cidrs ?? [], next.cidrs)) await write();
      else {
        await checkInside(store, next);
        await write();
        await orBack(checkInside(store, next), store, before);
      }
      const now = (await store.networks()).find((one) => one.id === id) ?? next;
      return c.json(view(now), isNew ? 201 : 200);
    });
  });
  app.openapi(remove, async (c) => {
    checkWritable(ports);
    checkUnconditional(c);
    const { network: id } = c.req.valid("param");
    return inTurn(async () => {
      const before = await store.networks();
      if (!before.some((one) => one.id === id)) throw unknownNetwork();
      await checkUnused(store, id);
      await store.putNetworks(before.filter((one) => one.id !== id));
      await orBack(checkUnused(store, id), store, before);
      return c.body(null, 204);
    });
  });
};

/**
 * The network as a store keeps it: host bits of a range are dropped.
 *
 * @throws {RecordError} that names the first field that is wrong.
 */
function checked(given: NetworkOf): NetworkOf {
  const network = parsed(given);
  const at = network.cidrs.findIndex((cidr) => cidr.endsWith("/0"));
  if (at !== -1) {
    throw new RecordError(
      `cidrs[${at}]`,
      "holds every address: leave out ranges that nobody knows",
    );
  }
  if (network.dnsDomain !== undefined && !isHostName(network.dnsDomain)) {
    const rule = "is no domain: letters, digits and dashes, parts with dots between";
    throw new RecordError("dnsDomain", rule);
  }
  return network;
}

function parsed(given: NetworkOf): NetworkOf {
  try {
    return parseNetworks([given])[0] ?? given;
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    // A list of one, of which a client knows nothing.
    throw new RecordError("", error.message.replace(/^networks\[0\]\./, ""), { cause: error });
  }
}

/** @throws {OperatorApiError} NETWORK_IN_USE */
async function checkUnused(store: Store, network: string): Promise<void> {
  const { records } = await store.list({ network, limit: 1 });
  if (records.length > 0) {
    throw new OperatorApiError("NETWORK_IN_USE", "the network has instances");
  }
}

/** Whether ranges hold all that the former ones did; none stands for every address. */
function isWithin(former: readonly string[], next: readonly string[]): boolean {
  if (next.length === 0) return true;
  const ranges = next.map(parseCidr);
  const isHeld = (text: string): boolean => {
    const { version, first, last } = parseCidr(text);
    return ranges.some((r) => r.version === version && r.first <= first && last <= r.last);
  };
  return former.length > 0 && former.every(isHeld);
}

/**
 * Reads all instances of the network, a page at a time, so that others have their turn.
 *
 * @throws {OperatorApiError} NETWORK_IN_USE, which names one that would lie outside.
 */
async function checkInside(store: Store, { id: network, cidrs }: NetworkOf): Promise<void> {
  const ranges = cidrs.map(parseCidr);
  let after: RecordName | undefined;
  do {
    const page = await store.list({ network, ...(after !== undefined && { after }) });
    for (const { record } of page.records) {
      const outside = addressesOf(record).find((address) => !containedIn(ranges, address));
      if (outside === undefined) continue;
      const message = `the instance ${quote(record.id)} has ${outside}, an address outside`;
      throw new OperatorApiError("NETWORK_IN_USE", message);
    }
    after = page.next;
    await rest();
  } while (after !== undefined);
}

/** An instance may have been on its way into the network: then the networks are as before. */
async function orBack(
  check: Promise<void>,
  store: Store,
  before: readonly NetworkOf[],
): Promise<void> {
  try {
    await check;
  } catch (error) {
    await store.putNetworks(before);
    throw error;
  }
}

/**
 * A network has no revision. Whoever makes a write depend on one must not believe that it did.
 *
 * @throws {OperatorApiError}
 */
function checkUnconditional(c: Context): void {
  for (const name of ["If-Match", "If-None-Match"]) {
    if (c.req.header(name) === undefined) continue;
    throw new OperatorApiError(
      "REQUEST_INVALID",
      `${name}: a network has no revision; leave it out`,
    );
  }
}

function view({ id, cidrs, dnsDomain }: NetworkOf): NetworkView {
  return { id, cidrs: [...cidrs], ...(dnsDomain !== undefined && { dnsDomain }) };
}

interface NetworkView {
  id: string;
  cidrs: string[];
  dnsDomain?: string;
}
