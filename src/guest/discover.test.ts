import { expect, test } from "bun:test";
import type { Client } from "./client.ts";
import { type DiscoverOptions, discover, find } from "./discover.ts";
import { type Endpoint, endpointAt } from "./endpoint.ts";
import type { Asked } from "./http.ts";
import type { System } from "./system.ts";
import { sleep } from "./waiting.ts";

const LISTING = "instance-id\nlocal-hostname\n";
/** Long enough to be told from PREFERRED_MS on a busy machine, short enough to wait for. ms. */
const LATE_MS = 400;
/** The discovery's own limit in these tests. ms. */
const LIMIT_MS = 1_000;

/** What somebody does when he is asked. */
interface Host {
  readonly afterMs?: number;
  readonly asked?: Asked;
  readonly tokens?: boolean;
}
type Hosts = Readonly<Record<string, Host>>;

const metadata: Asked = reply(200, LISTING);
const refused: Asked = { kind: "connection-refused", code: "ECONNREFUSED", ms: 1 };

test("the best that serves this instance is chosen", async () => {
  await check(
    { "169.254.169.254": { asked: metadata }, "10.1.1.1": { asked: metadata } },
    "link-local http://169.254.169.254",
  );
  await check(
    { "169.254.169.254": { asked: refused }, "10.1.1.1": { asked: metadata } },
    "data-server http://10.1.1.1",
  );
  await check({ "10.1.1.9": { asked: metadata } }, "dhcp http://10.1.1.9");
  await check({ "10.1.1.254": { asked: metadata } }, "gateway http://10.1.1.254");
  await check({ "fd00:ec2::254": { asked: metadata } }, "ipv6 http://[fd00:ec2::254]");
  await check({}, undefined);
});

test("a preferred one that is a little late is waited for, a silent one is not", async () => {
  const late = { asked: metadata, afterMs: 10 };
  await check(
    { "169.254.169.254": late, "10.1.1.9": { asked: metadata } },
    "link-local http://169.254.169.254",
  );
  const found = await check(
    { "169.254.169.254": { afterMs: LATE_MS, asked: metadata }, "10.1.1.9": { asked: metadata } },
    "dhcp http://10.1.1.9",
  );
  expect(found.ms).toBeLessThan(LATE_MS);
  expect(answers(found)["169.254.169.254"]).toBe("abandoned");
});

test("all of them are waited for when all are wanted", async () => {
  const hosts: Hosts = {
    "169.254.169.254": { asked: metadata },
    "10.1.1.9": { afterMs: LATE_MS, asked: metadata },
  };
  const found = await check(hosts, "link-local http://169.254.169.254", { all: true });
  expect(answers(found)["10.1.1.9"]).toBe("metadata");
});

test("what is no metadata is told apart, and never chosen", async () => {
  const cases: readonly (readonly [Asked, string])[] = [
    [reply(404, ""), "unknown-instance"],
    [reply(503, ""), "not-yet"],
    [reply(403, "no"), "refused"],
    [reply(500, "<html>"), "broken"],
    [reply(302, "", { location: "http://portal.example/" }), "redirect"],
    [reply(200, "<html>\n<title>Log in</title>"), "other"],
    [reply(200, ""), "other"],
    [reply(200, "readme\nindex\n"), "other"],
    [reply(200, "<pre>\ninstance-id\n"), "other"],
    [refused, "connection-refused"],
    [{ kind: "unreachable", code: "ENETUNREACH", ms: 1 }, "unreachable"],
    [{ kind: "malformed", code: "EPROTO", ms: 1 }, "malformed"],
    [{ kind: "too-large", code: "EMSGSIZE", ms: 1 }, "malformed"],
  ];
  for (const [asked, kind] of cases) {
    const found = await check({ "10.1.1.9": { asked } }, undefined);
    expect(answers(found)["10.1.1.9"], kind).toBe(kind);
  }
});

test("somebody who is silent costs the limit, no more, and is told as a timeout", async () => {
  const found = await check({ "10.1.1.9": { afterMs: 60_000 } }, undefined);
  expect(answers(found)["10.1.1.9"]).toBe("timeout");
  expect(found.ms).toBeLessThan(LIMIT_MS + 500);
});

test("a key with an odd name, as users give them, hides no service", async () => {
  await check(
    { "10.1.1.9": { asked: reply(200, "instance-id\nmy key\n../x\n") } },
    "dhcp http://10.1.1.9",
  );
});

