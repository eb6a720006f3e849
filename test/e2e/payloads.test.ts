/**
 * Payloads, from the operator's file to what a guest runs.
 *
 * Goal: a 3.5 MiB archive reaches the instance it was given to, and nobody else; its stub finds
 * the service, goes on where it was interrupted, and runs nothing that is not what it was made
 * for. Method: `frontdesk serve` in a router's namespace; the stub as `latest/user-data` has it, in
 * guests' namespaces with a /var/lib of their own, by each small shell and each tool it may use.
 */

import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PART_BYTES } from "../../src/model/payload.ts";
import { type Lab, labMissing, openLab, type Place, ROUTER_ADDRESS } from "./lab.ts";
import { type Done, ok, type Program, run, until } from "./program.ts";
import { frontdesk } from "./router.ts";

const [OWNER, STRANGER] = ["10.1.1.57", "10.1.1.58"];
const API = "127.0.0.1:19210";
const FAKE = "127.0.0.1:19211";
/** What `run` in the archive ends with. */
const EXIT_CODE = 7;
/** A guest asks three places before the gateway, two of which keep it waiting. ms. */
const STUB_MS_MAX = 90_000;
const TEST_MS_MAX = 300_000;

/** What every image has; sha256sum, timeout, and what fetches, differ. */
const TOOLS = ["mkdir", "chmod", "cat", "sed", "tr", "sort", "wc", "mv", "rm", "sleep"];
const MORE = ["tar", "gzip"];

const lacking = labMissing(["curl", "wget", "dash", "busybox", "openssl", "tar", "gzip"]);

interface Desk {
  readonly lab: Lab;
  readonly owner: Place;
  readonly sha256: string;
  /** The stub, as the owner gets it. */
  readonly stub: Buffer;
  /** What `run` writes. */
  readonly word: string;
  readonly data: Buffer;
}

test.skipIf(lacking !== undefined)(
  "a payload reaches the guest it was given to, by each shell and tool, and nobody else",
  async () => {
    await using lab = await openLab({
      guests: [
        { mac: "02:00:5a:10:00:07", address: OWNER },
        { mac: "02:00:5a:10:00:08", address: STRANGER },
      ],
    });
    await using program = serve(lab);
    await program.says(/controller started/);
    const desk = await prepare(lab);
    await checkWhoMayFetch(desk);
    for (const means of MEANS) await checkRun(desk, means);
    await checkPut(desk);
    await checkSealed(desk);
    await checkFlipped(desk);
    await checkResumed(desk);
  },
  TEST_MS_MAX,
);

function serve(lab: Lab): Program {
  const { argv, env } = frontdesk("bun", [
    ...["serve", "--state-dir", join(lab.folder, "state"), "--listen", `${ROUTER_ADDRESS}:80`],
    ...["--password-listen", `${ROUTER_ADDRESS}:8080`, "--api-listen", API],
  ]);
  return lab.router.start(argv, { env });
}

/** The command line, where the operator is. */
async function operator(lab: Lab, ...args: readonly string[]): Promise<string> {
  const { argv, env } = frontdesk("bun", [
    ...args,
    ...["--api", `http://${API}`, "--state-dir", join(lab.folder, "state")],
  ]);
  return ok(lab.router.command(argv), { env });
}

/** Two instances, one of which is given an archive. */
async function prepare(lab: Lab): Promise<Desk> {
  const env = readFileSync(join(lab.folder, "state/admin.env"), "utf8");
  const token = /^FRONTDESK_TOKEN=(.*)$/m.exec(env)?.[1] ?? "";
  const put = (path: string, body: object): Promise<string> =>
    ok(
      lab.router.command([
        ...["curl", "-sfX", "PUT", "-H", `Authorization: Bearer ${token}`],
        ...["-H", "Content-Type: application/json", "-d", JSON.stringify(body)],
        `http://${API}/v1/${path}`,
      ]),
    );
  await put("networks/204", { cidrs: ["10.1.1.0/24"] });
  for (const [id, address] of [
    ["owner", OWNER],
    ["stranger", STRANGER],
  ]) {
    await put(`instances/204/${id}`, { name: id, nics: [{ addresses: [address], default: true }] });
  }
  const word = randomBytes(16).toString("hex");
  const data = randomBytes(3_500_000);
  const files = join(lab.folder, "files");
  mkdirSync(files);
  writeFileSync(
    join(files, "run"),
    "#!/bin/sh\nread -r w < word\necho $w > /var/lib/result\nexit 7\n",
  );
  writeFileSync(join(files, "word"), `${word}\n`);
  writeFileSync(join(files, "data"), data);
  const archive = join(lab.folder, "setup.tar.gz");
  await ok(["tar", "-C", files, "-czf", archive, "."]);
  const attached = await operator(lab, "payload", "attach", "owner", archive, "--json");
  const { sha256 } = JSON.parse(attached) as { sha256: string };
  const [owner] = lab.guests as readonly [Place];
  let stub: Buffer = Buffer.alloc(0);
  await until("the stub to be user data", 10_000, async () => {
    stub = (await ask(owner, "user-data")).body;
    return stub.includes(sha256);
  });
  return { lab, owner, sha256, stub, word, data };
}

