/** `/v1/instances`: the records, a page at a time or one by one. */

import { createRoute } from "@hono/zod-openapi";
import { containedIn, parseCidr } from "../../model/address.ts";
import type { Network } from "../../model/change.ts";
import { OperatorApiError, RecordError } from "../../model/errors.ts";
import { addressesOf, type InstanceRecord, type RecordName } from "../../model/record.ts";
import {
  checkCondition,
  checkWritable,
  conditionOf,
  etagOf,
  existing,
  unknownInstance,
  unknownNetwork,
  write,
} from "./records.ts";
import { type AddRoutes, body, done, failures, json, secured, takesJson } from "./routes.ts";
import {
  Instance,
  InstanceBody,
  InstanceName,
  InstancePage,
  PageQuery,
  RevisionHeaders,
} from "./schemas.ts";
import { search } from "./search.ts";
import { checkUsable } from "./usable.ts";
import { instanceView, recordOf, summaryView } from "./view.ts";

const tags = ["instances"];
const path = "/v1/instances/{network}/{id}";

const list = createRoute({
  ...{ method: "get", path: "/v1/instances", tags, security: secured },
  summary: "Instances in the order of network and id, without their keys",
  request: { query: PageQuery },
  responses: { 200: json(InstancePage, "One page."), ...failures },
});

const show = createRoute({
  ...{ method: "get", path, tags, security: secured },
  summary: "One instance in one network, whole but for user data and password",
  request: { params: InstanceName },
  responses: { 200: json(Instance, "The instance; its ETag is its revision."), ...failures },
});

const put = createRoute({
  ...{ method: "put", path, tags, security: secured, middleware: takesJson },
  summary: "Replace or make an instance; If-Match and If-None-Match guard its revision",
  request: { params: InstanceName, headers: RevisionHeaders, body: body(InstanceBody) },
  responses: {
    200: json(Instance, "It was replaced, or was so already."),
    201: json(Instance, "It is new."),
    ...failures,
  },
});

const remove = createRoute({
  ...{ method: "delete", path, tags, security: secured },
  summary: "Take an instance away: its guest is told nothing any more",
  request: { params: InstanceName, headers: RevisionHeaders },
  responses: { 204: done, ...failures },
});

export const addInstances: AddRoutes = (app, ports) => {
  const { store, userDataMax } = ports;
  app.openapi(list, async (c) => {
    const { network, name, id, limit, after } = c.req.valid("query");
    const from = after === undefined ? undefined : nameOf(after);
    const page =
      name === undefined && id === undefined
        ? await store.list({
            limit,
            ...(network !== undefined && { network }),
            ...(from !== undefined && { after: from }),
          })
        : await search(store, { network, name, id, limit, after: from });
    const { records, revision, next } = page;
    const instances = records.map(summaryView);
    return c.json({ instances, revision, ...(next && { next: cursorOf(next) }) }, 200);
  });
  app.openapi(show, async (c) => {
    const stored = await existing(ports, c.req.valid("param"));
    c.header("ETag", etagOf(stored.revision));
    return c.json(instanceView(stored), 200);
  });
  app.openapi(put, async (c) => {
    checkWritable(ports);
    const name = c.req.valid("param");
    const given = c.req.valid("json");
    const network = (await store.networks()).find(({ id }) => id === name.network);
    const { stored, isNew } = await write(c, ports, {
      name,
      change: (before) => {
        const record = within(network, recordOf(name, given, { before, userDataMax }));
        checkUsable(record, before);
        // One that is there already may be older than this rule.
        if (network === undefined && before === undefined) throw unknownNetwork();
        return record;
      },
    });
    return c.json(instanceView(stored), isNew ? 201 : 200);
  });
  app.openapi(remove, async (c) => {
    checkWritable(ports);
    const name = c.req.valid("param");
    const condition = conditionOf(c);
    // Without a condition it need not be read: one that the store cannot open is taken away too.
    const stored = condition === undefined ? undefined : await existing(ports, name);
    if (stored !== undefined) checkCondition(condition, stored);
    const revision = await store.delete(name, stored && { expect: stored.revision });
    if (revision === undefined) throw unknownInstance();
    return c.body(null, 204);
  });
};

/**
 * An address outside its network's ranges would be a guest's that nobody answers.
 *
 * @throws {RecordError} that names the address.
 */
function within(network: Network | undefined, record: InstanceRecord): InstanceRecord {
  const ranges = (network?.cidrs ?? []).map(parseCidr);
  if (ranges.length === 0) return record;
  const outside = addressesOf(record).find((address) => !containedIn(ranges, address));
  if (outside === undefined) return record;
  throw new RecordError("nics", `${outside} is outside the ranges of its network`);
}

/** Nothing that a client should read: where the next page begins. */
function cursorOf({ network, id }: RecordName): string {
  return Buffer.from(JSON.stringify([network, id])).toString("base64url");
}

/** @throws {OperatorApiError} if it is no cursor of ours. */
function nameOf(cursor: string): RecordName {
  try {
    const name: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    const [network, id, ...rest]: unknown[] = Array.isArray(name) ? name : [];
    if (typeof network === "string" && typeof id === "string" && rest.length === 0) {
      return { network, id };
    }
  } catch {
    // Said below.
  }
  throw new OperatorApiError("REQUEST_INVALID", "after: is not the `next` of an earlier page");
}
