/**
 * The commands as a person runs them, against Frontdesk's own router, an imitation of CloudStack's,
 * and a service in EC2's style: what is printed, and the exit code.
 *
 * Each names its service, so nobody else is asked; finding it is tested in namespaces.
 */

import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFolder } from "../e2e/leftovers.ts";
import { run, start, until } from "../e2e/program.ts";
import { GUEST, guest, openDesk } from "./frontdesk.ts";
import { ec2, serve, virtualRouter } from "./servers.ts";

const SCRIPT = "#!/bin/sh\necho h\u00e9llo\n";
const KEYS = { "local-hostname": "web-01", "hypervisor-host-name": "" };
const isRoot = process.getuid?.() === 0;
/** `nobody` of every Linux. */
const NOBODY = 65_534;
const scratch = mkdtempSync(join(tmpdir(), "fd-guest-"));

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Opened by each test for itself: what a test starts ends with it. */
const SERVICES: readonly { readonly name: string; open(): Promise<Opened> }[] = [
  { name: "Frontdesk", open: openFrontdesk },
  {
    name: "CloudStack's own router",
    open: () => virtualRouter({ keys: { ...KEYS, "instance-id": "i-1" }, userData: SCRIPT }),
  },
  { name: "EC2 with session tokens", open: openCloud },
];

interface Opened extends AsyncDisposable {
  readonly url: string;
}

function openFrontdesk(): Promise<Opened> {
  const keys = { ...KEYS, "hypervisor-host-name": null };
  return openDesk(mkdtempSync(join(scratch, "desk-")), { keys, userData: SCRIPT });
}

function openCloud(): Promise<Opened> {
  const tree = { ...KEYS, "instance-id": "i-1", "placement/": { "availability-zone": "z" } };
  return ec2({ tree, userData: SCRIPT, tokensRequired: true });
}

for (const { name, open } of SERVICES) {
  describe(name, () => {
    test("get prints a value as it is, and 0", async () => {
      await using service = await open();
      await check(service.url, ["get", "local-hostname"], { code: 0, out: "web-01" });
      await check(service.url, ["get", "/latest/meta-data/local-hostname"], {
        code: 0,
        out: "web-01",
      });
      await check(service.url, ["get", "metadata/local-hostname"], { code: 0, out: "web-01" });
      await check(service.url, ["get", "user-data"], { code: 0, out: SCRIPT });
    });

    test("get tells absent, 1, from empty, 0", async () => {
      await using service = await open();
      await check(service.url, ["get", "hypervisor-host-name"], { code: 0, out: "" });
      await check(service.url, ["get", "nope"], {
        code: 1,
        out: "",
        note: "/latest/meta-data/nope is absent",
      });
      const empty = await json(service.url, ["get", "hypervisor-host-name", "--json"], 0);
      expect(empty).toMatchObject({ found: true, value: "", via: "option", endpoint: service.url });
      const absent = await json(service.url, ["get", "nope", "--json"], 1);
      expect(absent).toMatchObject({ path: "/latest/meta-data/nope", found: false });
      expect(absent).not.toHaveProperty("value");
    });

    test("get lists the keys", async () => {
      await using service = await open();
      const listed = await json(service.url, ["get", "--json"], 0);
      expect(listed.names).toContain("local-hostname");
      const done = await guest(service.url, ["get"]);
      expect(done.stdout.toString().split("\n")).toContain("hypervisor-host-name");
    });

    test("a default stands in for what is absent, and for nothing else", async () => {
      await using service = await open();
      await check(service.url, ["get", "nope", "--default", "x y"], { code: 0, out: "x y" });
      await check(service.url, ["get", "hypervisor-host-name", "--default", "x"], {
        code: 0,
        out: "",
      });
    });

    test("cache writes the whole tree, without user data", async () => {
      await using service = await open();
      const file = join(scratch, `${name}.json`);
      await check(service.url, ["cache", "--output", file], { code: 0, out: "", note: file });
      const cache = JSON.parse(readFileSync(file, "utf8"));
      expect(cache).toMatchObject({
        format: 1,
        endpoint: service.url,
        via: "option",
        metaData: KEYS,
      });
      expect(cache).not.toHaveProperty("userData");
      expect(new Date(cache.fetchedAt).toISOString()).toBe(cache.fetchedAt);
      const dead = "http://127.0.0.1:9";
      const cached = ["--cache-file", file];
      await check(dead, ["get", "local-hostname", ...cached], { code: 0, out: "web-01" });
      await check(dead, ["get", "nope", ...cached], { code: 1, out: "", note: "absent" });
      // What the cache does not have is asked for, and nobody answers.
      await check(dead, ["get", "user-data", ...cached], {
        code: 1,
        out: "",
        note: "refuses the connection",
      });
      await check(service.url, ["cache", "--output", file, "--with-user-data"], {
        code: 0,
        out: "",
      });
      expect(JSON.parse(readFileSync(file, "utf8")).userData).toEqual({ text: SCRIPT });
      await check(dead, ["get", "user-data", ...cached], { code: 0, out: SCRIPT });
    });

    test("env sets variables", async () => {
      await using service = await open();
      const done = await guest(service.url, ["env", "--prefix", "FD_"]);
      expect(done.stdout.toString()).toContain("export FD_LOCAL_HOSTNAME='web-01'\n");
      expect(done.stdout.toString()).toContain("export FD_HYPERVISOR_HOST_NAME=''\n");
    });
  });
}

