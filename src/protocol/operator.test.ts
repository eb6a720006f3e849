import { expect, test } from "bun:test";
import { StateError, UsageError } from "../model/errors.ts";
import type { Reply } from "./http.ts";
import { answering, type Routes, text } from "./operator.ts";

const ROUTES: Routes<{ readonly name: string }> = {
  "GET /name": async (_request, query, { name }) => text(200, `${name} ${query.get("q")}`),
  "GET /metrics": async () => text(200, "1"),
  "POST /name": async () => text(200, "done"),
  "GET /wrong": async () => {
    throw new UsageError("there is no such thing");
  },
  "GET /full": async () => {
    throw new StateError("STATE_UNWRITABLE", "the disk is full");
  },
};

test("a table answers its paths, HEAD as GET, and says what else it takes", async () => {
  const cases: readonly (readonly [asked: string, reply: Partial<Reply>])[] = [
    ["GET /name?q=a+b", { status: 200, body: "desk a b" }],
    ["HEAD /name", { status: 200, body: "desk null" }],
    ["POST /name", { status: 200, body: "done" }],
    ["PUT /name", { status: 405, allow: "GET, HEAD, POST" }],
    ["POST /wrong", { status: 405, allow: "GET, HEAD" }],
    ["get /name", { status: 405 }],
    ["GET /nam", { status: 404 }],
    ["GET /constructor", { status: 404 }],
    [`GET /name?q=${"x".repeat(5000)}`, { status: 404 }],
    ["GET /wrong", { status: 400, body: expect.stringContaining("there is no such thing") }],
    ["GET /full", { status: 507, body: expect.stringContaining("STATE_UNWRITABLE") }],
  ];
  for (const [asked, reply] of cases) expect(await ask(asked)).toMatchObject(reply);
});

test("a page in a browser gets nothing, under whatever name it has the address", async () => {
  const cases: readonly (readonly [peer: string | undefined, headers: Fields, status: number])[] = [
    [PEER, {}, 200],
    [PEER, { host: "127.0.0.1:9100" }, 200],
    [PEER, { host: "[::1]:9100" }, 200],
    [PEER, { host: "[::1]" }, 200],
    [PEER, { host: "LocalHost:9100" }, 200],
    [PEER, { host: "127.0.0.1:9100", origin: "http://evil.example" }, 403],
    [PEER, { host: "127.0.0.1:9100", "sec-fetch-site": "cross-site" }, 403],
    [PEER, { host: "evil.example:9100" }, 403],
    [PEER, { host: "127.0.0.1.evil.example" }, 403],
    [PEER, { host: "localhost.evil.example:9100" }, 403],
    [PEER, { host: "" }, 403],
    // No page reaches a socket of the file system, and commands write any name there.
    [undefined, { host: "x" }, 200],
    [undefined, { host: "x", origin: "http://evil.example" }, 403],
  ];
  for (const [peer, headers, status] of cases) {
    const reply = await ask("GET /name", headers, peer);
    expect([headers, reply.status]).toEqual([headers, status]);
  }
});

test("monitoring asks by any name, a page in a browser does not", async () => {
  const named = { host: "router1.example:9100" };
  expect((await ask("GET /metrics", named, PEER)).status).toBe(200);
  expect((await ask("GET /metrics?x", named, PEER)).status).toBe(200);
  const page = { ...named, "sec-fetch-site": "same-origin" };
  expect((await ask("GET /metrics", page, PEER)).status).toBe(403);
});

const PEER = "127.0.0.1";

type Fields = Readonly<Record<string, string>>;

function ask(asked: string, headers: Fields = {}, peer?: string): Promise<Reply> {
  const [method = "", target = ""] = asked.split(" ", 2);
  const header = (name: string): string | undefined => headers[name];
  return answering(ROUTES, { name: "desk" })({ method, target, header, peer });
}
