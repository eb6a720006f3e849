/** `frontdesk instances`, `networks`, `userdata`, `events` and `token`, as an operator runs them. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { operatorApi } from "../controller/api/app.ts";
import { openCredentials } from "../controller/credentials.ts";
import { type ApiListener, openApiListener } from "../controller/http.ts";
import { openTokens } from "../controller/tokens.ts";
import { parseRecord } from "../model/record-parse.ts";
import { Conditions } from "../observe/conditions.ts";
import { createLog } from "../observe/log.ts";
import { MemoryStore } from "../store/memory.ts";

const ROOT = join(import.meta.dir, "../..");
const PROGRAM = [process.execPath, join(ROOT, "src/cli/main.ts")];
const folder = mkdtempSync(join(tmpdir(), "frontdesk-operator-"));
const store = new MemoryStore();
let api: ApiListener;
const LAB = { id: "204", cidrs: ["10.1.0.0/16"], dnsDomain: "lab.example" };
/** A dozen programs, one after the other, on a loaded machine. ms. */
const TEST_MS_MAX = 30_000;
/** Paths that were asked for. */
const asked: string[] = [];

beforeAll(async () => {
  const quiet = { onTrouble: () => {} };
  const credentials = await openCredentials({
    ...{ stateDir: folder, env: {}, isConfigured: false },
    ...quiet,
  });
  const own = async () => (await credentials.current()).token;
  const tokens = await openTokens({ path: join(folder, "tokens"), own, ...quiet });
  const log = createLog({ write: () => {} } as never, "error");
  const app = operatorApi({
    ...{ store, tokens, log, conditions: new Conditions(Date.now), now: Date.now },
    ...{ userDataMax: 32_768, readOnly: false, hint: () => {} },
  });
  const listen = { host: "127.0.0.1", port: 0 };
  const fetch = (request: Request, env: object) => {
    asked.push(new URL(request.url).pathname + new URL(request.url).search);
    return app.fetch(request, env);
  };
  api = await openApiListener({ listen, fetch });
  await store.putNetworks([LAB]);
  for (let i = 0; i < 3; i++) await put("204", `i-${i}`, `web-0${i}`, `10.1.1.${i + 1}`);
  await put("205", "i-2", "web-02", "10.2.1.2");
  await put("204", "i-evil", "x\u202ey", "10.1.1.99");
});

afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

test("instances are listed for people and for programs", async () => {
  const { stdout, code } = await run("instances", "list");
  expect(code).toBe(0);
  const [head = "", first = ""] = stdout.split("\n");
  expect(head).toMatch(/^NETWORK +ID +NAME +ADDRESSES +USER DATA +PASSWORD +SEAL +ZONE$/);
  expect(first).toMatch(/^204 +i-0 +web-00 +10\.1\.1\.1 +- +none +- +-$/);
  expect(stdout).toContain("x\\u{202e}y");
  expect((await run("instances")).stdout).toBe(stdout);
  const { stdout: json } = await run("instances", "list", "--network", "205", "--json");
  expect(JSON.parse(json)).toEqual([expect.objectContaining({ network: "205", id: "i-2" })]);
});

test("a network that is not there is said, by whatever is asked for it", async () => {
  const message = 'frontdesk: there is no network "none"; frontdesk networks lists them\n';
  for (const words of [["instances"], ["instances", "show", "web-00"], ["events"]]) {
    const done = await run(...words, "--network", "none");
    expect([words, done.code, done.stderr]).toEqual([words, 1, message]);
  }
  await store.putNetworks([LAB, { id: "206", cidrs: [] }]);
  const empty = await run("instances", "--network", "206");
  expect([empty.code, empty.stderr]).toEqual([0, "there are no instances\n"]);
  await store.putNetworks([LAB]);
});

test(
  "a network that none can be is a mistake of the command line",
  async () => {
    for (const network of ["", "a\nb", "n".repeat(65)]) {
      const usage = `--network ${JSON.stringify(network)} is no id of a network; frontdesk networks`;
      for (const words of [
        ["instances"],
        ["instances", "seal", "x"],
        ["userdata", "get", "x"],
        ["events"],
      ]) {
        const done = await run(...words, "--network", network);
        expect([words, done.code, done.stderr]).toEqual([words, 2, expect.stringContaining(usage)]);
        expect(done.stderr.trimEnd()).not.toContain("\n");
      }
    }
  },
  TEST_MS_MAX,
);

