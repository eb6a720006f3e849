import { expect, test } from "bun:test";
import { Conditions } from "../observe/conditions.ts";
import { allowedHosts, isAllowedHost, UnexpectedHosts } from "./hosts.ts";

const ALLOWED = allowedHosts(
  ["10.1.1.1", "fd00::1"],
  [{ id: "net", cidrs: [], dnsDomain: "Cs2cloud.internal" }],
  ["meta.Example.org"],
);

test("the router's addresses and the names of the metadata service are ours", () => {
  for (const host of [
    undefined,
    "10.1.1.1",
    "10.1.1.1:8775",
    "169.254.169.254",
    "[fd00::1]",
    "[fd00::1]:80",
    "data-server",
    "data-server.",
    "Data-Server.CS2cloud.internal",
    "data-server.cs2cloud.internal.:80",
    "meta.example.org",
  ]) {
    expect(isAllowedHost(host, ALLOWED), host).toBe(true);
  }
});

test("everything else is foreign", () => {
  for (const host of [
    "",
    "evil.example",
    "169.254.169.254.nip.io",
    "169.254.169.254@evil.example",
    "10.1.1.1.evil.example",
    "10.1.1.1:80:80",
    "10.1.1.1:99999999",
    "2852039166",
    "0xa9fea9fe",
    "[::ffff:169.254.169.254]",
    "x".repeat(100_000),
  ]) {
    expect(isAllowedHost(host, ALLOWED), host.slice(0, 40)).toBe(false);
  }
});

test("a foreign name is a condition until none has come for a while", async () => {
  const conditions = new Conditions(() => 0);
  const hosts = new UnexpectedHosts(conditions, 200);
  const holds = () => conditions.list().map(({ subject }) => subject);
  hosts.saw("eth0", "elsewhere.example");
  for (let round = 0; round < 4; round++) {
    await Bun.sleep(100);
    hosts.saw("eth0", "elsewhere.example");
  }
  expect(holds()).toEqual(["eth0"]); // 400 ms after the first, but not after the last.
  await Bun.sleep(500);
  expect(holds()).toEqual([]);
  hosts.saw("eth0", "elsewhere.example");
  expect(holds()).toEqual(["eth0"]);
});