interface Answer {
  readonly status: string;
  readonly body: Buffer;
}

async function ask(guest: Place, path: string, ...options: readonly string[]): Promise<Answer> {
  const url = `http://${ROUTER_ADDRESS}/latest/${path}`;
  const done = await guest.run(["curl", "-s", ...options, "-w", "\n%{http_code}", url]);
  const end = done.stdout.lastIndexOf("\n");
  return { status: done.stdout.toString("latin1", end + 1), body: done.stdout.subarray(0, end) };
}

async function checkWhoMayFetch({ lab, owner, sha256 }: Desk): Promise<void> {
  const [, stranger] = lab.guests as readonly [Place, Place];
  const archive = readFileSync(join(lab.folder, "setup.tar.gz"));
  const parts = Math.ceil(archive.length / PART_BYTES);
  const all: Buffer[] = [];
  for (let part = 0; part < parts; part++) {
    const { status, body } = await ask(owner, `payloads/${sha256}/${part}`);
    expect([part, status]).toEqual([part, "200"]);
    all.push(body);
  }
  expect(Buffer.concat(all).equals(archive)).toBe(true);
  const head = await ask(owner, `payloads/${sha256}/0`, "-I");
  const text = head.body.toString().toLowerCase();
  expect(text).toContain(`content-length: ${PART_BYTES}\r\n`);
  expect(text).toContain("content-type: application/octet-stream\r\n");
  const etag = /^etag: (.*?)\r$/im.exec(head.body.toString())?.[1] ?? "";
  const known = ["-H", `If-None-Match: ${etag}`];
  expect((await ask(owner, `payloads/${sha256}/0`, ...known)).status).toBe("304");
  expect(await ask(owner, `payloads/${sha256}/${parts}`)).toMatchObject({ status: "404" });
  expect((await ask(stranger, "meta-data/instance-id")).body.toString()).toBe("stranger");
  for (const path of [`payloads/${sha256}/0`, `payloads/${sha256}`, `Payloads//${sha256}/%30`]) {
    const { status, body } = await ask(stranger, path);
    expect([path, status, body.length]).toEqual([path, "404", 0]);
  }
  expect((await ask(stranger, "user-data")).body).toHaveLength(0);
}

interface Means {
  readonly name: string;
  readonly shell: readonly string[];
  /** What is there beside `TOOLS`. */
  readonly tools: readonly string[];
  /** All of them are applets of busybox. */
  readonly isBusybox?: boolean;
  /** Files of the guest, below /var/lib. */
  readonly lease?: readonly [file: string, text: string];
  readonly env?: Readonly<Record<string, string>>;
}

const DHCLIENT = [
  "dhcp/dhclient.eth0.leases",
  `lease {\n  option dhcp-server-identifier ${ROUTER_ADDRESS};\n}\n`,
] as const;
const NETWORK_MANAGER = [
  "NetworkManager/internal-5d6a7f10-eth0.lease",
  `ADDRESS=${OWNER}\nSERVER_ADDRESS=${ROUTER_ADDRESS}\n`,
] as const;
const DASH = ["dash"];
const ASH = ["busybox", "ash"];
const URL = { FRONTDESK_URL: `http://${ROUTER_ADDRESS}:80/` };
/** Nobody is there: asked through it, nothing is answered. */
const PROXY = { http_proxy: "http://127.0.0.1:9", HTTP_PROXY: "http://127.0.0.1:9" };