test("one is shown in each of its networks, by id or name", async () => {
  const { stdout } = await run("instances", "show", "web-02");
  expect(stdout).toMatch(/^instance {4}i-2 \(web-02\)\nnetwork {5}204\n/);
  expect(stdout).toContain("\nnetwork     205\n");
  expect(stdout).toMatch(/^key {9}instance-id = i-2$/m);
  const { stdout: json } = await run("instances", "show", "i-2", "--network", "205", "--json");
  expect(JSON.parse(json)).toEqual([expect.objectContaining({ network: "205", revision: 5 })]);
  // The API looks for it: nobody reads all of them to find one.
  asked.length = 0;
  await run("instances", "show", "web-02");
  expect(asked).toEqual([
    "/v1/instances?limit=1000&id=web-02&name=web-02",
    "/v1/instances/204/i-2",
    "/v1/instances/205/i-2",
  ]);
  const missing = await run("instances", "show", "web-09");
  expect([missing.code, missing.stderr]).toEqual([
    1,
    'frontdesk: there is no instance "web-09"; frontdesk instances list shows those that are\n',
  ]);
});

test("networks are listed", async () => {
  expect((await run("networks")).stdout).toMatch(/^ID .*\n204 +10\.1\.0\.0\/16 +lab\.example\n$/);
  expect((await run("networks", "list")).stdout).toBe((await run("networks")).stdout);
  const { stdout } = await run("networks", "--json");
  expect(JSON.parse(stdout)).toEqual([expect.objectContaining({ id: "204" })]);
});

test("user data is set from a file and read back as it is", async () => {
  const file = join(folder, "user-data");
  const bytes = Buffer.from([0x1f, 0x8b, 0, 255, 10]);
  writeFileSync(file, bytes);
  const set = await run("userdata", "set", "web-00", file);
  expect([set.code, set.stderr]).toEqual([0, "set: 5 bytes were sent\n"]);
  const copy = join(folder, "copy");
  expect((await run("userdata", "get", "web-00", "--output", copy)).code).toBe(0);
  expect(readFileSync(copy).equals(bytes)).toBe(true);
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  const { stdout } = await run("userdata", "get", "i-0", "--json");
  expect(JSON.parse(stdout)).toEqual({ network: "204", id: "i-0", base64: "H4sA/wo=" });
  writeFileSync(file, "aGVsbG8=\n");
  expect((await run("userdata", "set", "web-00", file, "--base64")).code).toBe(0);
  expect((await run("userdata", "get", "web-00")).stdout).toBe("hello");
  expect((await run("userdata", "set", "web-00", "--none")).code).toBe(0);
  const none = await run("userdata", "get", "web-00");
  expect(none.stderr).toMatch(/has no user data; frontdesk userdata set gives it some$/m);
});

test(
  "an instance is sealed and opened, in the network that is named",
  async () => {
    const done = await run("instances", "seal", "web-02", "--network", "204");
    expect([done.code, done.stdout, done.stderr]).toEqual([
      ...[0, "", "sealed: its guest is told no user data and no password\n"],
    ]);
    expect((await run("instances", "list")).stdout).toMatch(/^204 +i-2 .* none +sealed +-$/m);
    const { stdout: shown } = await run("instances", "show", "i-2");
    expect(shown.match(/^seal .*$/gm)).toEqual([
      expect.stringMatching(/^seal +sealed: no user data/),
    ]);
    const again = await run("instances", "seal", "i-2", "--network", "204", "--json");
    const state = { network: "204", id: "i-2", sealed: true, incarnation: 1 };
    expect(JSON.parse(again.stdout)).toEqual(state);
    const opened = await run("instances", "open", "i-2", "--network", "204", "--json");
    expect(JSON.parse(opened.stdout)).toEqual({ ...state, sealed: false });
    expect((await run("instances", "open", "i-2", "--network", "204")).stderr).toBe("open\n");
    const cases: readonly (readonly [args: string[], code: number, message: RegExp])[] = [
      [["seal", "i-9"], 1, /there is no instance "i-9"; frontdesk instances list shows/],
      [["seal", "web-02"], 1, /"204 i-2" and "205 i-2"; say which: the id, and --network/],
      [["open"], 2, /missing required argument 'instance'/],
    ];
    for (const [args, code, message] of cases) {
      const failed = await run("instances", ...args);
      expect([args, failed.code]).toEqual([args, code]);
      expect(failed.stderr).toMatch(message);
    }
    expect((await run("instances", "seal", "--help")).stdout).toContain("instances seal web-01");
    expect((await run("complete", "--", "instances", "")).stdout).toMatch(/^seal\t/m);
  },
  TEST_MS_MAX,
);