test("an endpoint that is named is the only one that is asked", async () => {
  const endpoint = endpointAt("10.7.7.7", { via: "option" });
  const hosts: Hosts = { "169.254.169.254": { asked: metadata }, "10.7.7.7": { asked: refused } };
  const found = await check(hosts, undefined, { endpoint });
  expect(Object.keys(answers(found))).toEqual(["10.7.7.7"]);
});

test("an address that is found twice is asked once, and keeps the better way", async () => {
  const found = await check(
    { "10.1.1.1": { asked: metadata, afterMs: 5 } },
    "data-server http://10.1.1.1",
    {
      system: system({ server: "10.1.1.1", names: ["10.1.1.1"] }),
    },
  );
  expect(found.candidates.filter(({ endpoint }) => endpoint.host === "10.1.1.1")).toHaveLength(1);
});

test("whether session tokens are given out is told; a slow answer about them holds nobody up", async () => {
  const tokens = await check(
    { "10.1.1.9": { asked: metadata, tokens: true } },
    "dhcp http://10.1.1.9",
  );
  expect(
    tokens.candidates.find(({ endpoint }) => endpoint.host === "10.1.1.9")?.answer,
  ).toMatchObject({ tokens: true });
});

test("an abort ends it, and closes everybody", async () => {
  const stop = new AbortController();
  const opened: FakeClient[] = [];
  const running = find(options({ "10.1.1.9": { afterMs: 60_000 } }, {}, opened), stop.signal);
  setTimeout(() => stop.abort(), 20);
  await expect(running).rejects.toThrow();
  expect(opened.length).toBeGreaterThan(2);
  expect(opened.every(({ closed }) => closed)).toBe(true);
});

async function check(hosts: Hosts, expected: string | undefined, more: DiscoverOptions = {}) {
  const opened: FakeClient[] = [];
  const found = await discover(options(hosts, more, opened), new AbortController().signal);
  const { chosen } = found;
  expect(chosen === undefined ? undefined : `${chosen.via} ${chosen.url}`).toBe(expected);
  expect(opened.every(({ closed }) => closed)).toBe(true);
  return found;
}

function answers(found: Awaited<ReturnType<typeof discover>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    found.candidates.map(({ endpoint, answer }) => [endpoint.host, answer.kind]),
  );
}

function options(hosts: Hosts, more: DiscoverOptions, opened: FakeClient[]): DiscoverOptions {
  const open = (endpoint: Endpoint): Client => {
    const client = fakeClient(endpoint, hosts[endpoint.host] ?? { asked: refused });
    opened.push(client);
    return client;
  };
  const network = system({ server: "10.1.1.9", names: ["10.1.1.1"] });
  return { system: network, timeoutMs: LIMIT_MS, open, ...more };
}

/** A guest with a lease, a gateway, a name and IPv6. */
function system({ server, names }: { server: string; names: readonly string[] }): System {
  const files: Readonly<Record<string, string>> = {
    "/run/systemd/netif/leases/2": `ADDRESS=10.1.1.57\nSERVER_ADDRESS=${server}\n`,
    "/proc/net/route": "Iface Destination\neth0 00000000 FE01010A 0003 0 0 0 00000000 0 0 0\n",
    "/proc/net/if_inet6": `fe80${"0".repeat(27)}1 02 40 20 80 eth0\n`,
  };
  return {
    read: (path) => (files[path] === undefined ? undefined : Buffer.from(files[path])),
    list: (path) => (path === "/run/systemd/netif/leases" ? ["2"] : []),
    modifiedMs: () => 0,
    resolve: async () => names,
  };
}

interface FakeClient extends Client {
  closed: boolean;
}

function fakeClient(endpoint: Endpoint, { afterMs = 0, asked, tokens = false }: Host): FakeClient {
  const client: FakeClient = {
    endpoint,
    hasToken: false,
    closed: false,
    async get(_target, _options, signal) {
      await sleep(afterMs, signal);
      signal.throwIfAborted();
      return asked ?? refused;
    },
    fetchToken: async () => tokens,
    close() {
      client.closed = true;
    },
  };
  return client;
}

function reply(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Asked {
  return { kind: "reply", status, headers, body: Buffer.from(text), ms: 1 };
}
