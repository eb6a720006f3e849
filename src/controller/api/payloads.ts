/** `/v1/payloads`, and what gives one to an instance: content beyond the limit of user data. */

import { createRoute } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { OperatorApiError } from "../../model/errors.ts";
import { PAYLOAD_BYTES_MAX, SHA256, type StoredPayload } from "../../model/payload.ts";
import { type InstanceRecord, userDataOf } from "../../model/record.ts";
import { parseRecord } from "../../model/record-parse.ts";
import { contentHash } from "../../protocol/etag.ts";
import { isStub, isStubFor, stubFor } from "../../protocol/payload-stub.ts";
import { PAYLOADS_BYTES_MAX } from "../../store/limits.ts";
import { kindOf } from "../payload-kind.ts";
import { checkUserData } from "../user-data.ts";
import type { ApiEnv } from "./auth.ts";
import { BYTES_TYPE, PAYLOADS_PATH, takes } from "./body.ts";
import { UPLOADS_MAX, UPLOADS_PER_TOKEN_MAX } from "./limits.ts";
import { checkWritable, existing, ofExisting, write } from "./records.ts";
import {
  type AddRoutes,
  body,
  bytes,
  done,
  failures,
  json,
  type OperatorPorts,
  secured,
  takesJson,
} from "./routes.ts";
import {
  Attachment,
  AttachQuery,
  InstanceName,
  Payload,
  PayloadName,
  Payloads,
  RevisionHeaders,
  StubQuery,
  UploadQuery,
} from "./schemas.ts";

const tags = ["payloads"];
const security = secured;
const path = PAYLOADS_PATH;
const onePath = `${path}/{sha}` as const;
const attachedPath = "/v1/instances/{network}/{id}/payload";
const one = { params: PayloadName };

/** Each is in memory while it comes: the next waits until there is room. Before a body is read. */
export function limitUploads(): MiddlewareHandler<ApiEnv> {
  /** The names of their tokens. */
  const underWay: string[] = [];
  return async (c, next) => {
    const { name } = c.get("bearer");
    const own = underWay.filter((other) => other === name).length;
    if (own >= UPLOADS_PER_TOKEN_MAX) throw tooMany(`${own} uploads with this token`);
    if (underWay.length >= UPLOADS_MAX) throw tooMany(`${underWay.length} uploads`);
    underWay.push(name);
    try {
      await next();
    } finally {
      underWay.splice(underWay.indexOf(name), 1);
    }
  };
}

function tooMany(what: string): OperatorApiError {
  return new OperatorApiError("UPLOADS_TOO_MANY", `${what} are under way`);
}

const list = createRoute({
  ...{ method: "get", path, tags, security },
  summary: "All payloads, and how much of their room they take",
  responses: { 200: json(Payloads, "All of them."), ...failures },
});

const show = createRoute({
  ...{ method: "get", path: onePath, tags, security, request: one },
  summary: "What a payload is",
  responses: { 200: json(Payload, "The payload, without its content."), ...failures },
});

const remove = createRoute({
  ...{ method: "delete", path: onePath, tags, security, request: one },
  summary: "Remove a payload that no instance is given",
  responses: { 204: done, ...failures },
});

const stub = createRoute({
  ...{ method: "get", path: `${onePath}/stub`, tags, security },
  summary: "The user data that fetches, checks and runs a payload",
  request: { ...one, query: StubQuery },
  responses: { 200: { description: "A shell script.", content: bytes }, ...failures },
});

const attach = createRoute({
  ...{ method: "put", path: attachedPath, tags, security, middleware: takesJson },
  summary: "Give an instance a payload: its user data becomes the payload's stub",
  request: {
    ...{ params: InstanceName, query: AttachQuery },
    ...{ headers: RevisionHeaders, body: body(Attachment) },
  },
  responses: { 204: done, ...failures },
});

const detach = createRoute({
  ...{ method: "delete", path: attachedPath, tags, security },
  summary: "Take an instance's payloads away, and the stub that is its user data",
  request: { params: InstanceName, headers: RevisionHeaders },
  responses: { 204: done, ...failures },
});

