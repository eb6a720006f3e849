import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PASSWORD_LEAD_MS } from "./limits.ts";
import { BagDir, edit, entry, Lab, lease, leases, served, X, Y } from "./testing.ts";

const FILE = "vmpassword.json";

test("a password in the databag is told once, and again when it is another", async () => {
  await using lab = await served();
  lab.dir.write(FILE, { [X]: "one", id: "vmpassword" });
  expect(await lab.told()).toEqual([`${X} password 1 one ${FILE} standing`]);
  expect(await lab.told()).toEqual([]);
  // CloudStack keeps only the last one.
  lab.dir.write(FILE, { [Y]: "two", id: "vmpassword" });
  expect(await lab.told()).toEqual([`${Y} password 1 two ${FILE} standing`]);
  lab.dir.write(FILE, { [X]: "saved_password", id: "vmpassword" });
  expect(await lab.told()).toEqual([`${X} password 1 - ${FILE} standing`]);
});

test("a password that comes with or after a new MAC is the new epoch's", async () => {
  await using lab = await served();
  lab.dir.write(FILE, { [X]: "of I" });
  await lab.poll();
  leases(lab, { [X]: lease("0b") });
  expect(await lab.told()).toEqual([`${X} awaiting-metadata 2`]);
  lab.dir.write(FILE, { [X]: "of J" });
  expect(await lab.told()).toEqual([`${X} password 2 of J ${FILE} standing`]);
  leases(lab, { [X]: lease("0c") });
  lab.dir.write(FILE, { [X]: "of K" });
  edit(lab, { [X]: entry("K") });
  expect(await lab.told()).toEqual([
    `${X} awaiting-metadata 3`,
    `${X} password 3 of K ${FILE} standing`,
  ]);
});

test("a password that comes just before another instance's metadata goes with it", async () => {
  await using lab = await withoutLeases();
  lab.dir.write(FILE, { [X]: "of J" });
  expect(await lab.told()).toEqual([`${X} password 1 of J ${FILE} standing`]);
  lab.now += PASSWORD_LEAD_MS;
  edit(lab, { [X]: entry("J") });
  expect(await lab.told()).toEqual([`${X} serve 2 J`, `${X} password 2 of J ${FILE}`]);
  lab.now += 1;
  edit(lab, { [X]: entry("K") });
  expect(await lab.told()).toEqual([`${X} serve 3 K`]);
});

test("a password that came long before is the former instance's", async () => {
  await using lab = await withoutLeases();
  lab.dir.write(FILE, { [X]: "of I" });
  await lab.poll();
  lab.now += PASSWORD_LEAD_MS + 1;
  edit(lab, { [X]: entry("J") });
  expect(await lab.told()).toEqual([`${X} serve 2 J`]);

  await using restarted = await new Lab(lab.dir).open(lab);
  expect(await restarted.told()).toEqual([`${X} password 2 of I ${FILE} standing`]);
  edit(restarted, { [X]: entry("K") });
  expect(await restarted.told()).toEqual([`${X} serve 3 K`]);
});

test("a password of an address of which nothing else is known begins its epoch", async () => {
  await using lab = await served();
  const Z = "10.1.1.7";
  leases(lab, { [Z]: lease("0e") });
  lab.dir.write(FILE, { [Z]: "of N" });
  expect(await lab.told()).toEqual([
    `${Z} awaiting-metadata 1`,
    `${Z} password 1 of N ${FILE} standing`,
  ]);
  edit(lab, { [Z]: entry("N") });
  expect(await lab.told()).toEqual([`${Z} serve 1 N`]);
});

test("what is no password is reported without it", async () => {
  await using lab = await served();
  lab.dir.write(FILE, { [X]: ["s3cret"], [Y]: "s3cret".repeat(200), "s3-cret": "s3cret", id: 7 });
  expect(await lab.told()).toEqual([]);
  expect(lab.raised.sort()).toEqual([
    `SOURCE_MALFORMED ${FILE} "s3-cret"`,
    `SOURCE_MALFORMED ${FILE} ${X}`,
    `SOURCE_MALFORMED ${FILE} ${Y}`,
  ]);
  expect(JSON.stringify(lab.conditions.list())).not.toContain("s3cret");
});

test("at the first start, what CloudStack's password server kept is the truth", async () => {
  using cache = new Cache();
  cpSync("fixtures/cloudstack/passwords-10.1.1.1", cache.path("passwords-10.1.1.1"));
  await using lab = await new Lab(new BagDir("isolated"), { cacheDir: cache.dir }).open();
  expect((await lab.told()).filter((text) => text.includes("password"))).toEqual([
    `10.1.1.57 password 1 fN7xvQ2p ${FILE} standing`,
    "10.1.1.58 password 1 - passwords standing",
  ]);

  // Another one waits, or none does: what the databag states is heard first, and corrected then.
  for (const [line, said] of [
    ["10.1.1.57=a=b", "a=b"],
    ["", "-"],
  ] as const) {
    cache.write("passwords-10.1.1.1", `${line}\n`);
    await using other = await new Lab(new BagDir("isolated"), { cacheDir: cache.dir }).open();
    expect((await other.told()).filter((text) => text.includes("password"))).toEqual([
      `10.1.1.57 password 1 fN7xvQ2p ${FILE} standing`,
      `10.1.1.57 password 1 ${said} passwords`,
    ]);
  }
});

