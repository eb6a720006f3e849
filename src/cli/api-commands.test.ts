/** `frontdesk instances`, `networks`, `userdata`, `events` and `token`, as an operator runs them. */

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LAB_NETWORK, openApiLab } from "../../test/cli/api-lab.ts";

const lab = await openApiLab();
const { asked, folder, put, run, runWith, spawn, store } = lab;
/** A dozen programs, one after the other, on a loaded machine. ms. */
const TEST_MS_MAX = 30_000;

afterAll(() => lab.close());

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
  await store.putNetworks([LAB_NETWORK, { id: "206", cidrs: [] }]);
  const empty = await run("instances", "--network", "206");
  expect([empty.code, empty.stderr]).toEqual([0, "there are no instances\n"]);
  await store.putNetworks([LAB_NETWORK]);
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

test("a token is made once, counts at once, and no more when it is removed", async () => {
  const made = await run("token", "create", "ci", "--role", "read");
  expect([made.code, made.stdout]).toEqual([0, expect.stringMatching(/^fd_[\w-]{43}\n$/)]);
  const env = { FRONTDESK_TOKEN: made.stdout.trim() };
  expect((await runWith(env, "networks")).code).toBe(0);
  const file = join(folder, "user-data");
  writeFileSync(file, "hello");
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
      ["--api", `${lab.url}/v1`],
      {},
      2,
      /--api takes no path: write http:\/\/127\.0\.0\.1:\d+; try/,
    ],
    [["--state-dir", empty], {}, 1, /there is no token: set FRONTDESK_TOKEN/],
    [[], { FRONTDESK_TOKEN: "short" }, 2, /FRONTDESK_TOKEN must have/],
    [["--api", lab.url.replace("http:", "https:")], {}, 1, /speaks http, not https$/m],
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