export const addPayloads: AddRoutes = (app, ports) => {
  const { store } = ports;
  const upload = createRoute({
    ...{ method: "post", path, tags, security },
    summary: "Keep a payload: a script, an archive with a file named run, or any file",
    middleware: takes(BYTES_TYPE),
    request: { query: UploadQuery, body: { content: bytes, required: true } },
    responses: {
      200: json(Payload, "It was there already."),
      201: json(Payload, "It is new."),
      ...failures,
    },
  });
  app.openapi(upload, async (c) => {
    checkWritable(ports);
    const content = new Uint8Array(await c.req.arrayBuffer());
    if (content.length === 0) throw new OperatorApiError("REQUEST_INVALID", "the body is empty");
    const { kind, reason } = await kindOf(content);
    if (reason !== undefined && c.req.valid("query").as !== "file") {
      throw new OperatorApiError("PAYLOAD_NOT_RUNNABLE", `a guest cannot run it: ${reason}`);
    }
    const { isNew, ...payload } = await store.putPayload(content, kind);
    return c.json(payload, isNew ? 201 : 200);
  });
  app.openapi(list, async (c) => {
    const payloads = [...(await store.payloads())];
    const bytes = payloads.reduce((sum, payload) => sum + payload.bytes, 0);
    const limits = { bytesMax: PAYLOADS_BYTES_MAX, bytesOfOneMax: PAYLOAD_BYTES_MAX };
    return c.json({ payloads, bytes, ...limits }, 200);
  });
  app.openapi(show, async (c) => {
    const { sha256, bytes, kind } = await found(ports, c.req.valid("param").sha);
    return c.json({ sha256, bytes, kind }, 200);
  });
  app.openapi(remove, async (c) => {
    if (!(await store.deletePayload(c.req.valid("param").sha))) throw unknown();
    return c.body(null, 204);
  });
  app.openapi(stub, async (c) => {
    const text = stubFor(await found(ports, c.req.valid("param").sha), toOf(c.req.valid("query")));
    c.header("Content-Disposition", "attachment; filename=user-data");
    c.header("Content-Type", BYTES_TYPE);
    return c.body(text, 200);
  });
  addAttachments(app, ports);
};

const addAttachments: AddRoutes = (app, ports) => {
  app.openapi(attach, async (c) => {
    checkWritable(ports);
    const given = c.req.valid("json");
    const payload = await found(ports, given.sha256);
    const userData = new TextEncoder().encode(stubFor(payload, toOf(given)));
    checkUserData(userData, ports.userDataMax);
    const { sha256, bytes } = payload;
    const payloads = [{ sha256, bytes }];
    const name = c.req.valid("param");
    const { record } = await existing(ports, name);
    const stubHash = await hashOfStub(record, isStub);
    const mayLose = c.req.valid("query").replace === "true";
    const change = ofExisting((before) => {
      const { userData: own } = before;
      if (own !== undefined && !mayLose && hashOf(own) !== stubHash) {
        throw new OperatorApiError("USER_DATA_KEPT", "the instance has user data of its own");
      }
      return parseRecord({ ...before, userData, payloads });
    });
    await write(c, ports, { name, change });
    return c.body(null, 204);
  });
  app.openapi(detach, async (c) => {
    checkWritable(ports);
    const name = c.req.valid("param");
    const { record } = await existing(ports, name);
    const isOwn = (data: Uint8Array): boolean =>
      record.payloads?.some(({ sha256 }) => isStubFor(data, sha256)) === true;
    const stubHash = await hashOfStub(record, isOwn);
    const change = ofExisting(({ payloads, userData, ...rest }) => {
      if (payloads === undefined) {
        throw new OperatorApiError("PAYLOAD_NONE", "the instance has no payload");
      }
      const isStub = userData !== undefined && hashOf(userData) === stubHash;
      return isStub || userData === undefined ? rest : { ...rest, userData };
    });
    await write(c, ports, { name, change });
    return c.body(null, 204);
  });
};

/** Of the user data, if that is such a stub: other user data stays. */
async function hashOfStub(
  record: InstanceRecord,
  isSuch: (data: Uint8Array) => boolean,
): Promise<string | undefined> {
  const data = await userDataOf(record);
  return data !== undefined && isSuch(data) ? contentHash(data) : undefined;
}

function hashOf(body: NonNullable<InstanceRecord["userData"]>): string {
  return body instanceof Uint8Array ? contentHash(body) : body.hash;
}

async function found({ store }: OperatorPorts, sha256: string): Promise<StoredPayload> {
  const payload = SHA256.test(sha256) ? await store.payload(sha256) : undefined;
  if (payload === undefined) throw unknown();
  return payload;
}

function unknown(): OperatorApiError {
  return new OperatorApiError("PAYLOAD_UNKNOWN", "there is no such payload");
}

function toOf({ to }: { readonly to?: string | undefined }): { readonly to?: string } {
  return to === undefined ? {} : { to };
}
