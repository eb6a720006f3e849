/**
 * The router in one piece, in this process, on a file: what belongs to no single part.
 */

import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { Ip } from "../src/model/address.ts";
import { openRouter, type Router, type RouterSettings } from "../src/router/daemon.ts";
import { bunRim } from "../src/router/http/bun.ts";
import { nodeRim } from "../src/router/http/node.ts";
import type { Rim } from "../src/router/http/rim.ts";

const HOST = "127.0.0.1" as Ip;
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

for (const rim of [bunRim, nodeRim]) {
  test(`a change of the file is seen, and a broken one changes nothing, on ${rim.name}`, async () => {
    const lab = await open(rim, yaml("web-01"));
    expect(await lab.get("/latest/local-hostname")).toEqual([200, "web-01"]);
    lab.write(yaml("web-02"));
    await lab.until("/latest/local-hostname", "web-02");
    lab.write("instances: [");
    await lab.untilCondition("SOURCE_MALFORMED");
    expect(await lab.get("/latest/local-hostname")).toEqual([200, "web-02"]);
    lab.write(yaml("web-03"));
    await lab.until("/latest/local-hostname", "web-03");
    expect(lab.router.conditions.list()).toEqual([]);
  });

  test(`a restart answers before the source can be read, on ${rim.name}`, async () => {
    const lab = await open(rim, yaml("web-01"));
    const before = await lab.get("/latest/meta-data/");
    await lab.router.close(100);
    lab.write("instances: [");
    const again = await reopen(lab, rim);
    expect(await again.get("/latest/meta-data/")).toEqual(before);
    expect(await again.get("/latest/user-data")).toEqual([200, "#cloud-config\n"]);
  });

  test(`the admin socket answers operators, and not browsers, on ${rim.name}`, async () => {
    const { admin } = await open(rim, yaml("web-01"));
    expect(await admin("GET", "/livez")).toEqual([200, "ok\n"]);
    expect((await admin("GET", "/readyz"))[0]).toBe(200);
    expect(await admin("GET", "/conditions")).toEqual([200, "[]\n"]);
    expect((await admin("GET", "/metrics"))[1]).toContain("frontdesk_router_bindings 1");
    const [status, body] = await admin("GET", "/why?ip=127.0.0.1&path=/latest/user-data");
    expect([status, JSON.parse(body)]).toMatchObject([
      200,
      { identity: "bound", instance: "i-1", reply: { status: 200, bytes: 14 } },
    ]);
    expect(body).not.toContain("cloud-config");
    expect(JSON.parse((await admin("GET", "/why?ip=127.0.0.9"))[1])).toMatchObject({
      identity: "unknown",
      network: "lab",
      reply: { status: 404 },
    });
    expect((await admin("GET", "/why?ip=junk"))[0]).toBe(400);
    expect((await admin("GET", "/nothing"))[0]).toBe(404);
    expect((await admin("POST", "/livez"))[0]).toBe(405);
    expect((await admin("POST", "/apply", "{}"))[0]).toBe(400);
    expect((await admin("GET", "/livez", undefined, { origin: "http://evil.example" }))[0]).toBe(
      403,
    );
  });
}

// A bag that is cut short is given half a second to become whole: so long the first reading takes.
test("what one source said is not served for another", async () => {
  const lab = await open(bunRim, yaml("web-01"));
  await lab.router.close(100);
  const source = `file:${join(lab.folder, "mistyped.yaml")}`;
  await expect(start(lab.folder, bunRim, { source })).rejects.toThrow("does not exist");
  await cleanUp.pop()?.(); // Closes it.
  expect(await (await reopen(lab, bunRim)).get("/latest/local-hostname")).toEqual([200, "web-01"]);
});

