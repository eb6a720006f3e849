/**
 * The file source as the router sees it: a file goes in, changes come out.
 */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseIp } from "../../model/address.ts";
import type { Change } from "../../model/change.ts";
import { BAD_GRACE_MS, SETTLE_MS } from "./limits.ts";
import { DB, Lab, puts, SIGNAL, WEB } from "./testing.ts";

let lab: Lab;

beforeEach(() => {
  lab = new Lab();
});

afterEach(() => lab[Symbol.asyncDispose]());

test("the first poll gives everything, the second nothing", async () => {
  lab.write(`instances:${WEB}${DB}`);
  expect(await lab.told()).toEqual(["put 127.0.0.11 i-web 1", "put 127.0.0.12 i-db 1"]);
  expect(await lab.told()).toEqual([]);
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
  lab.write(`instances:${WEB}${DB}`);
  await lab.told();
  for (const [edit, expected] of cases) {
    lab.write(edit);
    expect(await lab.told()).toEqual([...expected]);
  }
});

test("a binding carries what its record says, with CloudStack's keys in CloudStack's order", async () => {
  lab.write(`
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
  const bindings = puts(await lab.poll());
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
      origin: { kind: "file", place: lab.file },
    });
  }
  expect((await lab.source).networks()).toEqual([
    { id: "tier-1", cidrs: ["10.20.1.0/24", "fd00::/64"], dnsDomain: "vpc7.internal" },
  ]);
  expect((await lab.source).endpoints()).toEqual([]);
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
    lab.write(text);
    await using other = await lab.open(network === undefined ? {} : { network });
    expect(puts(await other.poll(SIGNAL))[0]?.network).toBe(expected);
    expect(other.networks().map(({ id }) => id)).toContain(expected);
  }
});

test("a network that is renamed takes its instances along", async () => {
  lab.write(`networks: [{id: a}]\ninstances:${WEB}`);
  await lab.told();
  lab.write(`networks: [{id: b}]\ninstances:${WEB}`);
  const changes = await lab.poll();
  expect(puts(changes).map(({ network }) => network)).toEqual(["b"]);
  expect(changes).toContainEqual({
    kind: "delete",
    network: "a",
    address: parseIp("127.0.0.11"),
  });
});

test("user data comes as text, as base64 with or without padding, or from a file", async () => {
  writeFileSync(join(lab.dir, "boot.bin"), Buffer.from([0, 255, 10]));
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
    [`userData: {file: ${join("/", lab.dir, "boot.bin")}}`, "00ff0a"],
  ];
  for (const [yaml, hex] of cases) {
    lab.write(`instances:${WEB}    ${yaml === "plain: {}" ? "zone: z" : yaml}\n`);
    await using other = await lab.open();
    const body = puts(await other.poll(SIGNAL))[0]?.userData as Uint8Array | undefined;
    expect(body === undefined ? undefined : Buffer.from(body).toString("hex")).toBe(hex);
  }
});

test("a file of user data that changes, vanishes and returns is followed", async () => {
  const boot = join(lab.dir, "boot.sh");
  writeFileSync(boot, "one");
  lab.write(`instances:${WEB}    userData: {file: boot.sh}\n${DB}`);
  await lab.told();
  expect(await lab.told()).toEqual([]);
  writeFileSync(boot, "two");
  expect(await lab.told()).toEqual(["put 127.0.0.11 i-web 1"]);
  rmSync(boot);
  expect(await lab.told()).toEqual([]);
  lab.clock += BAD_GRACE_MS;
  expect(await lab.told()).toEqual([]);
  expect(lab.raised()).toEqual([
    `SOURCE_UNREADABLE ${lab.file}:5: instances[0].userData.file: "boot.sh" does not exist`,
  ]);
  writeFileSync(boot, "three");
  expect(await lab.told()).toEqual(["put 127.0.0.11 i-web 1"]);
  expect(lab.raised()).toEqual([]);
});

test("the first poll of a file that is missing or wrong fails, and a later one succeeds", async () => {
  expect(await lab.failure()).toBe(`${lab.file}: does not exist`);
  lab.write("instances:\n  - id: 1\n");
  expect(await lab.failure()).toBe(
    `${lab.file}:2: instances[0].id: expected text, found a number; put it in quotes (and 1 more)`,
  );
  lab.write(`instances:${WEB}`);
  expect(await lab.told()).toEqual(["put 127.0.0.11 i-web 1"]);
});

test("a file that goes bad keeps the last good state, and is a condition once that lasts", async () => {
  const good = `instances:${WEB}${DB}`;
  const cases: readonly (readonly [name: string, spoil: () => void, condition: string])[] = [
    ["emptied", () => lab.write(""), `SOURCE_MALFORMED ${lab.file}:1: is empty`],
    [
      "cut after the head",
      () => lab.write("instances:\n"),
      `SOURCE_MALFORMED ${lab.file}:1: instances:`,
    ],
    ["cut within a text", () => lab.write(good.slice(0, -4).concat('"')), "SOURCE_MALFORMED"],
    ["cut within a name", () => lab.write("instances:\n  - id: i\n    na"), "SOURCE_MALFORMED"],
    ["gone", () => rmSync(lab.file), `SOURCE_UNREADABLE ${lab.file}: does not exist`],
    ["another's", () => lab.write("colour: red"), `SOURCE_MALFORMED ${lab.file}:1:`],
  ];
  for (const [, spoil, condition] of cases) {
    lab.write(good);
    await lab.told();
    spoil();
    expect(await lab.told()).toEqual([]);
    expect(lab.raised()).toEqual([]);
    lab.clock += BAD_GRACE_MS - 1;
    expect(await lab.told()).toEqual([]);
    expect(lab.raised()).toEqual([]);
    lab.clock += 1;
    expect(await lab.told()).toEqual([]);
    expect(lab.raised().map((text) => text.slice(0, condition.length))).toEqual([condition]);
    lab.write(good);
    expect(await lab.told()).toEqual([]);
    expect(lab.raised()).toEqual([]);
  }
});

test("a file that is being written is not taken before it is complete", async () => {
  lab.write(`instances:${WEB}${DB}`);
  await lab.told();
  lab.write(`instances:${WEB.replace("web-01", "web-02")}`);
  setTimeout(() => appendFileSync(lab.file, DB), SETTLE_MS / 2);
  expect(await lab.told()).toEqual(["put 127.0.0.11 i-web 1"]);
});

test("changes() says so soon after an edit, a rename over the file, and an edit of user data", async () => {
  const stop = new AbortController();
  writeFileSync(join(lab.dir, "boot.sh"), "one");
  lab.write(`instances:${WEB}    userData: {file: boot.sh}\n`);
  await lab.told();
  const news = (await lab.source).changes(stop.signal)[Symbol.asyncIterator]();
  const edits: readonly (() => void)[] = [
    () => lab.write(`instances:${WEB}    userData: {file: boot.sh}\n${DB}`),
    () => {
      writeFileSync(`${lab.file}~`, `instances:${WEB}    userData: {file: boot.sh}\n`);
      renameSync(`${lab.file}~`, lab.file);
    },
    () => writeFileSync(join(lab.dir, "boot.sh"), "two"),
  ];
  for (const edit of edits) {
    edit();
    expect(await pollUntilNews(news)).not.toEqual([]);
  }
  // A file that goes bad is looked at again without a further edit, until it is a condition.
  lab.write("instances:\n");
  await news.next();
  expect(await lab.told()).toEqual([]);
  lab.clock += BAD_GRACE_MS;
  await news.next();
  await lab.told();
  expect(lab.raised()).toHaveLength(1);
  stop.abort();
  expect((await news.next()).done).toBe(true);
});

test("changes() ends when the source is closed", async () => {
  lab.write(`instances:${WEB}`);
  const news = (await lab.source).changes(SIGNAL)[Symbol.asyncIterator]();
  await news.next();
  const next = news.next();
  await (await lab.source)[Symbol.asyncDispose]();
  expect((await next).done).toBe(true);
});

test("a poll that is broken off leaves everything as it was, and the next one makes up for it", async () => {
  const records = Array.from(
    { length: 5000 },
    (_, i) => `  - {id: i-${i}, name: n, address: 10.0.${i >> 8}.${i & 255}}\n`,
  );
  lab.write(`instances:\n${records.join("")}`);
  const stop = new AbortController();
  const broken = (await lab.source).poll(stop.signal);
  setTimeout(() => stop.abort(), 40);
  expect(broken).rejects.toThrow();
  await broken.catch(() => {});
  expect((await lab.poll()).length).toBe(5000);
});

test("a poll that is broken off does not forget that user data has changed", async () => {
  const boot = join(lab.dir, "boot.sh");
  writeFileSync(boot, "one");
  lab.write(`instances:${WEB}    userData: {file: boot.sh}\n`);
  // Only the file of user data is so young that it is waited for.
  utimesSync(lab.file, 1, 1);
  await lab.told();
  writeFileSync(boot, "two");
  const broken = (await lab.source).poll(AbortSignal.timeout(SETTLE_MS / 2));
  expect(broken).rejects.toThrow();
  await broken.catch(() => {});
  expect(await lab.told()).toEqual(["put 127.0.0.11 i-web 1"]);
});

async function pollUntilNews(news: AsyncIterator<void>): Promise<readonly Change[]> {
  for (;;) {
    await news.next();
    const changes = await lab.poll();
    if (changes.length > 0) return changes;
  }
}