// biome-ignore format: a table reads best with one line for each way
const MEANS: readonly Means[] = [
  { name: "dash, curl, dhclient's lease", shell: DASH, tools: ["curl", "sha256sum"], lease: DHCLIENT },
  { name: "dash, wget, a lease", shell: DASH, tools: ["wget", "timeout", "sha256sum"], lease: NETWORK_MANAGER },
  { name: "ash, curl, a proxy set", shell: ASH, tools: ["curl", "sha256sum"], env: { ...URL, ...PROXY } },
  { name: "ash, wget, a proxy set", shell: ASH, tools: ["wget", "timeout", "sha256sum"], env: { ...URL, ...PROXY } },
  { name: "dash, wget without timeout, openssl", shell: DASH, tools: ["wget", "openssl"], env: URL },
  { name: "busybox alone", shell: ASH, tools: ["wget", "timeout", "sha256sum"], isBusybox: true, lease: DHCLIENT },
  { name: "the gateway, by dash", shell: DASH, tools: ["curl", "sha256sum"] },
];

/** A guest's /var/lib with its stub, and the folder of the tools it has. */
function furnish({ lab, stub }: Desk, means: Means): { varLib: string; path: string } {
  const root = join(lab.folder, means.name.replace(/\W+/g, "-"));
  rmSync(root, { recursive: true, force: true });
  const [varLib, path] = [join(root, "lib"), join(root, "bin")];
  for (const folder of [varLib, path]) mkdirSync(folder, { recursive: true });
  for (const tool of [...TOOLS, ...MORE, ...means.tools]) {
    const at = means.isBusybox === true ? Bun.which("busybox") : Bun.which(tool);
    symlinkSync(at ?? "", join(path, tool));
  }
  writeFileSync(join(varLib, "user-data"), stub);
  const [file, text] = means.lease ?? [];
  if (file !== undefined) {
    mkdirSync(join(varLib, file, ".."), { recursive: true });
    writeFileSync(join(varLib, file), text ?? "");
  }
  return { varLib, path };
}

/** The command that runs a guest's user data, with nothing but its tools and its /var/lib. */
function boot(desk: Desk, means: Means, at: { varLib: string; path: string }): readonly string[] {
  const [file = "", ...args] = means.shell;
  const env = Object.entries({ PATH: at.path, ...means.env }).map((pair) => pair.join("="));
  return desk.owner.command([
    ...["unshare", "--mount", "--propagation", "private", "sh", "-c"],
    ...['mount --bind "$0" /var/lib && exec env -i "$@"', at.varLib, ...env],
    ...[Bun.which(file) ?? file, ...args, "/var/lib/user-data"],
  ]);
}

async function checkRun(desk: Desk, means: Means): Promise<void> {
  const at = furnish(desk, means);
  const began = performance.now();
  const argv = boot(desk, means, at);
  const done = await run(argv, { timeoutMs: STUB_MS_MAX });
  console.log(`${means.name}: ${((performance.now() - began) / 1000).toFixed(1)} s`);
  expect([means.name, done.code, done.stderr]).toEqual([means.name, EXIT_CODE, ""]);
  expect(readFileSync(join(at.varLib, "result"), "utf8")).toBe(`${desk.word}\n`);
  const kept = join(at.varLib, "frontdesk/payloads", desk.sha256);
  expect(readFileSync(join(kept, "files/data")).equals(desk.data)).toBe(true);
  expect(await ok(["stat", "-c", "%a", kept])).toBe("700\n");
  expect(existsSync(join(kept, "part.0"))).toBe(false);
  // It is run once.
  rmSync(join(at.varLib, "result"));
  const again = await run(argv);
  expect([again.code, again.stderr]).toEqual([0, "frontdesk payload: was run before\n"]);
  expect(existsSync(join(at.varLib, "result"))).toBe(false);
}

/** The same payload, only put somewhere. */
async function checkPut(desk: Desk): Promise<void> {
  const to = "/var/lib/agent/setup.tar.gz";
  const text = await operator(desk.lab, "payload", "stub", desk.sha256.slice(0, 12), "--to", to);
  const means = { ...(MEANS[0] as Means), name: "put" };
  const at = furnish({ ...desk, stub: Buffer.from(text) }, means);
  const done = await run(boot(desk, means, at), { timeoutMs: STUB_MS_MAX });
  expect([done.code, done.stderr]).toEqual([0, ""]);
  const archive = readFileSync(join(desk.lab.folder, "setup.tar.gz"));
  expect(readFileSync(join(at.varLib, "agent/setup.tar.gz")).equals(archive)).toBe(true);
  expect(await ok(["stat", "-c", "%a", join(at.varLib, "agent/setup.tar.gz")])).toBe("600\n");
  expect(existsSync(join(at.varLib, "result"))).toBe(false);
}

