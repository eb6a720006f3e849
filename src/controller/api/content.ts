/** What belongs to one instance and has a path of its own: user data, public keys, password. */

import { randomUUID } from "node:crypto";
import { createRoute, type z } from "@hono/zod-openapi";
import { OperatorApiError, RecordError, UserDataError } from "../../model/errors.ts";
import { type InstanceRecord, isSealed, userDataOf } from "../../model/record.ts";
import { parseRecord } from "../../model/record-parse.ts";
import { isDeliverable } from "../../protocol/password.ts";
import { checkUserData, decodeUserData } from "../user-data.ts";
import { BYTES_TYPE, JSON_TYPE, takes } from "./body.ts";
import { checkWritable, etagOf, existing, ofExisting, write } from "./records.ts";
import { type AddRoutes, body, bytes, done, failures, json, secured, takesJson } from "./routes.ts";
import {
  InstanceName,
  PasswordBody,
  PasswordState,
  PublicKeys,
  RevisionHeaders,
  UserDataBody,
} from "./schemas.ts";
import { checkPublicKeys } from "./usable.ts";
import { passwordState } from "./view.ts";

const tags = ["instances"];
const security = secured;
const request = { params: InstanceName };
const changing = { params: InstanceName, headers: RevisionHeaders };
const base = "/v1/instances/{network}/{id}";
const userDataPath = `${base}/user-data` as const;
const keysPath = `${base}/keys` as const;
const passwordPath = `${base}/password` as const;

const getUserData = createRoute({
  ...{ method: "get", path: userDataPath, tags, security, request },
  summary: "The user data, decoded, as the guest gets it",
  responses: { 200: { description: "The bytes.", content: bytes }, ...failures },
});

const putUserData = createRoute({
  ...{ method: "put", path: userDataPath, tags, security },
  summary: "Set user data: base64 in JSON, or the bytes themselves",
  middleware: takes(JSON_TYPE, BYTES_TYPE),
  request: {
    ...changing,
    body: { content: { [JSON_TYPE]: { schema: UserDataBody }, ...bytes } },
  },
  responses: { 204: done, ...failures },
});

const deleteUserData = createRoute({
  ...{ method: "delete", path: userDataPath, tags, security, request: changing },
  summary: "Have no user data",
  responses: { 204: done, ...failures },
});

const getKeys = createRoute({
  ...{ method: "get", path: keysPath, tags, security, request },
  summary: "The SSH public keys",
  responses: { 200: json(PublicKeys, "One key an entry."), ...failures },
});

const putKeys = createRoute({
  ...{ method: "put", path: keysPath, tags, security, middleware: takesJson },
  summary: "Replace the SSH public keys; an empty list takes all away",
  request: { ...changing, body: body(PublicKeys) },
  responses: { 200: json(PublicKeys, "The keys as they are now."), ...failures },
});

const getPassword = createRoute({
  ...{ method: "get", path: passwordPath, tags, security, request },
  summary: "Whether a password waits for the guest; never which",
  responses: { 200: json(PasswordState, "The state."), ...failures },
});

const putPassword = createRoute({
  ...{ method: "put", path: passwordPath, tags, security, middleware: takesJson },
  summary: "Set a password that the guest fetches once; nobody can read it back",
  request: { ...changing, body: body(PasswordBody) },
  responses: { 202: json(PasswordState, "It waits for the guest."), ...failures },
});

const deletePassword = createRoute({
  ...{ method: "delete", path: passwordPath, tags, security, request: changing },
  summary: "Take back a password that waits",
  responses: { 204: done, ...failures },
});