test("user data that cannot be kept is refused with the reason", async () => {
  const file = join(folder, "large");
  writeFileSync(file, Buffer.alloc(24_577));
  const cases: readonly (readonly [args: string[], code: number, message: RegExp])[] = [
    [
      ["web-00", file],
      1,
      /32772 characters of base64; the limit is 32768; .*: frontdesk payload attach$/m,
    ],
    [["web-00", file, "--base64"], 1, /not base64.*; leave out --base64/],
    [["web-00", folder], 1, /: is a folder$/m],
    [["web-00", join(folder, "none")], 1, /no such file/],
    [["web-00", "/dev/null"], 1, /is empty; --none takes/],
    [["web-00"], 2, /name a file, or - for stdin/],
    [["web-00", file, "--none"], 2, /--none stands alone/],
    [["web-02", file], 1, /"204 i-2" and "205 i-2"; say which: the id, and --network/],
  ];
  for (const [args, code, message] of cases) {
    const done = await run("userdata", "set", ...args);
    expect([args, done.code]).toEqual([args, code]);
    expect(done.stderr).toMatch(message);
    expect(done.stderr.trimEnd()).not.toContain("\n");
  }
});

test("a payload is added, given to an instance, taken away and removed", async () => {
  const file = join(folder, "setup.sh");
  const content = Buffer.alloc(3_000_000, "#");
  content.write("#!/bin/sh\nexit 0\n");
  writeFileSync(file, content);
  const sha256 = createHash("sha256").update(content).digest("hex");
  const bytes = content.length;
  const added = await run("payload", "add", file);
  expect([added.code, added.stdout, added.stderr]).toEqual([0, `${sha256}\n`, ""]);
  const { stdout: json } = await run("payload", "add", file, "--json");
  expect(JSON.parse(json)).toEqual({ sha256, bytes, kind: "script" });
  const { stdout: list } = await run("payload", "list");
  expect(list).toBe(`${"SHA256".padEnd(64)}  BYTES    KIND\n${sha256}  3000000  script\n`);
  const short = sha256.slice(0, 8);
  const { stdout: stub } = await run("payload", "stub", short);
  expect(stub).toStartWith("#!/bin/sh\n# Frontdesk payload");
  expect((await run("payload", "attach", "web-00", short)).stderr).toBe(`attached ${sha256}\n`);
  expect((await run("userdata", "get", "web-00")).stdout).toBe(stub);
  expect((await run("instances", "show", "web-00")).stdout).toContain(`payload     ${sha256}`);
  const inUse = await run("payload", "remove", short);
  expect([inUse.code, inUse.stderr]).toEqual([
    1,
    expect.stringMatching(/is given to .*i-0 .*; detach it there/),
  ]);
  expect(inUse.stderr.match(/detach/g)).toHaveLength(1);
  const own = join(folder, "own");
  writeFileSync(own, "#cloud-config\n");
  const set = await run("userdata", "set", "web-00", own);
  expect(set.stderr).toContain(`may still fetch ${sha256}; frontdesk payload detach takes it away`);
  const refused = await run("payload", "attach", "web-00", short);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/of its own; add --replace/),
  ]);
  expect((await run("payload", "attach", "web-00", short, "--replace")).code).toBe(0);
  expect((await run("payload", "detach", "web-00")).code).toBe(0);
  expect((await run("userdata", "get", "web-00")).stderr).toMatch(/has no user data/);
  expect((await run("payload", "remove", sha256)).stderr).toBe("removed\n");
  expect((await run("payload", "list")).stderr).toBe("there are no payloads\n");
});

