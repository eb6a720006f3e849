/**
 * The file source as the router sees it: a file goes in, changes come out.
 */

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Ip, parseIp } from "../../model/address.ts";
import type { Binding } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import { SourceError } from "../../model/errors.ts";
import { Conditions } from "../../observe/conditions.ts";
import type { Source } from "../source.ts";
import { openFile } from "./file.ts";
import { BAD_GRACE_MS, SETTLE_MS } from "./limits.ts";

const SIGNAL = new AbortController().signal;

const WEB = `
  - id: i-web
    name: web-01
    address: 127.0.0.11
`;

const DB = `
  - id: i-db
    name: db-01
    address: 127.0.0.12
`;

let dir: string;
let file: string;
let clock: number;
let conditions: Conditions;
let source: Source;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "frontdesk-file-"));
  file = join(dir, "lab.yaml");
  clock = 1_000_000;
  conditions = new Conditions(() => clock);
  source = await openFile(file, { conditions, now: () => clock, firstStart: true });
});

afterEach(async () => {
  await source[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

test("the first poll gives everything, the second nothing", async () => {
  write(`instances:${WEB}${DB}`);
  expect(await told()).toEqual(["put 127.0.0.11 i-web 1", "put 127.0.0.12 i-db 1"]);
  expect(await told()).toEqual([]);
});

test("a poll tells only what differs", async () => {
  const cases: readonly (readonly [edit: string, expected: readonly string[]])[] = [
    [`instances:${WEB}${DB}  # a comment\n`, []],
    [`# a comment\ninstances:\n${DB}${WEB}`, []],
    [`instances:${WEB.replace("web-01", "web-02")}${DB}`, ["put 127.0.0.11 i-web 1"]],
    [`instances:${WEB}`, ["put 127.0.0.11 i-web 1", "delete 127.0.0.12"]],
    [`instances:${WEB}${DB}`, ["put 127.0.0.12 i-db 2"]],
    [`instances:${WEB}    zone: z\n${DB}`, ["put 127.0.0.11 i-web 1"]],
    [`instances:${WEB}${DB}`, ["put 127.0.0.11 i-web 1"]],
    ["instances: []", ["delete 127.0.0.11", "delete 127.0.0.12"]],
    [`instances:${WEB}`, ["put 127.0.0.11 i-web 2"]],
  ];
  write(`instances:${WEB}${DB}`);
  await told();
  for (const [edit, expected] of cases) {
    write(edit);
    expect(await told()).toEqual([...expected]);
  }
});

test("a binding carries what its record says, with CloudStack's keys in CloudStack's order", async () => {
  write(`
networks:
  - id: tier-1
    cidrs: [10.20.1.0/24, "fd00::/64"]
    dnsDomain: vpc7.internal
instances:
  - id: 5d6a7f10
    name: web-01
    zone: zone-ber-1
    serviceOffering: Small Instance
    nics:
      - mac: 02:00:5A:10:00:07
        addresses: ["fd00::7", 10.20.1.7, 10.20.1.8]
    keys: {tier: front, public-ipv4: 203.0.113.45, vm-id: another, empty: null}
    userData: |
      #cloud-config
    publicKeys: [ssh-ed25519 AAAA alice, ssh-ed25519 BBBB bob]
`);
  const bindings = puts(await source.poll(SIGNAL));
  expect(bindings.map(({ address }) => address)).toEqual(
    ["fd00::7", "10.20.1.7", "10.20.1.8"].map(parseIp),
  );
  for (const binding of bindings) {
    expect(binding).toEqual({
      network: "tier-1",
      address: binding.address,
      mac: "02:00:5a:10:00:07" as never,
      epoch: 1,
      instance: "5d6a7f10",
      name: "web-01",
      keys: [
        ["service-offering", "Small Instance"],
        ["availability-zone", "zone-ber-1"],
        ["local-ipv4", "10.20.1.7"],
        ["local-hostname", "web-01"],
        ["tier", "front"],
        ["empty", null],
        ["public-ipv4", "203.0.113.45"],
        ["instance-id", "5d6a7f10"],
        ["vm-id", "another"],
        ["public-keys", "ssh-ed25519 AAAA alice\nssh-ed25519 BBBB bob"],
      ],
      userData: new TextEncoder().encode("#cloud-config\n"),
      origin: { kind: "file", place: file },
    });
  }
  expect(source.networks()).toEqual([
    { id: "tier-1", cidrs: ["10.20.1.0/24", "fd00::/64"], dnsDomain: "vpc7.internal" },
  ]);
  expect(source.endpoints()).toEqual([]);
});

test("the network is the record's, else the file's only one, else --network, else lab", async () => {
  const record = "instances:\n  - {id: i, name: n, address: 10.0.0.1";
  const cases: readonly (readonly [text: string, wanted: string | undefined, network: string])[] = [
    [`${record}}`, undefined, "lab"],
    [`${record}}`, "218", "218"],
    [`${record}, network: own}`, "218", "own"],
    [`networks: [{id: only}]\n${record}}`, "218", "only"],
    [`networks: [{id: a}, {id: b}]\n${record}}`, "b", "b"],
    [`networks: [{id: a}, {id: b}]\n${record}, network: a}`, "b", "a"],
  ];
  for (const [text, network, expected] of cases) {
    write(text);
    const context = { conditions, now: () => clock, firstStart: true };
    await using other = await openFile(file, {
      ...context,
      ...(network !== undefined && { network }),
    });
    expect(puts(await other.poll(SIGNAL))[0]?.network).toBe(expected);
    expect(other.networks().map(({ id }) => id)).toContain(expected);
  }
});

test("a network that is renamed takes its instances along", async () => {
  write(`networks: [{id: a}]\ninstances:${WEB}`);
  await told();
  write(`networks: [{id: b}]\ninstances:${WEB}`);
  const changes = await source.poll(SIGNAL);
  expect(puts(changes).map(({ network }) => network)).toEqual(["b"]);
  expect(changes).toContainEqual({
    kind: "delete",
    network: "a",
    address: parseIp("127.0.0.11"),
  });
});

test("user data comes as text, as base64 with or without padding, or from a file", async () => {
  writeFileSync(join(dir, "boot.bin"), Buffer.from([0, 255, 10]));
  const cases: readonly (readonly [yaml: string, hex: string | undefined])[] = [
    ["plain: {}", undefined],
    ["userData: hello", "68656c6c6f"],
    ['userData: ""', ""],
    ["userData: {text: hello}", "68656c6c6f"],
    ["userData: {base64: AP8K}", "00ff0a"],
    ["userData: {base64: AA==}", "00"],
    ["userData: {base64: AA}", "00"],
    ["userData:\n      base64: |\n        AP\n        8K\n", "00ff0a"],
    ["userData: {file: boot.bin}", "00ff0a"],
    [`userData: {file: ${join("/", dir, "boot.bin")}}`, "00ff0a"],
  ];
  for (const [yaml, hex] of cases) {
    write(`instances:${WEB}    ${yaml === "plain: {}" ? "zone: z" : yaml}\n`);
    await using other = await openFile(file, { conditions, now: () => clock, firstStart: true });
    const body = puts(await other.poll(SIGNAL))[0]?.userData as Uint8Array | undefined;
    expect(body === undefined ? undefined : Buffer.from(body).toString("hex")).toBe(hex);
  }
});

test("a file of user data that changes, vanishes and returns is followed", async () => {
  const boot = join(dir, "boot.sh");
  writeFileSync(boot, "one");
  write(`instances:${WEB}    userData: {file: boot.sh}\n${DB}`);
  await told();
  expect(await told()).toEqual([]);
  writeFileSync(boot, "two");
  expect(await told()).toEqual(["put 127.0.0.11 i-web 1"]);
  rmSync(boot);
  expect(await told()).toEqual([]);
  clock += BAD_GRACE_MS;
  expect(await told()).toEqual([]);
  expect(raised()).toEqual([
    `SOURCE_UNREADABLE ${file}:5: instances[0].userData.file: "boot.sh" does not exist`,
  ]);
  writeFileSync(boot, "three");
  expect(await told()).toEqual(["put 127.0.0.11 i-web 1"]);
  expect(raised()).toEqual([]);
});

test("the first poll of a file that is missing or wrong fails, and a later one succeeds", async () => {
  expect(await failure()).toBe(`${file}: does not exist`);
  write("instances:\n  - id: 1\n");
  expect(await failure()).toBe(
    `${file}:2: instances[0].id: expected text, found a number; put it in quotes (and 1 more)`,
  );
  write(`instances:${WEB}`);
  expect(await told()).toEqual(["put 127.0.0.11 i-web 1"]);
});

test("a file that goes bad keeps the last good state, and is a condition once that lasts", async () => {
  const good = `instances:${WEB}${DB}`;
  const cases: readonly (readonly [name: string, spoil: () => void, condition: string])[] = [
    ["emptied", () => write(""), `SOURCE_MALFORMED ${file}:1: is empty`],
    ["cut after the head", () => write("instances:\n"), `SOURCE_MALFORMED ${file}:1: instances:`],
    ["cut within a text", () => write(good.slice(0, -4).concat('"')), "SOURCE_MALFORMED"],
    ["cut within a name", () => write("instances:\n  - id: i\n    na"), "SOURCE_MALFORMED"],
    ["gone", () => rmSync(file), `SOURCE_UNREADABLE ${file}: does not exist`],
    ["another's", () => write("colour: red"), `SOURCE_MALFORMED ${file}:1:`],
  ];
  for (const [, spoil, condition] of cases) {
    write(good);
    await told();
    spoil();
    expect(await told()).toEqual([]);
    expect(raised()).toEqual([]);
    clock += BAD_GRACE_MS - 1;
    expect(await told()).toEqual([]);
    expect(raised()).toEqual([]);
    clock += 1;
    expect(await told()).toEqual([]);
    expect(raised().map((text) => text.slice(0, condition.length))).toEqual([condition]);
    write(good);
    expect(await told()).toEqual([]);
    expect(raised()).toEqual([]);
  }
});

test("a file that is being written is not taken before it is complete", async () => {
  write(`instances:${WEB}${DB}`);
  await told();
  write(`instances:${WEB.replace("web-01", "web-02")}`);
  setTimeout(() => appendFileSync(file, DB), SETTLE_MS / 2);
  expect(await told()).toEqual(["put 127.0.0.11 i-web 1"]);
});

test("an address that passes to another instance begins a new epoch, also after it was gone", async () => {
  const at11 = (id: string, more = ""): string =>
    `instances:\n  - {id: ${id}, name: n, address: 127.0.0.11${more}}\n`;
  const cases: readonly (readonly [text: string, expected: readonly string[]])[] = [
    [at11("a"), ["put 127.0.0.11 a 1"]],
    [at11("b"), ["put 127.0.0.11 b 2"]],
    [at11("b", ", zone: z"), ["put 127.0.0.11 b 2"]],
    ["instances: []", ["delete 127.0.0.11"]],
    [at11("b"), ["put 127.0.0.11 b 3"]],
    ["instances: []", ["delete 127.0.0.11"]],
    [at11("a"), ["put 127.0.0.11 a 4"]],
    [at11("a", ", epoch: 9"), ["put 127.0.0.11 a 9"]],
    [at11("a"), []],
    [at11("c", ", epoch: 4"), ["put 127.0.0.11 c 10"]],
  ];
  for (const [text, expected] of cases) {
    write(text);
    expect(await told()).toEqual([...expected]);
  }
});

test("epochs go on after a restart, and what the file has no more is gone", async () => {
  const binding = (address: string, instance: string, epoch: number): Change => ({
    kind: "put",
    binding: {
      network: "lab",
      address: parseIp(address),
      epoch,
      instance,
      name: "n",
      keys: [],
      origin: { kind: "file", place: file },
    },
  });
  source.restore([
    binding("127.0.0.11", "i-web", 7),
    binding("127.0.0.12", "someone-else", 3),
    binding("127.0.0.13", "i-gone", 1),
    {
      kind: "withhold",
      withheld: {
        network: "lab",
        address: parseIp("127.0.0.14"),
        reason: "conflict",
        epoch: 5,
        since: 0,
      },
    },
  ]);
  write(`instances:${WEB}${DB}`);
  expect(await told()).toEqual([
    "put 127.0.0.11 i-web 7",
    "put 127.0.0.12 i-db 4",
    "delete 127.0.0.13",
    "delete 127.0.0.14",
  ]);
  write(`instances:${WEB}${DB.replace(".12", ".14")}`);
  expect(await told()).toEqual(["put 127.0.0.14 i-db 6", "delete 127.0.0.12"]);
});

test("no epoch that a password was kept for begins again after a restart", async () => {
  const binding = puts(await firstPoll(`instances:${WEB}`))[0] as Binding;
  const cases: readonly (readonly [known: number, kept: number, begins: number])[] = [
    [1, 1, 1], // The password of the instance that is there.
    [4, 1, 4], // Of an epoch before.
    [1, 2, 3], // The address was gone, and only the ledger had written it down.
    [0, 5, 6], // Nothing else is known of the address.
  ];
  for (const [known, kept, begins] of cases) {
    const { network, address } = binding;
    const change: Change = { kind: "put", binding: { ...binding, epoch: known } };
    await using other = await openFile(file, { conditions, now: () => clock, firstStart: false });
    other.restore(known === 0 ? [] : [change], [{ network, address, epoch: kept }]);
    expect(puts(await other.poll(SIGNAL))[0]?.epoch).toBe(begins);
  }
});

test("a password is told once, with its epoch, to the default NIC's first IPv4 address", async () => {
  const record = (id: string, more: string): string => `instances:
  - id: ${id}
    name: n
    nics:
      - addresses: [10.0.0.1]
      - addresses: ["fd00::2", 10.0.0.2, 10.0.0.3]
        default: true
    ${more}
`;
  const cases: readonly (readonly [text: string, passwords: readonly string[]])[] = [
    [record("a", "password: one"), ["10.0.0.2 1 one standing"]],
    [record("a", "password: one\n    zone: z"), []],
    [record("a", "password: two"), ["10.0.0.2 1 two standing"]],
    [record("b", "password: two"), ["10.0.0.2 2 two standing"]],
    [record("b", "zone: z"), ["10.0.0.2 2 undefined standing"]],
    [record("b", "password: three"), ["10.0.0.2 2 three standing"]],
    [record("c", "zone: z"), []],
  ];
  for (const [text, expected] of cases) {
    write(text);
    const changes = await source.poll(SIGNAL);
    expect(
      changes.flatMap((change) =>
        change.kind === "password"
          ? [
              `${change.address} ${change.epoch} ${change.password}` +
                (change.standing ? " standing" : ""),
            ]
          : [],
      ),
    ).toEqual([...expected]);
  }
});

test("changes() says so soon after an edit, a rename over the file, and an edit of user data", async () => {
  const stop = new AbortController();
  writeFileSync(join(dir, "boot.sh"), "one");
  write(`instances:${WEB}    userData: {file: boot.sh}\n`);
  await told();
  const news = source.changes(stop.signal)[Symbol.asyncIterator]();
  const edits: readonly (() => void)[] = [
    () => write(`instances:${WEB}    userData: {file: boot.sh}\n${DB}`),
    () => {
      writeFileSync(`${file}~`, `instances:${WEB}    userData: {file: boot.sh}\n`);
      renameSync(`${file}~`, file);
    },
    () => writeFileSync(join(dir, "boot.sh"), "two"),
  ];
  for (const edit of edits) {
    edit();
    expect(await pollUntilNews(news)).not.toEqual([]);
  }
  // A file that goes bad is looked at again without a further edit, until it is a condition.
  write("instances:\n");
  await news.next();
  expect(await told()).toEqual([]);
  clock += BAD_GRACE_MS;
  await news.next();
  await told();
  expect(raised()).toHaveLength(1);
  stop.abort();
  expect((await news.next()).done).toBe(true);
});

test("changes() ends when the source is closed", async () => {
  write(`instances:${WEB}`);
  const news = source.changes(SIGNAL)[Symbol.asyncIterator]();
  await news.next();
  const next = news.next();
  await source[Symbol.asyncDispose]();
  expect((await next).done).toBe(true);
});

test("a poll that is broken off leaves everything as it was, and the next one makes up for it", async () => {
  const records = Array.from(
    { length: 5000 },
    (_, i) => `  - {id: i-${i}, name: n, address: 10.0.${i >> 8}.${i & 255}}\n`,
  );
  write(`instances:\n${records.join("")}`);
  const stop = new AbortController();
  const broken = source.poll(stop.signal);
  setTimeout(() => stop.abort(), 40);
  expect(broken).rejects.toThrow();
  await broken.catch(() => {});
  expect((await source.poll(SIGNAL)).length).toBe(5000);
});

test("a poll that is broken off does not forget that user data has changed", async () => {
  const boot = join(dir, "boot.sh");
  writeFileSync(boot, "one");
  write(`instances:${WEB}    userData: {file: boot.sh}\n`);
  // Only the file of user data is so young that it is waited for.
  utimesSync(file, 1, 1);
  await told();
  writeFileSync(boot, "two");
  const broken = source.poll(AbortSignal.timeout(SETTLE_MS / 2));
  expect(broken).rejects.toThrow();
  await broken.catch(() => {});
  expect(await told()).toEqual(["put 127.0.0.11 i-web 1"]);
});

function write(text: string): void {
  writeFileSync(file, text);
}

function firstPoll(text: string): Promise<readonly Change[]> {
  write(text);
  return source.poll(SIGNAL);
}

async function told(): Promise<string[]> {
  return (await source.poll(SIGNAL)).map((change) => {
    if (change.kind === "put") {
      const { address, instance, epoch } = change.binding;
      return `put ${address} ${instance} ${epoch}`;
    }
    const address: Ip = change.kind === "withhold" ? change.withheld.address : change.address;
    return `${change.kind} ${address}`;
  });
}

function puts(changes: readonly Change[]): Binding[] {
  return changes.flatMap((change) => (change.kind === "put" ? [change.binding] : []));
}

function raised(): string[] {
  return conditions.list().map(({ code, detail }) => `${code} ${detail}`);
}

async function failure(): Promise<string> {
  try {
    await source.poll(SIGNAL);
  } catch (error) {
    if (error instanceof SourceError) return error.message;
    throw error;
  }
  throw new Error("the poll succeeded");
}

async function pollUntilNews(news: AsyncIterator<void>): Promise<readonly Change[]> {
  for (;;) {
    await news.next();
    const changes = await source.poll(SIGNAL);
    if (changes.length > 0) return changes;
  }
}