export const addUserData: AddRoutes = (app, ports) => {
  const { userDataMax } = ports;
  app.openapi(getUserData, async (c) => {
    const { record, revision } = await existing(ports, c.req.valid("param"));
    const data = await userDataOf(record);
    if (data === undefined) {
      throw new OperatorApiError("USER_DATA_NONE", "the instance has no user data");
    }
    c.header("ETag", etagOf(revision));
    // A browser must not run what a tenant wrote.
    c.header("Content-Disposition", "attachment; filename=user-data");
    c.header("Content-Type", BYTES_TYPE);
    return c.body(new Uint8Array(data), 200);
  });
  app.openapi(putUserData, async (c) => {
    checkWritable(ports);
    const isJson = c.req.header("content-type")?.toLowerCase().startsWith(JSON_TYPE) === true;
    const userData = isJson
      ? decodeUserData(base64Of(c.req.valid("json")), { method: "POST", charsMax: userDataMax })
      : new Uint8Array(await c.req.arrayBuffer());
    // An upload that broke off at once looks like this: it must not take user data away.
    if (userData === undefined || userData.length === 0) {
      throw new UserDataError("USER_DATA_TOO_SHORT", "user data holds no byte");
    }
    checkUserData(userData, userDataMax);
    const change = ofExisting((before) => ({ ...before, userData }));
    await write(c, ports, { name: c.req.valid("param"), change });
    return c.body(null, 204);
  });
  app.openapi(deleteUserData, async (c) => {
    checkWritable(ports);
    const change = ofExisting(({ userData: _, ...rest }) => rest);
    await write(c, ports, { name: c.req.valid("param"), change });
    return c.body(null, 204);
  });
};

/** Bytes and JSON come by one route; which it was, the type has said. */
function base64Of(given: string | z.infer<typeof UserDataBody>): string {
  return typeof given === "string" ? given : given.base64;
}

export const addKeys: AddRoutes = (app, ports) => {
  app.openapi(getKeys, async (c) => {
    const { record, revision } = await existing(ports, c.req.valid("param"));
    c.header("ETag", etagOf(revision));
    return c.json({ publicKeys: [...record.publicKeys] }, 200);
  });
  app.openapi(putKeys, async (c) => {
    checkWritable(ports);
    const { publicKeys } = c.req.valid("json");
    const change = ofExisting((before) => {
      const record = parseRecord({ ...before, publicKeys });
      checkPublicKeys(record, before);
      return record;
    });
    const { stored } = await write(c, ports, { name: c.req.valid("param"), change });
    return c.json({ publicKeys: [...stored.record.publicKeys] }, 200);
  });
};

/** A source never says a password, so one is set here also where a source owns the records. */
export const addPassword: AddRoutes = (app, ports) => {
  app.openapi(getPassword, async (c) => {
    const { record } = await existing(ports, c.req.valid("param"));
    return c.json({ state: passwordState(record) }, 200);
  });
  app.openapi(putPassword, async (c) => {
    const { password } = c.req.valid("json");
    if (!isDeliverable(password)) throw new RecordError("password", undeliverable(password));
    const secret = { id: randomUUID(), password };
    const change = ofExisting((before) => withPassword(before, secret));
    const { stored } = await write(c, ports, { name: c.req.valid("param"), change });
    return c.json({ state: passwordState(stored.record) }, 202);
  });
  app.openapi(deletePassword, async (c) => {
    const change = ofExisting(({ password: _, ...rest }) => rest);
    await write(c, ports, { name: c.req.valid("param"), change });
    return c.body(null, 204);
  });
};

/** Why no guest could fetch it. Nothing of it is shown. */
function undeliverable(password: string): string {
  if (/[\u0000-\u001f\u007f]/.test(password)) {
    return "has more than one line, or a control character";
  }
  if (/^\s|\s$/.test(password)) return "has spaces at its ends";
  if (/\p{Surrogate}/u.test(password)) return "is no Unicode text";
  return "is a word of the password server";
}

/**
 * The same once more is no other password: the guest gets it once.
 *
 * @throws {OperatorApiError} if the instance is sealed: its guest would not get it.
 */
function withPassword(
  before: InstanceRecord,
  secret: NonNullable<InstanceRecord["password"]>,
): InstanceRecord {
  if (isSealed(before)) {
    throw new OperatorApiError(
      "INSTANCE_SEALED",
      "the instance is sealed, so no password is given to its guest; none was stored",
    );
  }
  if (before.password?.password === secret.password) return before;
  return parseRecord({ ...before, password: secret });
}
