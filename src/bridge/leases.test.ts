import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseMac } from "../model/address.ts";
import { LeaseBook, parseLeases } from "./leases.ts";

const folder = mkdtempSync(join(tmpdir(), "fd-bridge-"));
afterAll(() => rmSync(folder, { recursive: true }));
const A = "02:00:00:00:00:0a";
const B = "02:00:00:00:00:0b";
const dnsmasq = (mac: string, address: string): string => `1795402800 ${mac} ${address} x *\n`;

test("both kinds of file say the same", () => {
  const entry = { mac_address: A.toUpperCase(), ipv4_address: "10.1.1.5", remove: false };
  const bag = JSON.stringify({ "10.1.1.5": entry, id: "dhcpentry" });
  const expected = [{ address: "10.1.1.5", mac: A }] as ReturnType<typeof parseLeases>;
  expect(parseLeases(bag)).toEqual(expected);
  expect(parseLeases(dnsmasq(A, "10.1.1.5"))).toEqual(expected);
});

test("what was given back, has no MAC address or is not IPv4 is no lease", () => {
  const bag = {
    "10.1.1.5": { mac_address: A, remove: true },
    "10.1.1.6": { host_name: "x" },
    "fd00::1": { mac_address: A },
    "010.1.1.7": { mac_address: A },
    id: "dhcpentry",
  };
  expect(parseLeases(JSON.stringify(bag))).toEqual([]);
  expect(parseLeases(`1795402800 5 fd00::57 x 00:03:00:01:${A}\njunk\n`)).toEqual([]);
});

test("a MAC address has one address, and an address one MAC address, or they are nobody's", () => {
  check([dnsmasq(A, "10.1.1.5") + dnsmasq(B, "10.1.1.6")], "10.1.1.5", "10.1.1.6");
  check([dnsmasq(A, "10.1.1.5"), dnsmasq(A, "10.1.1.5")], "10.1.1.5", "unknown");
  check([dnsmasq(A, "10.1.1.5") + dnsmasq(A, "10.1.1.6")], "ambiguous", "unknown");
  check([dnsmasq(A, "10.1.1.5"), dnsmasq(B, "10.1.1.5")], "ambiguous", "ambiguous");
  // A third look at the same must not mend it.
  check([dnsmasq(A, "10.1.1.5") + dnsmasq(A, "10.1.1.6") + dnsmasq(A, "10.1.1.6")], "ambiguous");
});

test("a change is seen at once, and a file that cannot be read leaves what was known", () => {
  const path = join(folder, "changing");
  const troubles: string[] = [];
  writeFileSync(path, dnsmasq(A, "10.1.1.5"));
  const book = new LeaseBook([path], (_path, why) => troubles.push(why ?? "over"));
  for (let i = 6; i < 60; i++) {
    // Of one length, and many in one tick of the file system's clock.
    writeFileSync(path, dnsmasq(A, `10.1.1.${i + 100}`));
    expect(text(book.find(parseMac(A)))).toBe(`10.1.1.${i + 100}`);
  }
  writeFileSync(path, '{"10.1.1.9": {"mac_addr');
  expect(text(book.find(parseMac(A)))).toBe("10.1.1.159");
  rmSync(path);
  expect(text(book.find(parseMac(A)))).toBe("10.1.1.159");
  writeFileSync(path, dnsmasq(B, "10.1.1.5"));
  expect([A, B].map((mac) => text(book.find(parseMac(mac))))).toEqual(["unknown", "10.1.1.5"]);
  expect(troubles).toEqual(["is no JSON", "over"]);
});

function check(files: readonly string[], a: string, b?: string): void {
  const paths = files.map((content, index) => {
    const path = join(folder, `leases-${index}`);
    writeFileSync(path, content);
    return path;
  });
  const book = new LeaseBook(paths);
  expect(text(book.find(parseMac(A)))).toBe(a);
  if (b !== undefined) expect(text(book.find(parseMac(B)))).toBe(b);
}

function text(found: ReturnType<LeaseBook["find"]>): string {
  return typeof found === "string" ? found : found.address;
}
