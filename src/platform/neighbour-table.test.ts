/** What is remembered of the kernel's neighbour table, and how much of it. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Ip, type Mac, parseIp, parseMac } from "../model/address.ts";
import { NeighbourTable, parseNeighbour } from "./neighbour-table.ts";

const ONE = "02:00:00:00:00:01";
const TWO = "02:00:00:00:00:02";

test("a line of ip neighbour says who has an address, or that nobody knows", () => {
  const check = (line: string, mac: string | undefined, address = "10.1.1.5"): void => {
    const row = parseNeighbour(line);
    expect([line, row?.address, row?.device, row?.mac] as unknown[]).toEqual([
      ...[line, address, "eth0", mac],
    ]);
  };
  check(`10.1.1.5 dev eth0 lladdr ${ONE} REACHABLE`, ONE);
  check(`10.1.1.5 dev eth0 lladdr ${ONE} STALE `, ONE);
  check(`10.1.1.5 dev eth0 lladdr ${ONE} DELAY`, ONE);
  check(`10.1.1.5 dev eth0 lladdr ${ONE} PROBE`, ONE);
  check(`10.1.1.5 dev eth0 lladdr ${ONE} PERMANENT proto 205 `, ONE);
  check(`fe80::5 dev eth0 lladdr ${ONE} router STALE`, ONE, "fe80::5");
  check(`2001:db8::5 dev eth0 lladdr ${ONE} extern_learn STALE`, ONE, "2001:db8::5");
  check(`::ffff:10.1.1.5 dev eth0 lladdr ${ONE} STALE`, ONE);
  check(`10.1.1.5 dev eth0 lladdr ${ONE} FAILED`, undefined);
  check("10.1.1.5 dev eth0 INCOMPLETE", undefined);
  check("10.1.1.5 dev eth0  FAILED", undefined);
  check(`10.1.1.5 dev eth0 lladdr ${ONE} NOARP`, undefined);
  check("10.1.1.5 dev eth0 lladdr 00:00:00:00 STALE", undefined);
  check(`Deleted 10.1.1.5 dev eth0 lladdr ${ONE} STALE`, undefined);
  check("miss 10.1.1.5 dev eth0 lladdr INCOMPLETE", undefined);
  for (const line of ["", "Error: Neighbour entry not found.", "Command failed -:1", "10.1.1.5"]) {
    expect(parseNeighbour(line)).toBeUndefined();
  }
});

test("no line at all upsets the reader", () => {
  const word = fc.oneof(
    fc.constantFrom("dev", "lladdr", "STALE", "eth0", ONE, "proto", "Deleted", "PERMANENT"),
    fc.ipV4(),
    fc.ipV6(),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const row = parseNeighbour(words.join(" "));
      if (row?.mac !== undefined) expect(parseMac(row.mac)).toBe(row.mac);
    }),
  );
});

test("an address on two devices is known where they agree, or where one is named", () => {
  const { table, put } = open();
  put("fe80::5", ONE, "eth2");
  put("fe80::5", TWO, "eth3");
  put("10.1.1.5", ONE, "eth2");
  put("10.1.1.5", ONE, "eth3");
  const find = (address: string, device?: string) => table.find(address as Ip, device);
  expect(find("fe80::5")).toBeUndefined();
  expect(find("fe80::5", "eth2")).toBe(ONE as Mac);
  expect(find("fe80::5", "eth3")).toBe(TWO as Mac);
  expect(find("fe80::5", "eth4")).toBeUndefined();
  expect(find("10.1.1.5")).toBe(ONE as Mac);
  put("fe80::5", undefined, "eth3");
  expect(find("fe80::5")).toBe(ONE as Mac);
  expect(find("fe80::5", "eth3")).toBeUndefined();
  put("fe80::5", undefined, "eth2");
  put("10.1.1.5", undefined, "eth3");
  expect(table.size).toBe(1);
});

test("whoever follows hears of an address that changes, and of nothing else", () => {
  const { put, heard, table } = open();
  put("10.1.1.5", ONE);
  put("10.1.1.5", ONE);
  put("10.1.1.5", TWO);
  put("10.1.1.6", undefined);
  put("10.1.1.5", undefined);
  expect(heard.splice(0)).toEqual(["10.1.1.5", "10.1.1.5", "10.1.1.5"]);
  put("10.1.1.5", ONE);
  put("10.1.1.6", TWO);
  table.beginReading();
  put("10.1.1.6", TWO);
  heard.length = 0;
  table.endReading();
  expect(heard).toEqual(["10.1.1.5"]);
  expect(table.size).toBe(1);
});

test("ten thousand addresses of one guest push out only its own", () => {
  const { table, put } = open();
  put("10.1.1.5", TWO);
  for (let i = 1; i <= 10_000; i++) put(`fd00::${i.toString(16)}`, ONE);
  expect(table.size).toBe(65);
  expect(table.find(parseIp("10.1.1.5"))).toBe(TWO as Mac);
  expect(table.find(parseIp("fd00::2710"))).toBe(ONE as Mac);
  expect(table.find(parseIp("fd00::1"))).toBeUndefined();
});

test("addresses taken over by one guest count as its own", () => {
  const { table, put } = open();
  const addresses = Array.from({ length: 500 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  addresses.forEach((address, i) => {
    put(address, mac(i));
  });
  for (const address of addresses) put(address, ONE);
  expect(table.size).toBe(64);
});

test("a hundred thousand guests stay within the bound, the newest known", () => {
  const { table, put } = open();
  for (let i = 0; i < 100_000; i++) put(address4(i), mac(i));
  expect(table.size).toBe(32_768);
  expect(table.find(address4(99_999))).toBe(mac(99_999));
  expect(table.find(address4(0))).toBeUndefined();
  for (let i = 0; i < 100_000; i++) put(address4(i), undefined);
  expect(table.size).toBe(0);
});

// Goal: the table is a map with a limit, whatever happens to it.
// Method: random news against a plain map that is below every limit.
test("the table says what a plain map would", () => {
  const address = fc.constantFrom("10.1.1.1", "10.1.1.2", "fe80::1", "fe80::2");
  const device = fc.constantFrom("eth0", "eth1", "eth2");
  const news = fc.tuple(address, device, fc.constantFrom(ONE, TWO, undefined));
  fc.assert(
    fc.property(fc.array(news, { maxLength: 60 }), (all) => {
      const { table, put } = open();
      const plain = new Map<string, string>();
      for (const [ip, dev, to] of all) {
        put(ip, to, dev);
        if (to === undefined) plain.delete(`${ip} ${dev}`);
        else plain.set(`${ip} ${dev}`, to);
      }
      expect(table.size).toBe(plain.size);
      for (const [ip, dev] of all) {
        expect(table.find(ip as Ip, dev)).toBe(plain.get(`${ip} ${dev}`) as Mac);
      }
    }),
  );
});

function open() {
  const heard: string[] = [];
  const table = new NeighbourTable({ onChange: (address) => heard.push(address) });
  const put = (address: string, to: string | undefined, device = "eth0"): void =>
    table.put({
      ...{ address: parseIp(address), device, permanent: false },
      ...(to !== undefined && { mac: parseMac(to) }),
    });
  return { table, put, heard };
}

function mac(i: number): Mac {
  const hex = i.toString(16).padStart(6, "0");
  return parseMac(`06:00:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`);
}

function address4(i: number): Ip {
  return parseIp(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
}
