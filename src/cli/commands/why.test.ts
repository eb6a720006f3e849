/** `frontdesk why` as an operator runs it: another process, which asks a router that runs. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type Done, run, until } from "../../../test/e2e/program.ts";
import { render, Shapes } from "../../protocol/document.ts";
import { nearby } from "../../router/nearby.ts";

const ROOT = join(import.meta.dir, "../../..");
const PROGRAM = [process.execPath, join(ROOT, "src/cli/main.ts")];
const CLOUDSTACK = join(ROOT, "fixtures/cloudstack/isolated");
const folder = mkdtempSync(join(tmpdir(), "frontdesk-why-"));
const BAGS = join(folder, "bags");
const LAB = join(folder, "lab.yaml");
const SECRET = "s3cret-of-web-01";
const routers: Bun.Subprocess[] = [];

const stateOf = (name: string): string => join(folder, `state-${name}`);

async function launch(name: string, source: string): Promise<void> {
  const listen = ["--listen", "127.0.0.1:0", "--password-listen", "127.0.0.1:0"];
  const state = ["--state-dir", stateOf(name)];
  const argv = [...PROGRAM, "router", "--source", source, ...listen, ...state];
  const router = Bun.spawn(argv, { stdio: ["ignore", "ignore", "inherit"] });
  routers.push(router);
  await until(`${name}: a router that answers`, 15_000, async () => {
    return router.exitCode === null && (await why(name, "10.1.1.57")).code !== 1;
  });
}

function why(name: string, ...args: readonly string[]): Promise<Done> {
  return run([...PROGRAM, "why", ...args, "--state-dir", stateOf(name)]);
}

/** The rows of an answer: `{ address: "…", … }`. */
async function rows(name: string, ...args: readonly string[]) {
  const { code, stdout, stderr } = await why(name, ...args);
  expect(stderr).toBe("");
  const lines = stdout.toString().trimEnd().split("\n");
  const pairs = lines.map((line) => [line.slice(0, 9).trim(), line.slice(10)] as const);
  return { code, ...Object.fromEntries(pairs) } as Record<string, unknown>;
}

beforeAll(async () => {
  cpSync(join(CLOUDSTACK, "etc-cloudstack"), BAGS, { recursive: true });
  writeFileSync(
    LAB,
    `networks:
  - {id: lab, cidrs: [127.0.0.0/8]}
instances:
  - {id: i-1, name: web-01, address: 127.0.0.1, publicKeys: ["ssh-ed25519 AAAA anna"], password: ${SECRET}, userData: ${SECRET}}
  - {id: i-2, name: web-02, nics: [{mac: "02:00:00:00:00:02", addresses: [127.0.0.2]}]}
`,
  );
  await Promise.all([launch("file", `file:${LAB}`), launch("bags", `databag:${BAGS}`)]);
}, 30_000);

afterAll(async () => {
  for (const router of routers) router.kill();
  await Promise.all(routers.map((router) => router.exited));
  rmSync(folder, { recursive: true });
});

test("the address is an argument, or --ip, or both; the path may stand on either side", async () => {
  const expected = await rows("file", "--ip", "127.0.0.1", "/latest/local-hostname");
  expect(expected).toMatchObject({ code: 0, address: "127.0.0.1 in network lab" });
  expect(expected.answer).toEndWith("to GET /latest/local-hostname");
  for (const args of [
    ["127.0.0.1", "/latest/local-hostname"],
    ["/latest/local-hostname", "127.0.0.1"],
    ["::ffff:127.0.0.1", "/latest/local-hostname"],
    ["127.0.0.1", "--ip", "127.0.0.1", "/latest/local-hostname"],
  ]) {
    expect(await rows("file", ...args)).toEqual(expected);
  }
});

test("wrong usage names what is wrong, and what is expected", async () => {
  const address = "write the guest's IPv4 or IPv6 address, as 10.1.1.57 or fd00::57";
  const cases: readonly (readonly [args: readonly string[], line: string])[] = [
    [[], "whose? give the address that the guest asks from, as 10.1.1.57"],
    [["--ip", "127.0.0.1", "127.0.0.2"], "127.0.0.1 or 127.0.0.2? give one address"],
    [["127.0.0.1", "127.0.0.2"], "127.0.0.1 or 127.0.0.2? give one address"],
    [["10.1.1"], `not an address: "10.1.1"; ${address}`],
    [["--ip", "web-01"], `not an address: "web-01"; ${address}`],
    [["a/b", "127.0.0.1"], `not an address: "a/b"; ${address}; a path begins with a slash`],
    [["127.0.0.1", "/a", "/b"], "too many arguments for 'why'. Expected 2 arguments but got 3:"],
  ];
  await Promise.all(
    cases.map(async ([args, line]) => {
      const { code, stdout, stderr } = await why("file", ...args);
      expect({ args, code, stdout: stdout.toString() }).toEqual({ args, code: 2, stdout: "" });
      expect(stderr).toStartWith(`frontdesk: ${line}`);
      expect(stderr).toEndWith("; try: frontdesk why --help\n");
    }),
  );
});

