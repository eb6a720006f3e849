/**
 * Finding the service for real: a guest and a router in namespaces, and nothing said about where
 * it is. Each test makes one way work, and looks whether that way is found.
 */

import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Lab, labMissing, openLab, type Place } from "../e2e/lab.ts";
import { type Program, until } from "../e2e/program.ts";
import { GUEST } from "./frontdesk.ts";

const skip = labMissing(["nft"]) !== undefined;
const BUNDLE = join(import.meta.dirname, "../../dist/frontdesk-guest.mjs");
const FIXTURES = join(import.meta.dirname, "fixtures");
const GUESTS = [{ mac: "02:00:5a:10:00:01", address: "10.1.1.57" }];
/** The limit of a discovery, and a start-up on a busy machine. ms. */
const FOUND_MS_MAX = 5_000;

test.skipIf(skip)("169.254.169.254 is found", async () => {
  await using lab = await openLab({ guests: GUESTS });
  await using _ = await serveAt(lab.router, "169.254.169.254");
  await check(lab, { via: "link-local", endpoint: "http://169.254.169.254" });
});

test.skipIf(skip)(
  "the default gateway is found, and a proxy in the environment is not asked",
  async () => {
    await using lab = await openLab({ guests: GUESTS });
    await using _ = await serveAt(lab.router, "10.1.1.1");
    const found = { via: "gateway", endpoint: "http://10.1.1.1" };
    await check(lab, found);
    const proxy = "http://10.1.1.1:3128";
    await check(lab, found, { env: { http_proxy: proxy, HTTP_PROXY: proxy, ALL_PROXY: proxy } });
  },
);

test.skipIf(skip)("a name in the resolver is found", async () => {
  await using lab = await openLab({ guests: GUESTS });
  await using _ = await serveAt(lab.router, "10.1.1.1");
  const hosts = join(lab.folder, "hosts");
  writeFileSync(hosts, "127.0.0.1 localhost\n10.1.1.1 data-server\n");
  const found = { via: "data-server", endpoint: "http://10.1.1.1" };
  await check(lab, found, { mounts: [[hosts, "/etc/hosts"]] });
});

test.skipIf(skip)("the server of a lease is found, with the file that names it", async () => {
  await using lab = await openLab({ guests: GUESTS });
  await using _ = await serveAt(lab.router, "10.1.1.1");
  const found = { via: "dhcp", endpoint: "http://10.1.1.1" };
  const leases = join(FIXTURES, "dhclient/var/lib/dhcp");
  await check(lab, found, { mounts: [[leases, "/var/lib/dhcp"]] });
});

test.skipIf(skip)("IPv6's addresses are found", async () => {
  await using lab = await openLab({ guests: GUESTS });
  const [guest] = lab.guests;
  await lab.router.run(["ip", "addr", "add", "fe80::a9fe:a9fe/64", "dev", "eth0", "nodad"]);
  await lab.router.run(["ip", "addr", "add", "fd00:ec2::254/64", "dev", "eth0", "nodad"]);
  await guest?.run(["ip", "addr", "add", "fd00:ec2::57/64", "dev", "eth0", "nodad"]);
  {
    await using _ = await serveAt(lab.router, "fd00:ec2::254");
    await check(lab, { via: "ipv6", endpoint: "http://[fd00:ec2::254]" });
  }
  await using _ = await serveAt(lab.router, "fe80::a9fe:a9fe%eth0");
  await check(lab, { via: "ipv6", endpoint: "http://[fe80::a9fe:a9fe%25eth0]" });
});

