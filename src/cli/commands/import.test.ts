import { afterAll, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import type { Binding } from "../../model/binding.ts";
import { Conditions } from "../../observe/conditions.ts";
import { openSource } from "../../source/index.ts";
import { EXIT } from "../command.ts";
import { openOutput } from "../output.ts";
import { runProgram } from "../program.ts";
import { commands } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "fd-import-"));
const FILE = join(folder, "lab.yaml");
afterAll(() => rmSync(folder, { recursive: true }));

const LAB = `instances:
  - id: a-1
    name: web-01
    address: 10.1.1.5
    password: Tr0ub4dor
    keys: [[local-hostname, web-01], [db-password, hunter2]]
    userData: {text: "#cloud-config sesame"}
  - id: b-1
    name: db-01
    address: 10.1.1.6
`;

async function run(...args: readonly string[]) {
  writeFileSync(FILE, LAB);
  const seen = { code: -1, stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      seen[name] += text;
    },
  });
  seen.code = await runProgram(["import", ...args], {
    name: "frontdesk",
    summary: "",
    versionLine: "",
    examples: [],
    entries: commands,
    out: openOutput(sink("stdout"), sink("stderr"), {}),
    debug: false,
  });
  return seen;
}

test("what a source serves comes out as a file, secrets masked", async () => {
  const { code, stdout, stderr } = await run(`file:${FILE}`);
  expect({ code, stderr }).toEqual({ code: EXIT.done, stderr: "" });
  for (const secret of ["sesame", "hunter2", "Tr0ub4dor"]) expect(stdout).not.toContain(secret);
  const names = parse(stdout).instances.map(({ name }: { name: string }) => name);
  expect(names).toEqual(["web-01", "db-01"]);
});

test("--with-secrets keeps back passwords only; --loopback is for one machine", async () => {
  const { stdout } = await run("--with-secrets", "--loopback", `file:${FILE}`);
  expect(stdout).toContain("sesame");
  expect(stdout).toContain("hunter2");
  expect(stdout).not.toContain("Tr0ub4dor");
  expect(parse(stdout).instances[0].address).toBe("127.1.1.5");
});

test("what comes out can be read again, and says the same", async () => {
  const first = await run("--with-secrets", "--json", `file:${FILE}`);
  const again = join(folder, "again.yaml");
  writeFileSync(again, first.stdout);
  const second = await run("--with-secrets", "--json", `file:${again}`);
  expect(second.stdout).toBe(first.stdout);
});

test("a source that is not there, or is unknown, is one line", async () => {
  expect(await run("file:/nowhere.yaml")).toEqual({
    code: EXIT.failed,
    stdout: "",
    stderr: "frontdesk: /nowhere.yaml: does not exist\n",
  });
  const { code, stderr } = await run("fil:x");
  expect(code).toBe(EXIT.usage);
  expect(stderr).toStartWith('frontdesk: no such source: "fil"; did you mean "file"?');
});

const FIXTURES = "fixtures/cloudstack";

test("a router's databags come out as a file that the file source reads without error", async () => {
  for (const topology of readdirSync(FIXTURES)) {
    const bags = join(FIXTURES, topology, "etc-cloudstack");
    if (!existsSync(bags)) continue;
    for (const flags of [[], ["--with-secrets"], ["--loopback"], ["--json"]]) {
      const first = await run(...flags, `databag:${bags}`);
      expect([topology, first.code]).toEqual([topology, EXIT.done]);
      const again = join(folder, "again.yaml");
      writeFileSync(again, first.stdout);
      const bindings = await read(again);
      const addresses = bindings.map(({ address }) => address.replace(/^[0-9]+[.]/, "")).sort();
      expect([topology, ...addresses]).toEqual([topology, ...(SERVED[topology] ?? [])]);
      if (flags[0] !== "--with-secrets") continue;
      // Each guest is told what the router told it.
      const told = ({ network, address, mac, name, keys, userData }: Binding) => {
        return { network, address, mac, name, keys, userData };
      };
      const router = await read(undefined, bags);
      const byAddress = (a: Binding, b: Binding) => a.address.localeCompare(b.address);
      const expected = router.sort(byAddress).map(told);
      expect(bindings.sort(byAddress).map(told)).toEqual(expected);
    }
  }
});

