/**
 * `cache --follow` while the metadata changes all the time, and while it is killed.
 *
 * Three keys always change together, so that a file that mixes two states is seen.
 */

import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Program, start, until } from "../e2e/program.ts";
import { GUEST, openDesk } from "./frontdesk.ts";
import { serve, virtualRouter } from "./servers.ts";

const CHANGES = 1_000;
const KILLS = 20;
const TEST_MS = 120_000;
const scratch = mkdtempSync(join(tmpdir(), "fd-follow-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A state in which every value is the same number. */
const keysOf = (n: number) => ({ a: `${n}`, b: `${n}`, c: `${n}` });

test(
  "under 1,000 changes the file is one whole state at every instant, and the last one at the end",
  async () => {
    const file = join(folder("changes"), "metadata.json");
    await using desk = await openDesk(folder("desk"), { keys: keysOf(0) });
    await using program = follow(desk.url, file);
    await until("the file", 20_000, () => existsSync(file));
    const reader = readAllTheTime(file);
    for (let n = 1; n <= CHANGES; n++) {
      desk.write({ keys: keysOf(n) });
      await sleep(5);
    }
    await until("the last state", 30_000, () => stateIn(file) === CHANGES);
    const { reads, states } = await reader.stop();
    expect(reads).toBeGreaterThan(CHANGES);
    // It was kept while it changed, not only at the end.
    expect(states.size).toBeGreaterThan(2);
    const served = await fetch(`${desk.url}/latest/meta-data/`);
    const names = (await served.text()).trim().split("\n");
    const cache = JSON.parse(readFileSync(file, "utf8"));
    expect(Object.keys(cache.metaData)).toEqual(names);
    expect(cache.etag).toBe(served.headers.get("etag"));
    for (const name of names) {
      const value = await (await fetch(`${desk.url}/latest/meta-data/${name}`)).text();
      expect(cache.metaData[name]).toBe(value);
    }
    program.signal("SIGTERM");
    expect((await program.ended).code).toBe(0);
  },
  TEST_MS,
);

test(
  "killed at any moment it leaves a whole file, and what it was writing goes with the next run",
  async () => {
    const dir = folder("kills");
    const file = join(dir, "metadata.json");
    await using router = await virtualRouter({ keys: { "instance-id": "i-1", ...keysOf(0) } });
    // Long values, so that a write takes a while.
    const filler = "x".repeat(60_000);
    let n = 0;
    const timer = setInterval(() => {
      router.files = { keys: { "instance-id": "i-1", ...keysOf(++n), filler } };
    }, 40);
    const reader = readAllTheTime(file);
    for (let kill = 0; kill < KILLS; kill++) {
      await using program = follow(router.url, file);
      await program.says(/keys from/);
      await sleep(Math.random() * 150);
      program.signal("SIGKILL");
      await program.ended;
      expect(stateIn(file)).toBeNumber();
    }
    clearInterval(timer);
    await reader.stop();
    await using _program = follow(router.url, file);
    await until("the last state", 20_000, () => stateIn(file) === n);
    expect(readdirSync(dir)).toEqual(["metadata.json"]);
  },
  TEST_MS,
);

test("an unchanged instance costs one small request a look", async () => {
  const file = join(folder("quiet"), "metadata.json");
  await using desk = await openDesk(folder("quiet-desk"), { keys: keysOf(0) });
  const asked: string[] = [];
  await using middle = await serve((request, response) => {
    asked.push(`${request.method} ${request.url?.replace(/\?.*/, "")}`);
    const { host: _, ...headers } = request.headers as Record<string, string>;
    void fetch(desk.url + request.url, { method: request.method ?? "GET", headers }).then(
      async (reply) => {
        const etag = reply.headers.get("etag");
        if (etag !== null) response.setHeader("etag", etag);
        response.writeHead(reply.status).end(Buffer.from(await reply.arrayBuffer()));
      },
    );
  });
  await using program = follow(middle.url, file);
  await program.says(/keys from/);
  asked.length = 0;
  await until("some looks", 10_000, () => asked.length >= 5);
  expect(new Set(asked)).toEqual(new Set(["GET /latest/meta-data/"]));
});

test("a poll that is held is repeated at once, and ends with the change", async () => {
  const file = join(folder("held"), "metadata.json");
  await using desk = await openDesk(folder("held-desk"), { keys: keysOf(0) });
  let held = 0;
  await using middle = await serve((request, response) => {
    const url = new URL(request.url ?? "", desk.url);
    const limitMs = Number(url.searchParams.get("timeout_sec") ?? "0") * 1000;
    const { host: _, ...headers } = request.headers as Record<string, string>;
    const ask = () => fetch(desk.url + url.pathname, { method: request.method ?? "GET", headers });
    const started = Date.now();
    const answer = async (): Promise<void> => {
      const reply = await ask();
      const waits = reply.status === 304 && Date.now() - started < limitMs;
      if (waits && !response.destroyed) return void setTimeout(answer, 20);
      if (limitMs > 0) held++;
      const etag = reply.headers.get("etag");
      if (etag !== null) response.setHeader("etag", etag);
      response.writeHead(reply.status).end(Buffer.from(await reply.arrayBuffer()));
    };
    void answer();
  });
  // An interval so long that only a held poll can tell in time.
  await using program = follow(middle.url, file, ["--interval", "1"]);
  await until("a held poll", 20_000, () => held >= 1);
  await sleep(300);
  desk.write({ keys: keysOf(7) });
  const changedAt = Date.now();
  await until("the change", 20_000, () => stateIn(file) === 7);
  expect(Date.now() - changedAt).toBeLessThan(5_000);
  expect(program.output()).toContain("keys from");
});

test("a service that goes and comes back is found again; the file stands meanwhile", async () => {
  const file = join(folder("gone"), "metadata.json");
  const keys = (n: number) => ({ keys: { "instance-id": "i-1", ...keysOf(n) } });
  const first = await virtualRouter(keys(1));
  await using program = follow(first.url, file);
  await until("the file", 10_000, () => existsSync(file));
  await first[Symbol.asyncDispose]();
  await program.says(/refuses the connection|does not answer|ECONNRE/);
  expect(stateIn(file)).toBe(1);
  await using _second = await virtualRouter(keys(2), first.port);
  await until("the new state", 20_000, () => stateIn(file) === 2);
});

function follow(url: string, file: string, more: readonly string[] = []): Program {
  const args = ["cache", "--follow", "--interval", "0.1", "--output", file, ...more];
  return start([...GUEST, ...args], { env: { FRONTDESK_ENDPOINT: url } });
}

function folder(name: string): string {
  const path = join(scratch, name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** The number of the state in the file. Throws when it is no JSON, or a mix of two. */
function stateIn(file: string): number | undefined {
  if (!existsSync(file)) return undefined;
  const { metaData } = JSON.parse(readFileSync(file, "utf8"));
  const numbers = new Set([metaData.a, metaData.b, metaData.c]);
  if (numbers.size !== 1) throw new Error(`two states in one file: ${[...numbers]}`);
  return Number(metaData.a);
}

/** Reads the file again and again until it is stopped; rejects with the first bad read. */
function readAllTheTime(file: string) {
  let stopped = false;
  let reads = 0;
  const states = new Set<number | undefined>();
  const loop = (async () => {
    while (!stopped) {
      for (let i = 0; i < 5; i++, reads++) states.add(stateIn(file));
      await sleep(1);
    }
  })();
  loop.catch(() => {}); // Whoever stops it hears of it.
  return {
    async stop() {
      stopped = true;
      await loop;
      return { reads, states };
    },
  };
}