test("a folder of EC2's is read below its name", async () => {
  await using cloud = await openCloud();
  await check(cloud.url, ["get", "placement/availability-zone"], { code: 0, out: "z" });
  const done = await guest(cloud.url, ["env"]);
  expect(done.stdout.toString()).toContain("METADATA_PLACEMENT_AVAILABILITY_ZONE='z'");
});

test("wrong usage is one line and 2, and asks nobody", async () => {
  const cases = [
    ["get", "--bogus"],
    ["get", "a", "b"],
    ["get", "a b"],
    ["get", "../x"],
    ["get", "--timeout", "0"],
  ];
  cases.push(
    ["get", "--endpoint", "https://x"],
    ["cache", "--interval", "0.01"],
    ["frob"],
    ["env", "--prefix", "PATH"],
  );
  cases.push(
    ["cache", "--group", "no-such-group"],
    ["cache", "--on-change", "a; b", "--output", join(scratch, "x")],
  );
  for (const args of cases) {
    const done = await guest("http://127.0.0.1:9", args);
    expect([args, done.code, done.stdout.toString()]).toEqual([args, 2, ""]);
    expect(done.stderr).toMatch(/^frontdesk: [^\n]+; try: [^\n]+ --help\n$/);
  }
});

test("nobody there is 1, and says what happened", async () => {
  const done = await guest("http://127.0.0.1:9", ["get", "local-hostname", "--default", "x"]);
  expect([done.code, done.stdout.toString()]).toEqual([1, ""]);
  expect(done.stderr).toContain("http://127.0.0.1:9 refuses the connection");
});

test("get --wait waits for a service that is late, and for a key", async () => {
  await using late = await virtualRouter({ keys: { "instance-id": "i-1" } });
  const waiting = guest(late.url, ["get", "public-ipv4", "--wait", "20"]);
  await until("a first try", 10_000, () => late.asked.some((line) => line.includes("public-ipv4")));
  late.files = { keys: { "instance-id": "i-1", "public-ipv4": "203.0.113.9" } };
  expect(await waiting).toMatchObject({ code: 0, stdout: Buffer.from("203.0.113.9") });
});

test("a proxy in the environment is not asked", async () => {
  await using desk = await openFrontdesk();
  await using proxy = await serve((_, response) => void response.writeHead(500).end());
  const env = Object.fromEntries(
    ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].map((name) => [name, proxy.url]),
  );
  const done = await guest(desk.url, ["get", "local-hostname"], {
    ...env,
    NODE_USE_ENV_PROXY: "1",
    no_proxy: "",
  });
  expect(done).toMatchObject({ code: 0, stdout: Buffer.from("web-01") });
  expect(proxy.asked).toEqual([]);
});

test("a redirect is not followed", async () => {
  await using service = await serve((_, response) => {
    response.writeHead(302, { location: "/latest/meta-data/instance-id/" }).end();
  });
  await check(service.url, ["get"], { code: 1, out: "", note: "redirects elsewhere (302)" });
});

test("what a hostile service sends reaches no terminal as it is", async () => {
  const evil = "\u001b]0;owned\u0007\u001b[2J\u009b1m\u202e";
  await using service = await serve((request, response) => {
    const isListing = request.url === "/latest/meta-data/";
    response.end(isListing ? "instance-id\nlocal-hostname\n" : evil);
  });
  const shown = await onTerminal(service.url, ["get", "local-hostname"]);
  expect(shown).toContain("\\u{1b}]0;owned\\u{7}");
  expect(await onTerminal(service.url, ["env"])).toContain("METADATA_LOCAL_HOSTNAME='\\u{1b}]0;");
  const text = (await guest(service.url, ["get", "local-hostname", "--json"])).stdout.toString();
  expect(text).not.toMatch(CONTROL);
  expect(JSON.parse(text).value).toBe(evil);
  for (const output of [
    shown,
    await onTerminal(service.url, ["get", "local-hostname", "--json"]),
  ]) {
    expect(output).not.toMatch(CONTROL);
  }
});