/** By topology, without the first number, which is 127 on loopback. */
const SERVED: Readonly<Record<string, readonly string[]>> = {
  isolated: ["1.1.57", "1.1.58"],
  vpc: ["20.1.101", "20.2.102"],
  shared: ["51.100.77"],
  redundant: ["9.0.101"],
};

test("what is left out is counted and named, with the reason", async () => {
  const bags = join(folder, "bags");
  cpSync(join(FIXTURES, "isolated/etc-cloudstack"), bags, { recursive: true });
  edit(join(bags, "vmdata.json"), (bag) => {
    Object.assign(bag, { "10.1.1.70": bag["10.1.1.58"], "10.1.1.71": 5, "10.9.9.9": 5, a: [] });
    bag["192.0.2.9"] = [
      ["metadata", "instance-id", "i-out"],
      ["metadata", "local-hostname", "o"],
    ];
    const web = bag["10.1.1.57"] as unknown[];
    web.push(["metadata", "bad key", "x"]);
  });
  edit(join(bags, "dhcpentry.json"), (bag) => {
    (bag["10.1.1.58"] as { remove: boolean }).remove = true;
  });
  const { code, stdout, stderr } = await run(`databag:${bags}`);
  expect(code).toBe(EXIT.done);
  expect(parse(stdout).instances.map(({ name }: { name: string }) => name)).toEqual(["web-01"]);
  const place = join(bags, "vmdata.json");
  const lines = stderr
    .replaceAll(/:[0-9]+: /g, ": ")
    .trimEnd()
    .split("\n");
  const flaw = "is not a list of [folder, file, contents]";
  expect(lines.map((line) => line.replace("frontdesk: ", "")).sort()).toEqual(
    [
      "left out 1 address whose lease is removed: 10.1.1.58",
      "left out 2 addresses without a lease: 10.1.1.59, 10.1.1.70",
      "left out 1 address outside every network's range: 192.0.2.9",
      "left out 3 flawed entries:",
      `  ${place}: 10.1.1.71 ${flaw}`,
      `  ${place}: 10.9.9.9 ${flaw}`,
      `  ${place}: "a" is not at an address`,
      "left out keys of 1 address, whose names are not served:",
      '  10.1.1.57: "bad key"',
    ].sort(),
  );
});

test("addresses that have no place on loopback are named", async () => {
  const file = LAB.replace("address: 10.1.1.6", 'nics: [{addresses: [10.1.1.6, "fd00::6"]}]');
  writeFileSync(join(folder, "six.yaml"), file);
  const { stderr } = await run("--loopback", `file:${join(folder, "six.yaml")}`);
  expect(stderr).toBe("frontdesk: left out 1 address that loopback has no place for: fd00::6\n");
});

test("a folder without databags says which it looked for", async () => {
  const empty = join(folder, "empty");
  mkdirSync(empty);
  const names = "cmdline.json, dhcpentry.json, guestnetwork.json, ips.json, vmdata.json";
  expect(await run(`databag:${empty}`)).toEqual({
    code: EXIT.failed,
    stdout: "",
    stderr: `frontdesk: ${empty}: holds no databags: ${names}, vmpassword.json expected\n`,
  });
  writeFileSync(join(empty, "ips.json"), "{}");
  expect((await run(`databag:${empty}`)).stderr).toBe(
    `frontdesk: ${empty}/vmdata.json: does not exist\n`,
  );
  expect((await run(`databag:${empty}/none`)).stderr).toBe(
    `frontdesk: ${empty}/none: does not exist\n`,
  );
});

function edit(path: string, change: (bag: Record<string, unknown>) => void): void {
  const bag = JSON.parse(readFileSync(path, "utf8"));
  change(bag);
  writeFileSync(path, JSON.stringify(bag, undefined, 2));
}

/** What a router would serve from a file, or else from databags. */
async function read(file: string | undefined, bags = ""): Promise<Binding[]> {
  const conditions = new Conditions(Date.now);
  const place = file === undefined ? `databag:${bags}` : `file:${file}`;
  await using source = await openSource(place, { conditions, now: Date.now, firstStart: true });
  const changes = await source.poll(new AbortController().signal);
  if (file !== undefined) expect(conditions.list()).toEqual([]);
  return changes.flatMap((change) => (change.kind === "put" ? [change.binding] : []));
}