test("a file that is only put somewhere is added and attached in one step", async () => {
  const file = join(folder, "licence.key");
  writeFileSync(file, "a licence");
  const refused = await run("payload", "attach", "web-00", file);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/begin it with #!.* --to PATH/),
  ]);
  expect(refused.stderr).not.toContain("?as=file");
  const to = "/etc/agent/licence.key";
  const attached = await run("payload", "attach", "web-00", file, "--to", to, "--json");
  const { sha256 } = JSON.parse(attached.stdout);
  expect(attached.code).toBe(0);
  const { stdout } = await run("payload", "stub", sha256, "--to", to);
  expect(stdout).toContain(`to='${to}'`);
  expect((await run("userdata", "get", "web-00")).stdout).toBe(stdout);
  expect((await run("payload", "detach", "web-00")).code).toBe(0);
  expect((await run("payload", "remove", sha256)).code).toBe(0);
});

test("a payload that cannot be kept, or is not there, is refused with the reason", async () => {
  const [large, whole] = [join(folder, "large"), join(folder, "whole")];
  writeFileSync(large, "");
  truncateSync(large, 17_000_000);
  writeFileSync(whole, "#!/bin/sh\n");
  truncateSync(whole, 16 * 1024 * 1024);
  const none = "0".repeat(64);
  const cases: readonly (readonly [args: string[], code: number, message: RegExp])[] = [
    [["add", large], 1, /has 17,?000,?000 bytes; a payload has 16777216 at most/],
    [["add", join(folder, "none")], 1, /no such file/],
    [["add", "/dev/null"], 1, /is empty/],
    [["attach", "web-00", "01234567"], 1, /no payload begins with 01234567/],
    [["attach", "web-00", none], 1, /there is no such payload/],
    [["attach", "web-00", large, "--to", "/x"], 1, /at most/],
    [["attach", "web-00", whole, "--to", "x y"], 1, /to: must be absolute/],
    [["remove", "0123"], 2, /write 8 hexadecimal digits/],
    [["stub", none], 1, /there is no such payload/],
  ];
  for (const [args, code, message] of cases) {
    const done = await run("payload", ...args);
    expect([args, done.code]).toEqual([args, code]);
    expect(done.stderr).toMatch(message);
    expect(done.stderr.trimEnd()).not.toContain("\n");
  }
  // Refused before all of it was sent, and said so.
  const began = performance.now();
  const denied = await runWith(
    { FRONTDESK_TOKEN: `fd_${"x".repeat(43)}` },
    "payload",
    "add",
    whole,
  );
  expect([denied.code, denied.stderr]).toEqual([1, expect.stringMatching(/none that counts/)]);
  expect(performance.now() - began).toBeLessThan(15_000);
});

test("a token is made once, counts at once, and no more when it is removed", async () => {
  const made = await run("token", "create", "ci", "--role", "read");
  expect([made.code, made.stdout]).toEqual([0, expect.stringMatching(/^fd_[\w-]{43}\n$/)]);
  const env = { FRONTDESK_TOKEN: made.stdout.trim() };
  expect((await runWith(env, "networks")).code).toBe(0);
  const file = join(folder, "user-data");
  const set = await runWith(env, "userdata", "set", "web-00", file);
  expect(set.stderr).toMatch(/the token ci has the role read; this needs write; use a token/);
  const { stdout } = await run("token", "list");
  expect(stdout).toMatch(/^NAME +ROLE\nci +read\n$/);
  expect((await run("token", "create", "ci", "--role", "read")).stderr).toMatch(/already/);
  expect((await run("token", "remove", "ci")).code).toBe(0);
  expect((await runWith(env, "networks")).stderr).toMatch(/none that counts here; check the token/);
  expect((await run("token", "remove", "ci")).code).toBe(2);
  expect((await run("token", "create", "x", "--role", "root")).code).toBe(2);
  const nowhere = join(folder, "nosuch");
  const lost = await run("token", "create", "x", "--role", "read", "--state-dir", nowhere);
  expect([lost.code, lost.stderr]).toEqual([
    1,
    expect.stringContaining(`${nowhere}: no such state directory`),
  ]);
});

