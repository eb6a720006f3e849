/** What one admin view says of several routers, which are played here. */

import { expect, test } from "bun:test";
import { Conditions } from "../observe/conditions.ts";
import type { RimRequest } from "./http/rim.ts";
import { type AskMember, membersAdminHandler } from "./members-admin.ts";

const MEMBERS = ["red", "blue"].map((name) => ({
  ...{ name, networks: [`net-${name}`], argv: [], admin: `/run/${name}.sock` },
}));

/** What each router answers at a path; one that says nothing is down. */
type Said = Readonly<Record<"red" | "blue", Readonly<Record<string, unknown>>>>;

const BOTH: Said = {
  red: {
    "GET /readyz": { ready: true },
    "GET /conditions": [{ code: "LISTEN_FAILED", severity: "error", subject: "10.1.1.1:80" }],
    "GET /metrics": '# HELP up x\n# TYPE up gauge\nup 1\n# TYPE by counter\nby{a="}"} 2\n',
    "GET /why": { identity: "bound", instance: "i-red" },
    "POST /apply": { applied: 1 },
  },
  blue: {
    "GET /readyz": { ready: true },
    "GET /conditions": [],
    "GET /metrics": "# HELP up x\n# TYPE up gauge\nup 0\n",
    "GET /why": { identity: "unknown" },
    "POST /apply": { applied: 2 },
  },
};

test("why is the word of the one router that knows the address", async () => {
  await check(BOTH, "GET /why?ip=10.1.1.5", 200, /i-red/);
  await check(BOTH, "GET /why?ip=10.1.1.5&network=net-blue", 200, /unknown/);
  const known = { ...BOTH, blue: BOTH.red };
  await check(known, "GET /why?ip=10.1.1.5", 400, /add --network net-red or net-blue/);
  await check(known, "GET /why?ip=10.1.1.5&network=blue", 200, /i-red/);
  await check(BOTH, "GET /why?ip=10.1.1.5&network=green", 400, /there are net-red, net-blue/);
});

test("a command is for one router, which must be named", async () => {
  await check(BOTH, "POST /apply?name=x", 400, /add --network net-red or net-blue/);
  await check(BOTH, "POST /apply?name=x&network=net-blue", 200, /"applied":2/);
});

test("the program is ready when all of its routers are, and says of each what is wrong", async () => {
  await check(BOTH, "GET /readyz", 200, /"ready":true.*"subject":"red: 10\.1\.1\.1:80"/);
  await check({ ...BOTH, blue: {} }, "GET /readyz", 503, /"ready":false/);
  await check(BOTH, "GET /conditions", 200, /^\[\{"code":"LISTEN_FAILED".*"red: 10/);
});

test("one that does not answer might know, so who asks says which network is meant", async () => {
  const half = { ...BOTH, red: {} };
  await check(half, "GET /why?ip=10.1.1.5", 400, /red does not answer, so add --network/);
  await check(half, "GET /why?ip=10.1.1.5&network=blue", 200, /unknown/);
  await check(half, "GET /why?ip=10.1.1.5&network=red", 503, /does not answer/);
  await check(half, "POST /apply?network=red", 503, /does not answer/);
  await check(half, "GET /status", 200, /"namespace":"red","networks":\["net-red"\]/);
});

test("each sample of a metric names its namespace, and stands with the others of that metric", async () => {
  const { body } = await ask(BOTH, "GET /metrics");
  expect(body?.toString().trimEnd().split("\n")).toEqual([
    ...["# HELP up x", "# TYPE up gauge", 'up{namespace="red"} 1', 'up{namespace="blue"} 0'],
    ...["# TYPE by counter", 'by{namespace="red",a="}"} 2'],
  ]);
});

test("what there is not is refused as on a router of its own", async () => {
  await check(BOTH, "GET /nothing", 404, /no such path/);
  expect(await ask(BOTH, "POST /livez")).toEqual({ status: 405, allow: "GET, HEAD" });
  expect((await ask(BOTH, "GET /livez", { origin: "http://evil" })).status).toBe(403);
});

async function check(said: Said, line: string, status: number, body: RegExp): Promise<void> {
  const reply = await ask(said, line);
  expect({ line, status: reply.status }).toEqual({ line, status });
  expect(String(reply.body)).toMatch(body);
}

async function ask(said: Said, line: string, headers: Readonly<Record<string, string>> = {}) {
  const [method = "", target = ""] = line.split(" ");
  const member: AskMember = async (socket, { method, path }) => {
    const name = socket === "/run/red.sock" ? "red" : "blue";
    const answer = said[name][`${method} ${path.split("?", 1)[0]}`];
    if (answer === undefined) throw new Error("nobody listens");
    return { status: 200, text: typeof answer === "string" ? answer : JSON.stringify(answer) };
  };
  const handler = membersAdminHandler({
    ...{ members: MEMBERS, ask: member, version: "1", status: () => [] },
    conditions: new Conditions(() => 0),
  });
  const request = {
    ...{ method, target, header: (name: string) => headers[name] },
    body: async () => new Uint8Array(),
  };
  return await handler(request as unknown as RimRequest);
}