test("of two files that keep a password for an address, the later one counts", async () => {
  using cache = new Cache();
  cache.write("passwords-10.1.1.1", "10.1.1.57=new\n", 2000);
  cache.write("passwords-10.1.1.9", "10.1.1.57=old\n10.1.1.58=only\n", 1000);
  await using lab = await new Lab(new BagDir("isolated"), { cacheDir: cache.dir }).open();
  expect((await lab.told()).filter((text) => text.includes("password"))).toEqual([
    `10.1.1.57 password 1 fN7xvQ2p ${FILE} standing`,
    "10.1.1.57 password 1 new passwords",
    "10.1.1.58 password 1 only passwords standing",
  ]);
});

test("at later starts, and without such files, the databag counts", async () => {
  using cache = new Cache();
  const said = async (context: object): Promise<string[]> => {
    await using lab = await new Lab(new BagDir("isolated"), context).open();
    return (await lab.told()).filter((text) => text.includes("password"));
  };
  const expected = [`10.1.1.57 password 1 fN7xvQ2p ${FILE} standing`];
  expect(await said({ cacheDir: cache.dir })).toEqual(expected);
  expect(await said({ cacheDir: join(cache.dir, "nowhere") })).toEqual(expected);
  cache.write("passwords-10.1.1.1", "10.1.1.57=other\n");
  expect(await said({ cacheDir: cache.dir, firstStart: false })).toEqual(expected);
});

test("lines that are no address and its password are reported without them", async () => {
  using cache = new Cache();
  const lines = ["10.1.1.58=ok", "no address=s3cret", "s3cret", "10.1.1.58=", "=s3cret"];
  cache.write("passwords-10.1.1.1", lines.join("\n"));
  await using lab = await new Lab(new BagDir("isolated"), { cacheDir: cache.dir }).open();
  await lab.poll();
  expect(lab.raised).toEqual(["SOURCE_MALFORMED passwords-10.1.1.1"]);
  expect(JSON.stringify(lab.conditions.list())).not.toContain("s3cret");
});

test("command files that wait in the cache are taken once each", async () => {
  using cache = new Cache();
  await using lab = await served({ cacheDir: cache.dir });
  const command = (password: string): string =>
    JSON.stringify({ type: "vmpassword", ip_address: X, password });
  cache.write("vm_password.json.1", command("one"));
  cache.write("vm_metadata.json.2", command("of another type"));
  expect(await lab.told()).toEqual([`${X} password 1 one vm_password standing`]);
  expect(await lab.told()).toEqual([]);
  cache.write("vm_password.json.1", command("two"));
  cache.touch();
  expect(await lab.told()).toEqual([`${X} password 1 two vm_password standing`]);
  rmSync(cache.path("vm_password.json.1"));
  expect(await lab.told()).toEqual([]);
  // CloudStack has merged it.
  lab.dir.write(FILE, { [X]: "two" });
  expect(await lab.told()).toEqual([`${X} password 1 two ${FILE} standing`]);
});

test("a command file that is half-written is taken when it is whole", async () => {
  using cache = new Cache();
  await using lab = await served({ cacheDir: cache.dir });
  const text = JSON.stringify({ type: "vmpassword", ip_address: X, password: "one" });
  cache.write("vm_password.json.1", text.slice(0, 20));
  expect(await lab.told()).toEqual([]);
  cache.write("vm_password.json.1", text);
  expect(await lab.told()).toEqual([`${X} password 1 one vm_password standing`]);
});

test("a command file that is older than the databag was merged into it, or overtaken", async () => {
  using cache = new Cache();
  const text = JSON.stringify({ type: "vmpassword", ip_address: "10.1.1.57", password: "old" });
  cache.write("vm_password.json.1", text, 1000);
  const context = { cacheDir: cache.dir };
  await using lab = await new Lab(new BagDir("isolated"), context).open();
  const expected = [`10.1.1.57 password 1 fN7xvQ2p ${FILE} standing`];
  expect((await lab.told()).filter((told) => told.includes("password"))).toEqual(expected);
});

test("of two statements that are read at once only the later is told", async () => {
  using cache = new Cache();
  const text = JSON.stringify({ type: "vmpassword", ip_address: "10.1.1.57", password: "new" });
  const context = { cacheDir: cache.dir };
  const dir = new BagDir("isolated");
  cache.write("vm_password.json.1", text);
  await using lab = await new Lab(dir, context).open();
  const expected = ["10.1.1.57 password 1 new vm_password standing"];
  expect((await lab.told()).filter((told) => told.includes("password"))).toEqual(expected);
  await using again = await new Lab(dir, { ...context, firstStart: false }).open(lab);
  expect(await again.told()).toEqual(expected);
});

/** I at X, on a router that has no leases. */
async function withoutLeases(): Promise<Lab> {
  const dir = new BagDir();
  dir.write("vmdata.json", { [X]: entry("I") });
  const lab = await new Lab(dir).open();
  expect(await lab.told()).toEqual([`${X} serve 1 I`]);
  return lab;
}

class Cache {
  readonly dir: string = mkdtempSync(join(tmpdir(), "frontdesk-cache-"));

  path(name: string): string {
    return join(this.dir, name);
  }

  /** @param seconds since 1970, if not now */
  write(name: string, text: string, seconds?: number): void {
    writeFileSync(this.path(name), text);
    if (seconds !== undefined) utimesSync(this.path(name), seconds, seconds);
  }

  /** As if a file had come or gone. */
  touch(): void {
    writeFileSync(this.path("other"), "");
    rmSync(this.path("other"));
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
