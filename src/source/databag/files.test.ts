import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Ip } from "../../model/address.ts";
import type { Binding } from "../../model/binding.ts";
import { SourceError } from "../../model/errors.ts";
import { BagDir, edit, entry, Lab, lease, leases, served, shorten, X, Y } from "./testing.ts";

test("an entry that is none keeps what its address had; its line is reported", async () => {
  await using lab = await served();
  edit(lab, { [X]: "broken" as never, nonsense: entry("N"), "010.1.1.5": entry("O") });
  expect(await lab.told()).toEqual([]);
  expect(lab.raised.sort()).toEqual([
    'SOURCE_MALFORMED vmdata.json "010.1.1.5"',
    'SOURCE_MALFORMED vmdata.json "nonsense"',
    `SOURCE_MALFORMED vmdata.json ${X}`,
  ]);
  const detail = lab.conditions.list().find(({ subject }) => subject.endsWith(X))?.detail;
  const path = join(lab.dir.path, "vmdata.json");
  expect(detail).toBe(`${path}:2: ${X} is not a list of [folder, file, contents]`);
  lab.dir.write("vmdata.json", { [X]: entry("I"), [Y]: entry("M"), id: "vmdata" });
  expect(await lab.told()).toEqual([]);
  expect(lab.raised).toEqual([]);
});

test("a half-written file keeps its last good state; it is reported if it stays so", async () => {
  await using lab = await served();
  const text = JSON.stringify(lab.dir.read("vmdata.json"), undefined, 2);
  lab.dir.writeText("vmdata.json", text.slice(0, text.length / 2));
  expect(await lab.told()).toEqual([]);
  expect(lab.raised).toEqual([]);
  lab.now += 1001;
  await lab.poll();
  expect(lab.raised).toEqual(["SOURCE_MALFORMED vmdata.json"]);
  expect(lab.detail("SOURCE_MALFORMED")).toMatch(/vmdata\.json:\d+: is cut short/);
  lab.dir.writeText("vmdata.json", text.replace("host-I", "host-Z"));
  expect(await lab.told()).toEqual([`${X} serve 1 I`]);
  expect(lab.raised).toEqual([]);
});

test("files that are gone, no files, or not ours to read keep their last good state", async () => {
  await using lab = await served();
  for (const name of ["vmdata.json", "dhcpentry.json", "ips.json"]) {
    const content = lab.dir.read(name);
    for (const spoil of [
      () => {},
      () => mkdirSync(join(lab.dir.path, name)),
      () => symlinkSync("nowhere", join(lab.dir.path, name)),
    ]) {
      lab.dir.remove(name);
      spoil();
      expect(await lab.told()).toEqual([]);
      lab.now += 1001;
      expect(await lab.told()).toEqual([]);
      expect(lab.raised).toEqual([`SOURCE_UNREADABLE ${name}`]);
    }
    lab.dir.remove(name);
    lab.dir.write(name, content);
    expect(await lab.told()).toEqual([]);
    expect(lab.raised).toEqual([]);
  }
});

test("without vmdata.json and without an earlier run there is nothing to serve", async () => {
  await using lab = await new Lab(new BagDir()).open();
  const error = await lab.poll().catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(SourceError);
  expect(error).toMatchObject({ code: "SOURCE_UNREADABLE", cause: { code: "ENOENT" } });
  expect((error as SourceError).message).toBe(`${lab.dir.path}/vmdata.json: does not exist`);

  lab.dir.writeText("vmdata.json", '{\n"10.1.1.5": [\n}');
  old(lab, "vmdata.json");
  const malformed = await lab.poll().catch((caught: unknown) => caught);
  expect(malformed).toMatchObject({ code: "SOURCE_MALFORMED" });
  expect((malformed as SourceError).message).toMatch(/vmdata\.json:2: is cut short|no JSON/);

  lab.dir.write("vmdata.json", { [X]: entry("I") });
  expect(await lab.told()).toEqual([`${X} serve 1 I`]);
});