// Goal: who has the answer has it, whatever the resolver does.
// Method: the name server is an address at which nobody is, and the whole run is timed, on each
// runtime, because Node.js waits for look-ups of its own before it ends.
for (const [name, program] of [
  ["Bun", GUEST],
  ["Node.js", ["node", BUNDLE]],
] as const) {
  // `npm test` builds it first.
  const missing = program.includes(BUNDLE) && !existsSync(BUNDLE);
  test.skipIf(skip || missing)(
    `a resolver that is silent holds nobody up, on ${name}`,
    async () => {
      await using lab = await openLab({ guests: GUESTS });
      await using _ = await serveAt(lab.router, "10.1.1.1");
      const resolver = join(lab.folder, "resolv.conf");
      writeFileSync(resolver, "nameserver 10.1.1.98\n");
      const mounts = [[resolver, "/etc/resolv.conf"]] as const;
      await check(lab, { via: "gateway", endpoint: "http://10.1.1.1" }, { mounts, program });
    },
  );
}

test.skipIf(skip)("a black hole at the preferred address costs little", async () => {
  await using lab = await openLab({ guests: GUESTS });
  await using _ = await serveAt(lab.router, "10.1.1.1");
  const drop =
    "table ip t { chain c { type filter hook output priority 0; ip daddr 169.254.169.254 drop; }; }";
  await lab.guests[0]?.run(["nft", drop]);
  await check(lab, { via: "gateway", endpoint: "http://10.1.1.1" });
});

test.skipIf(skip)(
  "where nobody serves, what each address did is told, in bounded time",
  async () => {
    await using lab = await openLab({ guests: GUESTS });
    const started = Date.now();
    const done = await ask(lab, { timeout: "1" });
    expect(Date.now() - started).toBeLessThan(FOUND_MS_MAX);
    expect(done.code).toBe(1);
    expect(done.stderr).toContain("http://169.254.169.254 refuses the connection");
    expect(done.stderr).toContain("http://10.1.1.1 refuses the connection");
  },
);

interface Around {
  readonly env?: Readonly<Record<string, string>>;
  /** What the guest sees in a place of its own: [what, where]. */
  readonly mounts?: readonly (readonly [string, string])[];
  readonly timeout?: string;
  /** Another build than the source. */
  readonly program?: readonly string[];
}

async function check(lab: Lab, expected: Readonly<Record<string, string>>, around: Around = {}) {
  const started = Date.now();
  const done = await ask(lab, around);
  expect([done.code, done.stderr]).toEqual([0, ""]);
  expect(JSON.parse(done.stdout.toString())).toMatchObject({
    found: true,
    value: "web-01",
    ...expected,
  });
  expect(Date.now() - started).toBeLessThan(FOUND_MS_MAX);
}

/** `get local-hostname --json` in the guest, which has no leases of this machine's. */
async function ask(lab: Lab, { env = {}, mounts = [], timeout = "5", program = GUEST }: Around) {
  const [guest] = lab.guests;
  if (guest === undefined) throw new Error("no guest");
  const binds = mounts.map(([from, to]) =>
    [`mkdir -p "$(dirname ${to})"`, `if [ -d ${from} ]; then mkdir -p ${to}; fi`]
      .concat(`mount --bind ${from} ${to}`)
      .join(" && "),
  );
  const command = [...program, "get", "local-hostname", "--json", "--timeout", timeout];
  // This machine's own leases are nobody's business there.
  const hidden = ["/var/lib", "/run"].map((path) => `mount -t tmpfs none ${path}`);
  const script = ["set -e", ...hidden, ...binds, 'exec "$@"'].join("\n");
  return await guest.run(["unshare", "--mount", "sh", "-c", script, "guest", ...command], {
    env,
  });
}

/** A small metadata service on port 80 of an address in the router's namespace. */
async function serveAt(place: Place, address: string): Promise<Program> {
  const code = `require("node:http").createServer((request, response) => {
    if (/[%]|^$/.test(request.headers.host)) return response.writeHead(400).end();
    const body = { "/latest/meta-data/": "instance-id\\nlocal-hostname\\n" }[request.url] ?? "web-01";
    response.writeHead(request.method === "GET" ? 200 : 405).end(body);
  }).listen(80, ${JSON.stringify(address)}, () => console.log("ready"));`;
  const program = place.start(["node", "-e", code]);
  await until("the service", 10_000, () => program.output().includes("ready"));
  return program;
}