test.skipIf(!isRoot)(
  "without root the cache is in one's own folder, and root's is nobody else's",
  async () => {
    using open = openFolder("cache");
    const own = join(open.path, "own");
    mkdirSync(own, { mode: 0o700 });
    chownSync(own, NOBODY, NOBODY);
    await using service = await virtualRouter({ keys: { "instance-id": "i-1", a: "1" } });
    const asNobody = (url: string, ...args: string[]) => {
      const user = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
      const env = { FRONTDESK_ENDPOINT: url, XDG_RUNTIME_DIR: own, HOME: own };
      return run([...user, ...GUEST, ...args], { env });
    };
    const done = await asNobody(service.url, "cache");
    expect([done.code, done.stderr]).toEqual([0, expect.stringContaining(`${own}/metadata.json`)]);
    expect(statSync(join(own, "metadata.json"))).toMatchObject({ uid: NOBODY, mode: 0o100600 });
    const cached = await asNobody("http://127.0.0.1:9", "get", "a", "--cached");
    expect([cached.code, cached.stdout.toString()]).toEqual([0, "1"]);
    const roots = join(open.path, "roots.json");
    await check(service.url, ["cache", "--output", roots], { code: 0, out: "" });
    const denied = await asNobody(service.url, "get", "a", "--cache-file", roots);
    expect([denied.code, denied.stderr]).toEqual([1, expect.stringContaining("EACCES")]);
    await check(service.url, ["cache", "--output", roots, "--group", `${NOBODY}`], {
      code: 0,
      out: "",
    });
    const allowed = await asNobody("http://127.0.0.1:9", "get", "a", "--cache-file", roots);
    expect([allowed.code, allowed.stdout.toString()]).toEqual([0, "1"]);
  },
);

test("watch prints what changes, one JSON object a line", async () => {
  await using service = await virtualRouter({ keys: { "instance-id": "i-1", a: "1", b: "1" } });
  await using program = start([...GUEST, "watch", "--json", "--interval", "0.1"], {
    env: { FRONTDESK_ENDPOINT: service.url },
  });
  await program.says(/watching/);
  service.files = { keys: { "instance-id": "i-1", a: "2\u001b[1m", c: "3" } };
  await program.says(/removed/);
  program.signal("SIGTERM");
  const { code, stdout } = await program.ended;
  expect(code).toBe(0);
  expect(stdout.toString()).not.toMatch(CONTROL);
  const changes = stdout
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(changes).toMatchObject([
    { kind: "changed", key: "a", from: "1", to: "2\u001b[1m" },
    { kind: "added", key: "c", to: "3" },
    { kind: "removed", key: "b", from: "1" },
  ]);
});

test("on-change runs a program once for each change, with names and no values", async () => {
  const log = join(scratch, "hook.log");
  const hook = join(scratch, "hook.sh");
  writeFileSync(hook, `#!/bin/sh\necho "$#:$1:$FRONTDESK_CHANGED:$FRONTDESK_CACHE" >> ${log}\n`);
  chmodSync(hook, 0o755);
  const file = join(scratch, "hooked.json");
  await using service = await virtualRouter({ keys: { "instance-id": "i-1", a: "1" } });
  const args = ["cache", "--output", file, "--on-change", `${hook} arg`];
  await check(service.url, args, { code: 0, out: "" });
  service.files = { keys: { "instance-id": "i-1", a: "$(touch /tmp/owned)`id`;" } };
  await check(service.url, args, { code: 0, out: "" });
  await check(service.url, args, { code: 0, out: "" });
  expect(readFileSync(log, "utf8")).toBe(`1:arg:instance-id a:${file}\n1:arg:a:${file}\n`);
});

/** C0 but newline and tab, C1, and what turns text around. */
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

interface Expected {
  readonly code: number;
  readonly out: string;
  readonly note?: string;
}

async function check(url: string, args: readonly string[], { code, out, note = "" }: Expected) {
  const done = await guest(url, args);
  expect([args, done.code, done.stdout.toString(), done.stderr]).toEqual([
    args,
    code,
    out,
    expect.stringContaining(note),
  ]);
}

async function json(url: string, args: readonly string[], code: number) {
  const done = await guest(url, args);
  expect([args, done.code]).toEqual([args, code]);
  return JSON.parse(done.stdout.toString());
}

/** What a terminal is given, newlines as they were written. */
async function onTerminal(url: string, args: readonly string[]): Promise<string> {
  const line = [...GUEST, ...args].map((word) => `'${word}'`).join(" ");
  const program = start(["script", "-qec", line, "/dev/null"], {
    env: { FRONTDESK_ENDPOINT: url },
  });
  const { stdout } = await program.ended;
  return stdout.toString().replaceAll("\r\n", "\n");
}