test("metadata waits for the leases that were written before it", async () => {
  await using lab = await served();
  const text = JSON.stringify(lab.dir.read("dhcpentry.json"));
  lab.dir.writeText("dhcpentry.json", text.slice(0, 20));
  lab.dir.write("vmpassword.json", { [X]: "secret-J" });
  edit(lab, { [X]: entry("J") });
  expect(await lab.told()).toEqual([]);
  leases(lab, { [X]: lease("0b", false, "host-J") }, text);
  expect(await lab.told()).toEqual([
    `${X} serve 2 J`,
    `${X} password 2 secret-J vmpassword.json standing`,
  ]);
});

test("leases that stay unreadable do not hold up metadata, and are confirmed later", async () => {
  await using lab = await served();
  const text = JSON.stringify(lab.dir.read("dhcpentry.json"));
  lab.dir.writeText("dhcpentry.json", text.slice(0, 20));
  edit(lab, { [X]: entry("J") });
  await lab.poll();
  lab.now += 1001;
  expect(await lab.told()).toEqual([`${X} serve 2 J`]);
  leases(lab, { [X]: lease("0b") }, text);
  expect(await lab.told()).toEqual([`${X} serve 2 J`]);
  expect((lab.known.get(X as Ip) as Binding).mac as string).toBe("02:00:00:00:00:0b");
});

test("changes() tells at once what is written, and again while a file does not parse", async () => {
  await using lab = await served();
  const stop = new AbortController();
  const seen: string[] = [];
  const followed = (async () => {
    for await (const _ of lab.source.changes(stop.signal)) {
      lab.now += 1;
      seen.push(...(await lab.told()));
    }
  })();
  const until = async (count: number): Promise<void> => {
    for (let i = 0; i < 400 && seen.length < count; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  edit(lab, { [X]: entry("I", [["a", "1"]]) });
  await until(1);
  leases(lab, { [X]: lease("0b") });
  await until(2);
  edit(lab, { [X]: entry("J") });
  await until(3);
  expect(seen).toEqual([`${X} serve 1 I`, `${X} awaiting-metadata 2`, `${X} serve 2 J`]);
  stop.abort();
  await followed;
});

test("a file that is rewritten within one tick of the clock is seen", async () => {
  await using lab = await served();
  for (let round = 0; round < 20; round++) {
    const stop = new AbortController();
    const a = entry("I", [["round", `${round}a`]]);
    const b = entry("I", [["round", `${round}b`]]);
    edit(lab, { [X]: a });
    await lab.poll();
    edit(lab, { [X]: b });
    const told = (async () => {
      for await (const _ of lab.source.changes(stop.signal)) {
        await lab.poll();
        if (lab.keys(X).round === `${round}b`) return true;
      }
      return false;
    })();
    const timer = setTimeout(() => stop.abort(), 3000);
    expect(await told).toBe(true);
    clearTimeout(timer);
    stop.abort();
  }
});

test("polls that overlap follow one another", async () => {
  await using lab = await served();
  edit(lab, { [X]: entry("I", [["a", "1"]]) });
  const signal = new AbortController().signal;
  const all = await Promise.all([1, 2, 3].map(() => lab.source.poll(signal)));
  expect(all.flat().map(shorten)).toEqual([`${X} serve 1 I`]);
});

test("a poll that is broken off loses nothing", async () => {
  await using lab = await served();
  edit(lab, { [X]: entry("I", [["a", "1"]]) });
  const aborted = AbortSignal.abort();
  await lab.source.poll(aborted).then(
    (changes) => lab.take(changes),
    () => {},
  );
  await lab.poll();
  expect(lab.keys(X).a).toBe("1");
});

/** As if nobody had written to the file for a while. */
function old(lab: Lab, name: string): void {
  const path = join(lab.dir.path, name);
  utimesSync(path, 1, 1);
  writeFileSync(path, "", { flag: "a" });
}