test("while databags are read, who asks for metadata gets it, and for a password waits", async () => {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-router-"));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  const bags = join(folder, "bags");
  mkdirSync(bags);
  const write = (name: string, bag: object): void =>
    writeFileSync(join(bags, name), JSON.stringify(bag, undefined, 2));
  const lease = { mac_address: "02:00:00:00:00:01", remove: false };
  write("dhcpentry.json", { [HOST]: lease });
  write("vmdata.json", { [HOST]: [["metadata", "instance-id", "i-1"]] });
  writeFileSync(join(bags, "vmpassword.json"), "{");
  const targets = (plane: "metadata" | "password") => [{ plane, host: HOST, port: 0 }];
  const settings: RouterSettings = {
    ...{ source: `databag:${bags}`, admin: { unix: join(folder, "admin.sock") } },
    ...{ listen: targets("metadata"), passwordListen: targets("password") },
    ...{ stateDir: join(folder, "state"), hosts: "audit", hostNames: [] },
  };
  const sink = { write: () => {}, dropped: 0, flushSync: () => {} };
  const ports = { rim: bunRim, sink, logLevel: "silent", version: "test" };
  const router = await openRouter(settings, ports);
  cleanUp.push(() => router.close(100));
  const get = (host: string) => {
    const { port } = router.listening[0] ?? {};
    const path = "/latest/instance-id";
    return ask({ host: HOST, localAddress: host, port, path });
  };
  await poll(async () => (await get(HOST))[0] === 200, "the guest is answered");
  expect(router.ready).toBe(false);
  expect(router.listening.map(({ plane }) => plane)).toEqual(["metadata"]);
  expect((await get("127.0.0.2"))[0]).toBe(503);
  writeFileSync(join(bags, "vmpassword.json"), "{}");
  await router.loaded;
  expect(router.listening.map(({ plane }) => plane)).toEqual(["metadata", "password"]);
  expect(await get(HOST)).toEqual([200, "i-1"]);
  expect((await get("127.0.0.2"))[0]).toBe(404);
});

test("hosts: enforce refuses foreign names, audit answers them and says so", async () => {
  const audit = await open(bunRim, yaml("web-01"));
  const foreign = { host: "rebound.example" };
  expect((await audit.get("/latest/local-hostname", foreign))[0]).toBe(200);
  await audit.untilCondition("HOST_UNEXPECTED");
  const enforce = await open(bunRim, yaml("web-01"), { hosts: "enforce" });
  expect(await enforce.get("/latest/local-hostname", foreign)).toEqual([403, ""]);
  expect((await enforce.get("/latest/local-hostname"))[0]).toBe(200);
  expect((await enforce.get("/latest/local-hostname", { host: "data-server." }))[0]).toBe(200);
});