test("who cannot be asked is said, with what to do", async () => {
  const empty = mkdtempSync(join(folder, "empty-"));
  const cases: readonly (readonly [args: string[], env: object, code: number, what: RegExp])[] = [
    [["--api", "http://127.0.0.1:1"], {}, 1, /nothing listens there: is the controller running/],
    [["--api", "ftp://x"], {}, 2, /--api "ftp:\/\/x": write a URL/],
    [["--api", "x"], {}, 2, /write a URL/],
    [
      ["--api", `${api.url}/v1`],
      {},
      2,
      /--api takes no path: write http:\/\/127\.0\.0\.1:\d+; try/,
    ],
    [["--state-dir", empty], {}, 1, /there is no token: set FRONTDESK_TOKEN/],
    [[], { FRONTDESK_TOKEN: "short" }, 2, /FRONTDESK_TOKEN must have/],
    [["--api", api.url.replace("http:", "https:")], {}, 1, /speaks http, not https$/m],
    [["--api-ca-file", join(empty, "x")], {}, 2, /--api-ca-file cannot be read/],
  ];
  for (const [args, env, code, what] of cases) {
    const done = await runWith(env, "networks", ...args);
    expect([args, done.code]).toEqual([args, code]);
    expect(done.stderr).toMatch(what);
  }
  const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("hi") });
  const done = await run("networks", "--api", `http://127.0.0.1:${other.port}`);
  await other.stop(true);
  expect(done.stderr).toMatch(/is not a Frontdesk controller; correct --api/);
});

test("events are followed until the command is told to stop", async () => {
  const child = spawn({}, ["events", "--json"]);
  const reader = child.stdout.getReader();
  let text = "";
  const until = async (count: number): Promise<void> => {
    while (text.split("\n").length <= count) {
      text += Buffer.from((await reader.read()).value ?? []).toString();
    }
  };
  await until(1);
  await put("204", "i-7", "web-07", "10.1.1.70");
  await store.delete({ network: "204", id: "i-7" });
  await until(2);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  const [first, ...others] = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(first.event).toBe("snapshot");
  expect(others.at(-1)).toMatchObject({ event: "delete", network: "204", id: "i-7" });
});

test(
  "who follows events with a token that is taken away is told once, and ends",
  async () => {
    const made = await run("token", "create", "follower", "--role", "read");
    const child = spawn({ FRONTDESK_TOKEN: made.stdout.trim() }, ["events"]);
    const late = setTimeout(() => child.kill("SIGKILL"), TEST_MS_MAX / 2);
    const reader = child.stdout.getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toContain("snapshot");
    expect((await run("token", "remove", "follower")).code).toBe(0);
    // Whoever follows is asked for the token with the next change.
    await put("204", "i-8", "web-08", "10.1.1.80");
    await store.delete({ network: "204", id: "i-8" });
    expect(await child.exited).toBe(1);
    clearTimeout(late);
    expect(await new Response(child.stderr).text()).toMatch(
      /^frontdesk: the token is none that counts here; .*\n$/,
    );
  },
  TEST_MS_MAX,
);

async function put(network: string, id: string, name: string, address: string): Promise<void> {
  const nics = [{ addresses: [address], default: true }];
  const keys = [["instance-id", id]];
  const counts = { publicKeys: [], incarnation: 1, epoch: 1 };
  await store.put(parseRecord({ network, id, name, nics, keys, ...counts }));
}

interface Done {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Done> {
  return runWith({}, ...args);
}

async function runWith(env: object, ...args: string[]): Promise<Done> {
  const child = spawn(env, args);
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, stdout, stderr };
}

function spawn(env: object, args: readonly string[]) {
  const given = { FRONTDESK_API_URL: api.url, FRONTDESK_STATE_DIR: folder, ...env };
  return Bun.spawn([...PROGRAM, ...args], {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    env: { ...process.env, NO_COLOR: "1", ...given },
  });
}
