/** What is believed of a DHCP server's own files while they change, break and come back. */

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Ip, parseIp } from "../model/address.ts";
import { Conditions } from "../observe/conditions.ts";
import { LeaseFiles } from "./lease-files.ts";

const WEB = parseIp("10.1.1.5");
const DB = parseIp("10.1.1.6");
const ULA = parseIp("fd00:5a::57");
const WEB_MAC = "02:00:00:00:00:05";
const DB_MAC = "02:00:00:00:00:06";
const OTHER_MAC = "02:00:00:00:00:99";
/** A change is seen at the latest with the next look by the clock, a second later. */
const SEEN_MS_MAX = 5_000;
/** Longer than what is half written is doubted. */
const DOUBTED_MS = 400;
const BOTH = [lease(WEB, WEB_MAC), lease(DB, DB_MAC)].join("");

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const step of cleanUp.splice(0).reverse()) step();
});

describe("a lease file", () => {
  test("is read at once, and again when it changes, and tells which addresses changed", async () => {
    const lab = open();
    lab.write(BOTH + sixLease(ULA, WEB_MAC));
    const files = lab.follow();
    await lab.until(() => lab.told.includes(ULA));
    expect([files.get(WEB), files.get(DB)] as unknown[]).toEqual([WEB_MAC, DB_MAC]);
    lab.told.length = 0;
    lab.write(lease(WEB, OTHER_MAC) + lease(DB, DB_MAC) + sixLease(ULA, WEB_MAC));
    await lab.until(() => files.get(WEB) === OTHER_MAC);
    expect(lab.told).toEqual([WEB]);
  });

  test("is known before anybody can ask, and told of once somebody can listen", async () => {
    const lab = open();
    lab.write(BOTH);
    const files = lab.follow();
    expect([files.get(WEB), lab.told] as unknown[]).toEqual([WEB_MAC, []]);
    await lab.until(() => lab.told.length === 2);
  });

  test("that is replaced by a rename is followed", async () => {
    const lab = open();
    lab.write(BOTH);
    const files = lab.follow();
    for (const mac of [OTHER_MAC, WEB_MAC, OTHER_MAC]) {
      lab.write(lease(WEB, mac) + lease(DB, DB_MAC), "new");
      renameSync(join(lab.folder, "new"), lab.file);
      await lab.until(() => files.get(WEB) === mac);
    }
    expect(lab.conditions.list()).toEqual([]);
  });

  test("that is not there yet is a condition, and is read when it comes", async () => {
    const lab = open();
    const files = lab.follow();
    await lab.until(() => lab.raised() === "SOURCE_UNREADABLE ENOENT");
    lab.write(BOTH);
    await lab.until(() => files.get(WEB) === WEB_MAC);
    expect(lab.raised()).toBe("");
  });

  for (const [name, spoil, says] of [
    ["taken away", (lab: Lab) => rmSync(lab.file), "ENOENT"],
    ["too long", (lab: Lab) => truncateSync(lab.file, (16 << 20) + 1), "is over 16 MiB"],
  ] as const) {
    test(`that is ${name} is a condition, and what it said holds`, async () => {
      const lab = open();
      lab.write(BOTH);
      const files = lab.follow();
      await lab.until(() => files.get(WEB) === WEB_MAC);
      lab.told.length = 0;
      spoil(lab);
      await lab.until(() => lab.raised() === `SOURCE_UNREADABLE ${says}`);
      expect([files.get(WEB), files.get(DB)] as unknown[]).toEqual([WEB_MAC, DB_MAC]);
      expect(lab.told).toEqual([]);
      lab.write(lease(WEB, OTHER_MAC) + lease(DB, DB_MAC));
      await lab.until(() => files.get(WEB) === OTHER_MAC);
      expect(lab.raised()).toBe("");
    });
  }

  test("that is being written takes no lease away, and gives none to a half address", async () => {
    const lab = open();
    const long = parseIp("10.1.1.57");
    const all = BOTH + lease(long, OTHER_MAC);
    lab.write(all);
    const files = lab.follow();
    await lab.until(() => lab.told.includes(long));
    lab.told.length = 0;
    // As a server writes that empties its file first; the last cut is within 10.1.1.57.
    const cut = all.indexOf(String(long)) + String(WEB).length;
    for (const length of [0, 10, BOTH.length, cut]) {
      lab.write(all.slice(0, length));
      await Bun.sleep(20);
    }
    lab.write(all);
    await Bun.sleep(DOUBTED_MS);
    expect(lab.told).toEqual([]);
    expect([files.get(WEB), files.get(DB), files.get(long)] as unknown[]).toEqual([
      ...[WEB_MAC, DB_MAC, OTHER_MAC],
    ]);
  });

  test("whose leases are gone, and stay so, has none", async () => {
    const lab = open();
    lab.write(BOTH);
    const files = lab.follow();
    await lab.until(() => lab.told.includes(WEB));
    lab.told.length = 0;
    lab.write(lease(DB, DB_MAC));
    await lab.until(() => files.get(WEB) === undefined);
    expect([lab.told, files.get(DB) as unknown]).toEqual([[WEB], DB_MAC]);
    lab.write("");
    await lab.until(() => files.get(DB) === undefined);
  });

  test("whose last line has no end is read whole all the same", async () => {
    const lab = open();
    lab.write(BOTH.trimEnd());
    const files = lab.follow();
    await lab.until(() => files.get(DB) === DB_MAC);
  });

  test("with text that is no lease says what its leases say, and nothing else", async () => {
    const lab = open();
    const junk = [
      ...["", "\0\0\0", "__proto__ constructor toString", "x".repeat(100_000), "\u001b[2J \ud800"],
      `1795402800 ${WEB_MAC} 10.1.1.256 a *`,
      `1795402800 ${WEB_MAC} 10.1.1.5/32 a *`,
      `1795402800 not-a-mac ${WEB} a *`,
      `-1 ${OTHER_MAC} ${WEB} a *`,
      `1e3 ${OTHER_MAC} ${WEB} a *`,
      `\t1795402800 ${OTHER_MAC} ${WEB} a *`,
      `duid 00:01:00:01:2f:e4:a9:1b:${OTHER_MAC}`,
      `1795402800 5242887 ${ULA} a 00:03:00:01:zz`,
    ];
    writeFileSync(lab.file, Buffer.from([0xff, 0xfe, 0x0a, 0xc3, 0x28, 0x0a]));
    const files = lab.follow();
    lab.write(`${junk.join("\n")}\n${BOTH}`);
    await lab.until(() => lab.told.includes(DB));
    expect([files.get(WEB), files.get(ULA)] as unknown[]).toEqual([WEB_MAC, undefined]);
    expect(lab.told.toSorted()).toEqual([WEB, DB]);
    expect(lab.raised()).toBe("");
  });
});

