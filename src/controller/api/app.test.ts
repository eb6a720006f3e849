import { expect, test } from "bun:test";
import type { z } from "@hono/zod-openapi";
import { Hono } from "hono";
import { parseRecord } from "../../model/record-parse.ts";
import { ATTEMPTS_MAX, ATTEMPTS_MS } from "../attempts.ts";
import { ERROR_CODES } from "./errors.ts";
import {
  Bearer,
  ConditionList,
  Failure,
  Instance,
  InstancePage,
  Network,
  Networks,
  PasswordState,
  Payload,
  Payloads,
  PublicKeys,
  SealState,
} from "./schemas.ts";
import { type Asked, openApi, TOKENS } from "./testing.ts";

const BODY = { name: "web-01", nics: [{ addresses: ["10.1.1.5"], default: true }] };
const AT = "/v1/instances/204/i-1";
const PAYLOAD = `/v1/payloads/${"0".repeat(64)}`;
const PASSWORD = "T0p-s3cret";

/** Every route, and the least role that may use it. */
const ROUTES: readonly (readonly [request: string, role: "read" | "write" | "admin"])[] = [
  ["GET /v1/instances", "read"],
  [`GET ${AT}`, "read"],
  [`PUT ${AT}`, "write"],
  [`DELETE ${AT}`, "write"],
  [`GET ${AT}/user-data`, "read"],
  [`PUT ${AT}/user-data`, "write"],
  [`DELETE ${AT}/user-data`, "write"],
  [`GET ${AT}/keys`, "read"],
  [`PUT ${AT}/keys`, "write"],
  [`GET ${AT}/password`, "read"],
  [`PUT ${AT}/password`, "write"],
  [`DELETE ${AT}/password`, "write"],
  [`PUT ${AT}/payload`, "write"],
  [`DELETE ${AT}/payload`, "write"],
  ["GET /v1/payloads", "read"],
  ["POST /v1/payloads", "write"],
  [`GET ${PAYLOAD}`, "read"],
  [`DELETE ${PAYLOAD}`, "write"],
  [`GET ${PAYLOAD}/stub`, "read"],
  [`GET ${AT}/seal`, "read"],
  [`PUT ${AT}/seal`, "write"],
  [`DELETE ${AT}/seal`, "write"],
  ["GET /v1/networks", "read"],
  ["GET /v1/networks/204", "read"],
  ["PUT /v1/networks/204", "admin"],
  ["DELETE /v1/networks/204", "admin"],
  ["GET /v1/events", "read"],
  ["GET /v1/conditions", "read"],
  ["GET /v1/token", "read"],
];

test("no route answers without a token, or to one with too low a role", async () => {
  const { ask } = openApi();
  for (const [request, role] of ROUTES) {
    const peer = request; // Each has attempts of its own.
    expect([request, (await ask(request, { token: "", peer })).code]).toEqual([
      request,
      "TOKEN_MISSING",
    ]);
    const wrong = await ask(request, { token: "fd_wrong", peer });
    expect([wrong.status, wrong.code]).toEqual([401, "TOKEN_UNKNOWN"]);
    expect(wrong.headers.get("www-authenticate")).toStartWith("Bearer");
    if (role !== "read") {
      const low = await ask(request, { role: role === "admin" ? "write" : "read", peer });
      expect([request, low.status, low.code]).toEqual([request, 403, "ROLE_TOO_LOW"]);
    }
  }
  for (const path of ["/openapi.json", "/livez"]) {
    expect((await ask(`GET ${path}`, { token: "" })).status).toBe(200);
  }
});