test("a path that is not there: what is near, and where to look; exit code 3", async () => {
  const lists = "/latest/meta-data/ lists the keys, /latest/ what else there is";
  const cases: readonly (readonly [path: string, near: string | undefined])[] = [
    ["/latest/userdata", "/latest/user-data"],
    ["/latest/meta-data/user-data", "/latest/user-data"],
    ["/latest/meta-data/public-key/", "/latest/meta-data/public-keys"],
    ["/latest/metadata/Local-Hostname", "/latest/metadata/local-hostname"],
    ["/latest/meta-data/public-keys/7", "/latest/meta-data/public-keys/"],
    ["/2009-04-04/meta-data/instanceid", "/latest/meta-data/instance-id"],
    ["/meta-data", "/latest/meta-data/"],
    ["/latest/meta-data/zzz", undefined],
    ["/openstack/latest/meta_data.json", undefined],
  ];
  await Promise.all(
    cases.map(async ([path, near]) => {
      const advice = near === undefined ? lists : `did you mean ${near}? ${lists}`;
      expect({ path, ...(await rows("file", "127.0.0.1", path)) }).toMatchObject({
        ...{ path, code: 3, advice },
        because: "the address is bound to this instance, which has nothing at this path (404)",
      });
    }),
  );
  const keyless = await rows("file", "127.0.0.2", "/latest/meta-data/public-keys/");
  expect(keyless.because).toBe("the address is bound to this instance, which has no SSH key (404)");
});

test("what is near is always there", () => {
  const keys = ["instance-id", "local-hostname", "vm-id", "api"].map(
    (name) => [name, "x"] as const,
  );
  const { document } = render(keys, undefined, new Shapes());
  const word = fc.constantFrom(
    ...["latest", "1.0", "meta-data", "metadata", "userdata", "user-data", "", ".."],
    ...["instance-ix", "local", "api", "vm-id", "public-keys", "public-key", "0", "openssh-key"],
  );
  let suggested = 0;
  fc.assert(
    fc.property(fc.array(fc.oneof(word, fc.string()), { maxLength: 5 }), (words) => {
      const near = nearby(`/${words.join("/")}`, document);
      if (near === undefined) return;
      suggested++;
      expect(near).toMatch(
        /^\/latest\/(user-data|((meta-data|metadata)\/)?(instance-id|local-hostname|vm-id|api|public-keys|))$/,
      );
      expect(near).not.toBe("/latest/api");
    }),
    { numRuns: 500 },
  );
  expect(suggested).toBeGreaterThan(20);
});

test("it says by which evidence: a record of the file, or the databags and what came by command", async () => {
  expect(await rows("file", "127.0.0.2")).toMatchObject({
    code: 0,
    instance: "i-2 (web-02)",
    mac: "02:00:00:00:00:02",
    record: `file:${LAB}, entry i-2`,
    source: `file:${LAB}`,
  });
  expect(await rows("bags", "10.1.1.57")).toMatchObject({
    code: 0,
    lease: `02:00:5a:10:00:07, by ${BAGS}/dhcpentry.json`,
    record: `${BAGS}/vmdata.json, entry 10.1.1.57`,
    source: `databag:${BAGS}`,
  });
  expect(await rows("bags", "10.1.1.59")).toMatchObject({
    code: 3,
    lease: `none in force, by ${BAGS}/dhcpentry.json`,
    because: "there are leases, and none for this address, so every path is 404",
  });

  const [lease = "", metadata = ""] = ["02-vm_dhcp", "05-vm_metadata"].map((name) => {
    const [file = ""] = globSync(join(CLOUDSTACK, "commands", `${name}*`));
    return readFileSync(file, "utf8").replaceAll("10.1.1.57", "10.1.1.60");
  });
  const files = { "vm_dhcp_entry.json.1": lease, "vm_metadata.json.2": metadata };
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    writeFileSync(path, text.replaceAll("02:00:5a:10:00:07", "02:00:5a:10:00:60"));
    const done = await run([...PROGRAM, "apply", path, "--state-dir", stateOf("bags")]);
    expect({ name, code: done.code, stderr: done.stderr }).toMatchObject({ code: 0 });
  }
  expect(await rows("bags", "10.1.1.60")).toMatchObject({
    code: 0,
    lease: "02:00:5a:10:00:60, by a vm_dhcp_entry command",
    record: "a vm_metadata command, entry 10.1.1.60",
  });
});

test("what is only remembered is said to be", async () => {
  const file = join(folder, "broken.yaml");
  cpSync(LAB, file);
  await launch("broken", `file:${file}`);
  expect((await rows("broken", "127.0.0.2")).source).toBe(`file:${file}`);
  const router = routers.pop();
  router?.kill();
  await router?.exited;
  writeFileSync(file, "instances: [");
  await launch("broken", `file:${file}`);
  expect(await rows("broken", "127.0.0.2")).toMatchObject({
    code: 0,
    instance: "i-2 (web-02)",
    source: `file:${file}; not read whole yet, so this may be an earlier run's word`,
  });
}, 20_000);

test("an address that nobody has: what to do depends on the source", async () => {
  const unwritten = await rows("file", "127.0.0.9");
  expect(unwritten).toMatchObject({ code: 3, because: expect.stringContaining("no record of") });
  expect((await rows("bags", "10.1.1.99")).because).toStartWith("no source knows this address");
});

test("no answer has a value", async () => {
  for (const path of ["/latest/user-data", "/latest/meta-data/", "/latest/userdata"]) {
    for (const more of [[], ["--json"]]) {
      expect((await why("file", "127.0.0.1", path, ...more)).stdout.toString()).not.toContain(
        SECRET,
      );
    }
  }
});

test("without a router it says so, with exit code 1; --help says what each code means", async () => {
  const { code, stderr } = await why("nobody", "10.1.1.57");
  expect({ code, stderr }).toMatchObject({ code: 1 });
  expect(stderr).toContain("is a router running");
  const help = (await why("nobody", "--help")).stdout.toString();
  expect(help).toContain("\nExit codes:\n  0  the address is bound to an instance, and the path");
});