test("of two files, the first of the configuration that knows an address is right", async () => {
  const lab = open();
  lab.write(lease(WEB, OTHER_MAC) + lease(DB, DB_MAC), "second");
  const files = lab.follow("first", "second");
  await lab.until(() => files.get(WEB) === OTHER_MAC);
  lab.write(lease(WEB, WEB_MAC), "first");
  await lab.until(() => files.get(WEB) === WEB_MAC);
  expect(files.get(DB) as unknown).toBe(DB_MAC);
});

test("a file that is no longer followed changes nothing", async () => {
  const lab = open();
  lab.write(BOTH);
  const files = lab.follow();
  await lab.until(() => lab.told.includes(WEB));
  lab.told.length = 0;
  files.close();
  lab.write(lease(WEB, OTHER_MAC) + lease(DB, OTHER_MAC));
  await Bun.sleep(DOUBTED_MS);
  expect([lab.told, files.get(WEB) as unknown]).toEqual([[], WEB_MAC]);
});

type Lab = ReturnType<typeof open>;

function open() {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-leases-"));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  const conditions = new Conditions(() => 0);
  const told: Ip[] = [];
  return {
    ...{ folder, conditions, told, file: join(folder, "leases") },
    write: (text: string, name = "leases") => writeFileSync(join(folder, name), text),
    follow(...names: readonly string[]): LeaseFiles {
      const paths = (names.length === 0 ? ["leases"] : names).map((name) => join(folder, name));
      const onChange = (addresses: readonly Ip[]) => told.push(...addresses);
      const files = new LeaseFiles(paths, { conditions, onChange });
      cleanUp.push(() => files.close());
      return files;
    },
    raised: () =>
      conditions
        .list()
        .map(({ code, detail }) => `${code} ${detail}`)
        .join(),
    async until(holds: () => boolean): Promise<void> {
      const end = Date.now() + SEEN_MS_MAX;
      while (!holds()) {
        if (Date.now() > end) throw new Error(`waited in vain until ${holds}`);
        await Bun.sleep(5);
      }
    },
  };
}

function lease(address: Ip, mac: string): string {
  return `1795402800 ${mac} ${address} host 01:${mac}\n`;
}

function sixLease(address: Ip, mac: string): string {
  return `1795402800 5242887 ${address} host 00:03:00:01:${mac}\n`;
}