// Goal: nothing that a guest sends changes who it is. Method: two instances; any request from one
// of them is answered with its own bytes, or with none.
test("no header, method, path or query makes one guest another", async () => {
  const lab = await open(
    bunRim,
    `${yaml("first")}\n  - {id: i-2, name: second, address: 127.0.0.2}`,
  );
  const header = fc.constantFrom(
    ...["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "via"],
    ...["cf-connecting-ip", "x-instance-id", "x-tenant-id", "x-neutron-router-id", "host"],
    ...["domu_request", "x-forwarded-host", "user-agent", "x-original-url", "x-rewrite-url"],
  );
  const value = fc.constantFrom(
    "127.0.0.2",
    "127.0.0.2, 127.0.0.1",
    "for=127.0.0.2",
    "i-2",
    "second",
  );
  const method = fc.constantFrom("GET", "HEAD", "POST", "PUT", "OPTIONS");
  const path = fc.constantFrom(
    ...["/latest/local-hostname", "/latest/meta-data/instance-id", "/latest/user-data"],
    ...["/metadata/127.0.0.2/instance-id", "/userdata/127.0.0.2/user-data", "/latest/127.0.0.2"],
    ...["http://127.0.0.2/latest/local-hostname", "/latest/local-hostname?ip=127.0.0.2"],
    ...["//127.0.0.2/latest/local-hostname", "/latest/meta-data/../../127.0.0.2/local-hostname"],
  );
  const headers = fc.dictionary(header, value, { maxKeys: 4 });
  await fc.assert(
    fc.asyncProperty(method, path, headers, async (method, path, headers) => {
      const [status, body] = await lab.ask(method, path, headers);
      expect(`${status} ${body}`).not.toMatch(/second|i-2/);
      expect([200, 400, 404, 405]).toContain(status); // A Host that is a list is malformed.
    }),
    { numRuns: 300 },
  );
});

test("a listen address that is taken fails the start, and leaves nothing open", async () => {
  const first = await open(bunRim, yaml("web-01"));
  const port = first.router.listening[0]?.port ?? 0;
  const attempt = open(bunRim, yaml("web-01"), {
    listen: [{ plane: "metadata", host: HOST, port }],
  });
  expect(attempt).rejects.toThrow(`127.0.0.1:${port} is held by process ${process.pid}`);
});

test("a source that cannot be understood fails the start with file, line and field", async () => {
  const attempt = open(bunRim, "instances:\n  - id: 5\n");
  expect(attempt).rejects.toThrow(/instances\.yaml:2: instances\[0\]/);
});

interface Lab {
  readonly folder: string;
  readonly router: Router;
  write(text: string): void;
  ask(method: string, path: string, headers?: Record<string, string>): Promise<[number, string]>;
  get(path: string, headers?: Record<string, string>): Promise<[number, string]>;
  admin(
    method: string,
    path: string,
    body?: string,
    headers?: Record<string, string>,
  ): Promise<[number, string]>;
  until(path: string, body: string): Promise<void>;
  untilCondition(code: string): Promise<void>;
}

function yaml(name: string): string {
  const header = "networks:\n  - {id: lab, cidrs: [127.0.0.0/8]}\n";
  const userData = "    userData: |\n      #cloud-config";
  return `${header}instances:\n  - id: i-1\n    name: ${name}\n    address: 127.0.0.1\n${userData}`;
}

async function open(rim: Rim, text: string, more: Partial<RouterSettings> = {}): Promise<Lab> {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-router-"));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "lab"));
  writeFileSync(join(folder, "lab/instances.yaml"), text);
  return start(folder, rim, more);
}

function reopen({ folder }: Lab, rim: Rim): Promise<Lab> {
  return start(folder, rim, {});
}

async function start(folder: string, rim: Rim, more: Partial<RouterSettings>): Promise<Lab> {
  const file = join(folder, "lab/instances.yaml");
  const unix = join(folder, "admin.sock");
  const settings: RouterSettings = {
    source: `file:${file}`,
    listen: [{ plane: "metadata", host: HOST, port: 0 }],
    passwordListen: [],
    admin: { unix },
    stateDir: join(folder, "state"),
    hosts: "audit",
    hostNames: [],
    ...more,
  };
  const sink = { write: () => {}, dropped: 0, flushSync: () => {} };
  const router = await openRouter(settings, { rim, sink, logLevel: "silent", version: "test" });
  cleanUp.push(() => router.close(100));
  await router.loaded.catch((error) => {
    if (more.stateDir === undefined && router.listening.length > 0) throw error;
  });
  const port = router.listening[0]?.port ?? 0;
  const get = (path: string, headers = {}) => ask({ host: HOST, port, path, headers });
  return {
    folder,
    router,
    get,
    write: (text) => writeFileSync(file, text),
    ask: (method, path, headers = {}) => ask({ host: HOST, port, method, path, headers }),
    admin: (method, path, body, headers = {}) =>
      ask({ socketPath: unix, method, path, headers }, body),
    until: (path, body) => poll(async () => (await get(path))[1] === body, `${path} is ${body}`),
    untilCondition: (code) =>
      poll(async () => router.conditions.list().some((held) => held.code === code), code),
  };
}

async function poll(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await Bun.sleep(10);
  }
  throw new Error(`waited in vain until ${what}`);
}

function ask(options: object, body?: string): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const exchange = request({ agent: false, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve([response.statusCode ?? 0, Buffer.concat(chunks).toString()]),
      );
    });
    exchange.on("error", reject);
    exchange.end(body);
  });
}
