import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { ConfigError } from "../model/errors.ts";
import { checkConfig, loadConfig } from "./load.ts";

const DIR = mkdtempSync(join(tmpdir(), "frontdesk-config-"));
const FILE = join(DIR, "frontdesk.yaml");

afterAll(() => rmSync(DIR, { recursive: true }));

test("a whole configuration is read, with defaults and absolute paths", async () => {
  write(`
source: databag:/etc/cloudstack
listen: [10.1.1.1:80, "[fd00::1]:80"]
passwordListen: [auto]
adminListen: unix:run/admin.sock
network: "218"
stateDir: state
sealKey: /etc/frontdesk/seal.key
cacheDir: ../cache
passwordTokenFile: token
logLevel: warn
networks:
  - id: tier-1
    cidrs: [10.1.1.0/24, "fd00::/64"]
    source: file:tier-1.yaml
    hosts: enforce
    hopLimit: 1
    leaseFiles: [leases]
    guests: {maxConnections: 20}
  - id: tier-2
    cidrs: [10.1.1.0/24]
    netns: other
    macEvidence: enforce
    routed: true
firewall: {manage: true, managementCidrs: [192.0.2.0/24]}
`);
  expect((await loadConfig(FILE)).config).toEqual({
    source: "databag:/etc/cloudstack",
    listen: ["10.1.1.1:80", "[fd00::1]:80"],
    passwordListen: ["auto"],
    adminListen: `unix:${DIR}/run/admin.sock`,
    network: "218",
    stateDir: `${DIR}/state`,
    sealKey: "/etc/frontdesk/seal.key",
    cacheDir: join(DIR, "../cache"),
    passwordTokenFile: `${DIR}/token`,
    hostNames: [],
    logLevel: "warn",
    networks: [
      {
        id: "tier-1",
        cidrs: ["10.1.1.0/24", "fd00::/64"],
        source: `file:${DIR}/tier-1.yaml`,
        macEvidence: "audit",
        hosts: "enforce",
        routed: false,
        hopLimit: 1,
        leaseFiles: [`${DIR}/leases`],
        guests: { maxConnections: 20 },
      },
      {
        id: "tier-2",
        cidrs: ["10.1.1.0/24"],
        netns: "other",
        macEvidence: "enforce",
        routed: true,
        leaseFiles: [],
      },
    ],
    firewall: { manage: true, managementCidrs: ["192.0.2.0/24"] },
  });
});

test("the controller's settings are read, and their paths are absolute", async () => {
  write(`
controller:
  source: cloudstack:https://cloud.example.org
  store: sqlite:store.sqlite
  apiListen: 127.0.0.1:8776
  adminListen: unix:controller.sock
  credentialsFile: keys.env
  webhookSecretFile: /etc/webhook.secret
  pollSeconds: 60
  amqp: amqp://bus.example.org
`);
  const { config } = await loadConfig(FILE);
  expect(config.controller).toEqual({
    source: "cloudstack:https://cloud.example.org",
    store: `sqlite:${DIR}/store.sqlite`,
    apiListen: "127.0.0.1:8776",
    adminListen: `unix:${DIR}/controller.sock`,
    credentialsFile: `${DIR}/keys.env`,
    webhookSecretFile: "/etc/webhook.secret",
    pollSeconds: 60,
    amqp: "amqp://bus.example.org",
  });
  write("controller: {pollSeconds: 0}");
  await expect(loadConfig(FILE)).rejects.toThrow("controller.pollSeconds");
  write("controller: {polSeconds: 1}");
  await expect(loadConfig(FILE)).rejects.toThrow('did you mean "pollSeconds"');
});

test("a file without settings is a configuration", async () => {
  for (const text of ["", "# nothing yet\n", "{}"]) {
    write(text);
    expect((await loadConfig(FILE)).config).toEqual({ hostNames: [], networks: [] });
  }
});