/** Once it has booted it needs none, and an intruder gets none. */
async function checkSealed({ lab, owner, sha256 }: Desk): Promise<void> {
  const becomes = (status: string): Promise<void> =>
    until(`the payload to be answered ${status}`, 10_000, async () => {
      return (await ask(owner, `payloads/${sha256}/0`)).status === status;
    });
  await operator(lab, "instances", "seal", "owner");
  await becomes("404");
  expect((await ask(owner, "user-data")).body).toHaveLength(0);
  expect((await ask(owner, "meta-data/instance-id")).body.toString()).toBe("owner");
  await operator(lab, "instances", "open", "owner");
  await becomes("200");
}

/** A service in the guest's namespace whose answers are files. */
async function openFake(desk: Desk): Promise<{ program: Program; parts: string }> {
  const root = join(desk.lab.folder, "fake");
  const parts = join(root, "latest/payloads", desk.sha256);
  rmSync(root, { recursive: true, force: true });
  mkdirSync(parts, { recursive: true });
  const [hostname, port] = FAKE.split(":");
  const code = `Bun.serve({ hostname: "${hostname}", port: ${port}, fetch: async ({ url }) => {
    const file = Bun.file("${root}" + new URL(url).pathname);
    return (await file.exists()) ? new Response(file) : new Response(null, { status: 404 });
  } }); console.log("listens");`;
  const program = desk.owner.start([process.execPath, "-e", code]);
  await program.says(/listens/);
  return { program, parts };
}

/** The archive in parts, as files of the fake service. */
function partsOf(desk: Desk): readonly Buffer[] {
  const archive = readFileSync(join(desk.lab.folder, "setup.tar.gz"));
  const count = Math.ceil(archive.length / PART_BYTES);
  return Array.from({ length: count }, (_, part) =>
    archive.subarray(part * PART_BYTES, (part + 1) * PART_BYTES),
  );
}

const FROM_FAKE = { shell: DASH, tools: ["curl", "sha256sum"] };

async function checkFlipped(desk: Desk): Promise<void> {
  const { program, parts } = await openFake(desk);
  await using _ = program;
  for (const [index, content] of partsOf(desk).entries()) {
    const part = Buffer.from(content);
    if (index === 1) part[1000] = (part[1000] ?? 0) ^ 1;
    writeFileSync(join(parts, String(index)), part);
  }
  const means = { ...FROM_FAKE, name: "flipped", env: { FRONTDESK_URL: `http://${FAKE}` } };
  const at = furnish(desk, means);
  const done = await run(boot(desk, means, at), { timeoutMs: STUB_MS_MAX });
  expect(done.code).toBe(1);
  expect(done.stderr).toBe(`frontdesk payload: what came is not ${desk.sha256}: nothing was run\n`);
  expect(existsSync(join(at.varLib, "result"))).toBe(false);
  const kept = join(at.varLib, "frontdesk/payloads", desk.sha256);
  for (const name of ["payload", "part.0", "part.1", "files", "begun"]) {
    expect([name, existsSync(join(kept, name))]).toEqual([name, false]);
  }
}

/** Killed when it has two parts, it fetches only the others when it is started anew. */
async function checkResumed(desk: Desk): Promise<void> {
  const { program, parts } = await openFake(desk);
  await using _ = program;
  const all = partsOf(desk);
  const offer = (index: number): void => {
    writeFileSync(join(parts, String(index)), all[index] ?? "");
  };
  for (const index of [0, 1]) offer(index);
  const means = { ...FROM_FAKE, name: "resumed", env: { FRONTDESK_URL: `http://${FAKE}` } };
  const at = furnish(desk, means);
  const kept = join(at.varLib, "frontdesk/payloads", desk.sha256);
  const first = desk.owner.start(boot(desk, means, at).slice(4));
  await until("two parts to be there", 20_000, () => existsSync(join(kept, "part.1")));
  first.signal("SIGKILL");
  await first.ended;
  expect(existsSync(join(at.varLib, "result"))).toBe(false);
  for (const index of [0, 1]) rmSync(join(parts, String(index)));
  // One that was cut is fetched again.
  writeFileSync(join(kept, "part.2"), "half");
  for (let index = 2; index < all.length; index++) offer(index);
  const done: Done = await run(boot(desk, means, at), { timeoutMs: STUB_MS_MAX });
  expect([done.code, done.stderr]).toEqual([EXIT_CODE, ""]);
  expect(readFileSync(join(at.varLib, "result"), "utf8")).toBe(`${desk.word}\n`);
}