test("no spelling of a path needs less than the path", async () => {
  const { ask } = openApi();
  const body = { cidrs: [] };
  for (const path of ["/v1/%6eetworks/204", "/v1/networks/%32%304", "/%76%31/networks/204"]) {
    const low = await ask(`PUT ${path}`, { role: "write", body });
    expect([path, low.status, low.code]).toEqual([path, 403, "ROLE_TOO_LOW"]);
    expect((await ask(`PUT ${path}`, { token: "", body })).status).toBe(401);
  }
  const others = [
    "//v1/networks/204",
    "/v1//networks/204",
    "/V1/networks/204",
    "/v1/networks/204/",
  ];
  for (const path of [...others, "/v1%2fnetworks%2f204", "/v1/x/../networks/204/x"]) {
    const status = (await ask(`PUT ${path}`, { role: "write", body })).status;
    expect([path, status === 403 || status === 404]).toEqual([path, true]);
  }
});

test("who changed what is logged, and nothing of what it was", async () => {
  const { ask, logged } = openApi();
  await ask(`PUT ${AT}`, { role: "write", body: BODY });
  await ask(`PUT ${AT}/password`, { body: { password: PASSWORD } });
  await ask(`PUT ${AT}/user-data`, { body: { base64: "!" } });
  await ask(`GET ${AT}`);
  const lines = logged.map((line) => JSON.parse(line));
  expect(lines.map(({ by, method, path }) => [by, method, path])).toEqual([
    ["write", "PUT", AT],
    ["admin", "PUT", `${AT}/password`],
  ]);
  expect(logged.join()).not.toContain(PASSWORD);
});

test("a token counts only in its own header", async () => {
  const { ask } = openApi();
  const wrong: readonly Record<string, string>[] = [
    { authorization: `Basic ${TOKENS.admin}` },
    { authorization: TOKENS.admin },
    { authorization: `Bearer ${TOKENS.admin} x` },
    { authorization: `Bearer ${TOKENS.admin}, Bearer x` },
    { "x-token": TOKENS.admin },
    { cookie: `token=${TOKENS.admin}` },
  ];
  for (const headers of wrong) {
    expect((await ask("GET /v1/instances", { token: "", headers })).status).toBe(401);
  }
  expect((await ask(`GET /v1/instances?access_token=${TOKENS.admin}`, { token: "" })).status).toBe(
    401,
  );
});

test("the document is made once, and for nobody who does not ask", async () => {
  const { app, ask } = openApi();
  let made = 0;
  const make = app.getOpenAPI31Document;
  app.getOpenAPI31Document = (...given) => {
    made++;
    return make(...given);
  };
  const texts = [];
  for (let n = 0; n < 3; n++) texts.push(await ask("GET /openapi.json", { token: "" }));
  expect(made).toBe(1);
  expect(texts[0]?.headers.get("content-type")).toBe("application/json");
  expect(new Set(texts.map(({ text }) => text)).size).toBe(1);
});

test("the document has every route, and every route is in the document", async () => {
  const { ask } = openApi();
  const document = (await ask("GET /openapi.json")).json as {
    openapi: string;
    paths: Record<string, Record<string, { responses: object; summary: string }>>;
    components: { schemas: { Error: object }; securitySchemes: object };
  };
  expect(document.openapi).toBe("3.1.0");
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const known = ROUTES.map(([request]) =>
    request
      .replace("/instances/204/i-1", "/instances/{network}/{id}")
      .replace("/204", "/{network}")
      .replace(PAYLOAD, "/v1/payloads/{sha}"),
  );
  expect(described.sort()).toEqual(known.sort());
  for (const methods of Object.values(document.paths)) {
    for (const { responses, summary } of Object.values(methods)) {
      expect(Object.keys(responses)).toContain("4XX");
      expect(summary).not.toBe("");
    }
  }
  expect(Object.keys(document.components.securitySchemes)).toEqual(["token"]);
  // Every reference leads somewhere.
  const text = JSON.stringify(document);
  for (const [, name = ""] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    expect(Object.keys(document.components.schemas)).toContain(name);
  }
  for (const code of ERROR_CODES) expect(text).toContain(`"${code}"`);
});