test("what is wrong is named with file, line and field", async () => {
  const net = "networks:\n  - {id: a, cidrs: [10.0.0.0/24]}\n";
  const cases: readonly (readonly [text: string, message: string])[] = [
    ["source: file:x\nlisten: 127.0.0.1:80\n", "2: listen: expected a list, found text"],
    ["\nlistne: [auto]\n", '2: listne: there is no such field; did you mean "listen"?'],
    ["state-dir: x\n", '1: state-dir: there is no such field; did you mean "stateDir"?'],
    ["colour: red\n", "1: colour: there is no such field"],
    ["listen: [auto, 127.0.0.1:80]\n", "1: listen: auto stands alone"],
    ["listen: [localhost:80]\n", "1: listen[0]: must be ADDR:PORT, [IPV6]:PORT or auto"],
    ["listen: ['::1:80']\n", "1: listen[0]: must be ADDR:PORT, [IPV6]:PORT or auto"],
    ["listen: ['127.0.0.1:70000']\n", "1: listen[0]: must be ADDR:PORT, [IPV6]:PORT or auto"],
    ["listen: []\n", "1: listen: is empty"],
    ["adminListen: 8080\n", "1: adminListen: expected text, found a number; put it in quotes"],
    ["adminListen: /run/x\n", "1: adminListen: must be unix:PATH or ADDR:PORT"],
    [
      "adminListen: unix:/x\nadmin: {listen: unix:/y}\n",
      "2: admin.listen: give adminListen or admin.listen, not both",
    ],
    ["source: lab.yaml\n", "1: source: must be a word, a colon and a place: file:lab.yaml"],
    ["store: y.sqlite\n", "1: store: must be a word, a colon and a place: sqlite:store.sqlite"],
    ["source: file:x\nstore: sqlite:y\n", "2: store: give source or store, not both"],
    [
      'networks: [{id: a, cidrs: [10.0.0.0/8], netns: x, source: "file:x", store: "sqlite:y"}]\n',
      "1: networks[0].store: give source or store, not both",
    ],
    ["api: {}\n", "1: api: there is no such field"],
    ["proxied: [{listen: ['10.0.0.1:81']}]\n", "1: proxied[0].trusted: is missing"],
    ["proxied: [{trusted: [10.0.0.2]}]\n", "1: proxied[0].listen: is missing: name an address"],
    [
      "proxied: [{listen: [auto], trusted: [10.0.0.2]}]\n",
      "1: proxied[0].listen: auto is not possible here; name addresses",
    ],
    [
      "proxied:\n- listen: ['10.0.0.1:81']\n  trusted: [10.0.0.2, '']\n",
      "3: proxied[0].trusted[1]: must be an address like 10.1.1.9, or a range like 10.1.1.0/24",
    ],
    [
      "proxied: [{listen: ['10.0.0.1:81'], trusted: [fd00::/64], netns: a}]\n",
      "1: proxied[0].netns: no network lies in this namespace",
    ],
    ["hosts: all\n", "1: hosts: expected one of any, audit, enforce"],
    ["stateDir:\n", "1: stateDir: expected text, found nothing"],
    ["- a\n", "1: expected a mapping, found a list"],
    ["networks:\n  - id: a\n", "2: networks[0].cidrs: is missing"],
    [
      `${net}  - {id: b, cidrs: [10.0.0.0/8]}\n`,
      "2: networks[0].cidrs[0]: 10.0.0.0/24 overlaps 10.0.0.0/8 of network b on line 3, in the same namespace",
    ],
    [
      `${net}  - {id: a, cidrs: [10.0.1.0/24]}\n`,
      "3: networks[1].id: network a is given twice, here and on line 2",
    ],
    [
      net.replace("id: a,", "id: a, hopLimt: 1,"),
      '2: networks[0].hopLimt: there is no such field; did you mean "hopLimit"?',
    ],
    [
      net.replace("id: a,", "id: a, macEvidence: on,"),
      "2: networks[0].macEvidence: expected one of off, audit, enforce",
    ],
    [
      net.replace("id: a,", "id: a, guests: {newPerSecond: 0},"),
      "2: networks[0].guests.newPerSecond: must be 1 at least",
    ],
    [
      "networks: []\ninstances: []\n",
      "2: instances: this is a file of instances; give it with --source file:PATH, not as settings",
    ],
    ["x: 1\ny: 2\n", "1: x: there is no such field (and 1 more)"],
    ["a: b: c\n", '1: a second ": " stands on one line; put the text in quotes'],
  ];
  for (const [text, message] of cases) {
    write(text);
    expect(await failure()).toBe(`${FILE}:${message}`);
  }
});

test("config check says all that is wrong, in the order of the lines", async () => {
  write("hosts: all\nsource: 7\ncolour: red\n");
  const { problems, loaded } = await check();
  expect(problems.map(({ line, field }) => `${line} ${field}`)).toEqual([
    "1 hosts",
    "2 source",
    "3 colour",
  ]);
  expect(loaded).toBeUndefined();
  write("hosts: any\n");
  const good = await check();
  expect(good.problems).toEqual([]);
  expect(good.loaded?.config).toEqual({ hosts: "any", hostNames: [], networks: [] });
});

test("a file that cannot be read is one clear line", async () => {
  expect(await failure(join(DIR, "none"))).toBe(`${DIR}/none: does not exist`);
  expect(await failure(DIR)).toBe(`${DIR}: is not a regular file`);
  expect(await failure("/dev/zero")).toBe("/dev/zero: is not a regular file");
  writeFileSync(FILE, Buffer.from([0xff]));
  expect(await failure()).toBe(`${FILE}: is not UTF-8`);
  write("x".repeat(2 ** 20 + 1));
  expect(await failure()).toBe(`${FILE}: is larger than 1 MiB`);
});

test("arbitrary text throws nothing but a ConfigError", async () => {
  const word = fc.constantFrom(
    ..."networks: |\n  - |id: |cidrs: |[|]|{|}|10.0.0.0/8|listen: |auto|\n|: |- |'|&a |*a|!t |null|7|source: |x:y".split(
      "|",
    ),
  );
  const text = fc.oneof(
    fc.array(word, { maxLength: 20 }).map((words) => words.join("")),
    fc.string({ maxLength: 20 }),
  );
  await fc.assert(
    fc.asyncProperty(text, async (content) => {
      write(content);
      await failure(FILE, true);
    }),
    { numRuns: 300 },
  );
});

function check(): ReturnType<typeof checkConfig> {
  return checkConfig(readFileSync(FILE), FILE);
}

function write(text: string): void {
  writeFileSync(FILE, text);
}

async function failure(file: string = FILE, maySucceed = false): Promise<string> {
  try {
    await loadConfig(file);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  expect(maySucceed).toBe(true);
  return "";
}
