/**
 * `/v1/instances/NETWORK/ID/seal`: closes user data and password to the guest, and opens them.
 *
 * What an instance needs for its first boot, nobody needs later; whoever gets into it later shall
 * not read it. No source knows a seal, so it is set here also where a source owns the records.
 */

import { createRoute, type z } from "@hono/zod-openapi";
import { OperatorApiError } from "../../model/errors.ts";
import { type InstanceRecord, isSealed, sealed, unsealed } from "../../model/record.ts";
import { JSON_TYPE, takesJsonOrNothing } from "./body.ts";
import { etagOf, existing, ofExisting, write } from "./records.ts";
import { type AddRoutes, done, failures, json, secured } from "./routes.ts";
import { InstanceName, RevisionHeaders, SealBody, SealState } from "./schemas.ts";

const path = "/v1/instances/{network}/{id}/seal";
const tags = ["instances"];
const changing = { params: InstanceName, headers: RevisionHeaders };

const get = createRoute({
  ...{ method: "get", path, tags, security: secured, request: { params: InstanceName } },
  summary: "Whether user data and password are closed to the guest",
  responses: { 200: json(SealState, "The state, of this installation."), ...failures },
});

const put = createRoute({
  ...{ method: "put", path, tags, security: secured, middleware: takesJsonOrNothing },
  summary: "Close user data and password to the guest, until the instance is installed anew",
  request: { ...changing, body: { content: { [JSON_TYPE]: { schema: SealBody } } } },
  responses: { 200: json(SealState, "It is sealed."), ...failures },
});

const remove = createRoute({
  ...{ method: "delete", path, tags, security: secured, request: changing },
  summary: "Open them again; a password that waits is offered again",
  responses: { 204: done, ...failures },
});

export const addSeal: AddRoutes = (app, ports) => {
  app.openapi(get, async (c) => {
    const { record, revision } = await existing(ports, c.req.valid("param"));
    c.header("ETag", etagOf(revision));
    return c.json(stateOf(record), 200);
  });
  app.openapi(put, async (c) => {
    const { incarnation } = c.req.valid("json");
    const change = ofExisting((before) => sealed(expected(before, incarnation)));
    const { stored } = await write(c, ports, { name: c.req.valid("param"), change });
    return c.json(stateOf(stored.record), 200);
  });
  app.openapi(remove, async (c) => {
    await write(c, ports, { name: c.req.valid("param"), change: ofExisting(unsealed) });
    return c.body(null, 204);
  });
};

function stateOf(record: InstanceRecord): z.infer<typeof SealState> {
  return { sealed: isSealed(record), incarnation: record.incarnation };
}

/** @throws {OperatorApiError} if it was installed anew meanwhile: that one has not booted yet. */
function expected(record: InstanceRecord, incarnation = record.incarnation): InstanceRecord {
  if (record.incarnation === incarnation) return record;
  const message = `the instance is at incarnation ${record.incarnation}`;
  throw new OperatorApiError("REVISION_MISMATCH", message);
}