test("what is answered is what the document says", async () => {
  const { ask, ports } = openApi();
  const nics = [{ mac: "02:00:00:00:00:01", addresses: ["10.1.1.5"], keys: [["a", null]] }];
  const all = {
    account: "a",
    project: "p",
    zone: "z",
    template: "t",
    publicKeys: ["ssh-rsa AAAA"],
  };
  await ask("PUT /v1/networks/204", { body: { cidrs: ["10.1.1.0/24"], dnsDomain: "x.example" } });
  await ask(`PUT ${AT}`, { body: { ...BODY, ...all, nics, userData: { base64: "aGk=" } } });
  const headers = { "content-type": "application/octet-stream" };
  const { json } = await ask("POST /v1/payloads", { body: "#!/bin/sh\n", headers });
  const { sha256 } = json as { sha256: string };
  await ask(`PUT ${AT}/payload`, { body: { sha256 } });
  ports.conditions.raise("HINTS_DOWN", "amqp", "no route");
  const answers: readonly (readonly [path: string, schema: z.ZodType])[] = [
    ["/v1/instances?limit=1", InstancePage],
    [AT, Instance],
    [`${AT}/keys`, PublicKeys],
    [`${AT}/password`, PasswordState],
    ["/v1/payloads", Payloads],
    [`/v1/payloads/${sha256}`, Payload],
    [`${AT}/seal`, SealState],
    ["/v1/networks", Networks],
    ["/v1/networks/204", Network],
    ["/v1/conditions", ConditionList],
    ["/v1/token", Bearer],
    ["/v1/nothing", Failure],
  ];
  for (const [path, schema] of answers) {
    const { json } = await ask(`GET ${path}`);
    // Fields that the schema does not know would be left out by it.
    expect([path, schema.parse(json)]).toEqual([path, json]);
  }
});

test("wrong tokens of one peer are counted, and a right one is taken all the same", async () => {
  let now = 0;
  const { ask } = openApi({ now: () => now });
  const attempt = (asked: Asked = {}) => ask("GET /v1/token", { token: "fd_x", ...asked });
  for (let i = 0; i < ATTEMPTS_MAX; i++) expect((await attempt({ peer: "::1" })).status).toBe(401);
  const refused = await attempt({ peer: "::1" });
  expect([refused.status, refused.code]).toEqual([429, "ATTEMPTS_TOO_MANY"]);
  expect(refused.headers.get("retry-after")).toBe(String(ATTEMPTS_MS / 1000));
  expect((await attempt({ peer: "127.0.0.1" })).status).toBe(401);
  expect((await ask("GET /v1/token", { peer: "::1" })).json).toEqual({
    name: "admin",
    role: "admin",
  });
  now = ATTEMPTS_MS;
  expect((await attempt({ peer: "::1" })).status).toBe(401);
});

test("another path and another method are told apart", async () => {
  const { ask } = openApi();
  const cases: readonly (readonly [request: string, status: number, allow: string | null])[] = [
    ["GET /v1/nothing", 404, null],
    ["GET /v1", 404, null],
    ["GET /v1/instances/204", 404, null],
    ["GET /v1/instances/204/i-1/nothing", 404, null],
    ["GET /nothing", 404, null],
    ["POST /v1/instances", 405, "GET"],
    ["PATCH /v1/instances/204/i-1", 405, "GET, PUT, DELETE"],
    ["DELETE /v1/conditions", 405, "GET"],
  ];
  for (const [request, status, allow] of cases) {
    const answer = await ask(request);
    expect([request, answer.status, answer.headers.get("allow")]).toEqual([request, status, allow]);
    expect(answer.code).toBe(status === 404 ? "PATH_UNKNOWN" : "METHOD_UNKNOWN");
  }
});

test("an error says what to do, and nothing of what was sent", async () => {
  const { ask, logged, store } = openApi();
  await store.put(parseRecord({ ...BODY, network: "204", id: "i-1", keys: [], ...COUNTS }));
  const hostile = "<script>\u001b[2J\u202e\r\nx: y";
  const attempts: readonly (readonly [string, Asked])[] = [
    [`GET /v1/instances/${encodeURIComponent(hostile)}/x`, {}],
    [
      `GET /v1/instances?network=${encodeURIComponent(hostile)}&${encodeURIComponent(hostile)}=1`,
      {},
    ],
    [`PUT ${AT}`, { body: { ...BODY, name: hostile } }],
    [`PUT ${AT}`, { body: { ...BODY, [hostile]: 1 } }],
    [`PUT ${AT}`, { body: { ...BODY, nics: [{ addresses: [hostile] }] } }],
    [`PUT ${AT}`, { body: `{"name": ${hostile}` }],
    [`PUT ${AT}`, { body: BODY, headers: { "content-type": "text/<script>" } }],
    [`PUT ${AT}`, { body: BODY, headers: { "if-match": "<script>" } }],
    [`PUT ${AT}/user-data`, { body: { base64: hostile } }],
    [`PUT ${AT}/password`, { body: { password: hostile } }],
    ["PUT /v1/networks/204", { body: { cidrs: [hostile] } }],
  ];
  for (const [request, asked] of attempts) {
    const answer = await ask(request, asked);
    expect([request, answer.status]).toEqual([request, expect.any(Number)]);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    const { error } = answer.json as { error: { message: string; advice: string } };
    expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(error.advice).not.toBe("");
    expect(answer.headers.get("content-type")).toStartWith("application/json");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  }
  expect(logged).toEqual([]);
});

test("what is not foreseen is logged once, and told nobody", async () => {
  const { ask, logged, store } = openApi();
  store.list = () => Promise.reject(new Error("the disk at /secret burns"));
  const answer = await ask("GET /v1/instances");
  expect([answer.status, answer.code]).toEqual([500, "INTERNAL"]);
  expect(answer.text).not.toContain("burns");
  expect(logged.length).toBe(1);
  expect(logged[0]).toContain("burns");
});

test("a store that is closed is unavailable", async () => {
  const { ask, store } = openApi();
  await store.close();
  const answer = await ask("GET /v1/instances");
  expect([answer.status, answer.code]).toEqual([503, "STORE_UNAVAILABLE"]);
  expect(answer.headers.get("retry-after")).toBe("1");
});

test("conditions are listed as they hold", async () => {
  const { ask, ports } = openApi();
  ports.conditions.raise("HINTS_DOWN", "amqp", "no route");
  const { json } = await ask("GET /v1/conditions", { role: "read" });
  expect(json).toEqual({
    conditions: [expect.objectContaining({ code: "HINTS_DOWN", subject: "amqp", since: 0 })],
  });
});

test("mounted in another app it guards its own paths alone", async () => {
  const outer = new Hono();
  outer.route("/", openApi().app);
  outer.get("/client/api", (c) => c.text("theirs"));
  expect(await (await outer.request("/client/api")).text()).toBe("theirs");
  const refused = await outer.request("/v1/instances");
  expect(refused.status).toBe(401);
  expect(await refused.json()).toEqual({
    error: expect.objectContaining({ code: "TOKEN_MISSING" }),
  });
});

test("a password goes in and never comes out", async () => {
  const { ask, logged } = openApi();
  await ask(`PUT ${AT}`, { body: BODY });
  const set = await ask(`PUT ${AT}/password`, { body: { password: PASSWORD } });
  expect([set.status, set.json]).toEqual([202, { state: "pending" }]);
  for (const [request] of ROUTES.filter(([one]) => one.startsWith("GET") && !one.includes("ev"))) {
    expect((await ask(request)).text).not.toContain(PASSWORD);
  }
  expect(logged.join()).not.toContain(PASSWORD);
});

const COUNTS = { publicKeys: [], incarnation: 1, epoch: 1 };
