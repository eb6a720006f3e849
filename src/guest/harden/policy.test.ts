/** What is guarded, and the rules that say so. */

import { expect, test } from "bun:test";
import { parseIp } from "../../model/address.ts";
import { endpointAt } from "../endpoint.ts";
import { guardedPlaces } from "./endpoints.ts";
import { iptablesRemoval, iptablesScript, oursIn, policyOfSaved } from "./iptables-rules.ts";
import { policyOfNft } from "./nft-rules.ts";
import { readHardenOptions } from "./options.ts";
import { makePolicy, type Policy } from "./policy.ts";
import { optionValues } from "./testing.ts";

const NOTHING: Policy = { users: [], groups: [], addresses: [], ports: [] };

test("a policy has one form, with root and the well-known addresses in it", () => {
  const policy = makePolicy({
    users: [7, 7, 3],
    groups: [9, 1],
    addresses: [parseIp("10.1.1.1"), parseIp("10.1.1.1")],
    ports: [8775],
  });
  expect(policy).toEqual({
    users: [0, 3, 7],
    groups: [1, 9],
    addresses: ["10.1.1.1", "169.254.169.254", "fd00:ec2::254", "fe80::a9fe:a9fe"].map(parseIp),
    ports: [80, 8080, 8775],
  });
});

test("a policy has limits, and holds only ids and ports", () => {
  const many = Array.from({ length: 1_001 }, (_, id) => id + 1);
  expect(() => makePolicy({ ...NOTHING, users: many })).toThrow("1002 users are too many");
  expect(() => makePolicy({ ...NOTHING, ports: many.slice(0, 14) })).toThrow("too many");
  for (const bad of [-1, 0.5, Number.NaN, 2 ** 32 - 1, Number.POSITIVE_INFINITY]) {
    expect(() => makePolicy({ ...NOTHING, users: [bad] })).toThrow("no id");
  }
});

test("found addresses are guarded, but never this machine's own loopback", () => {
  const found = ["10.1.1.1", "127.0.0.53", "::1", "0.0.0.0", "224.0.0.1", "ff02::1", "a name"];
  const endpoints = found.map((host) => endpointAt(host, { via: "data-server" }));
  const zoned = endpointAt("fe80::1%eth0", { via: "gateway", source: "eth0" });
  const { places, notes } = guardedPlaces([], [...endpoints, zoned]);
  expect(places.map(({ address }) => `${address}`)).toEqual([
    ...["169.254.169.254", "fd00:ec2::254", "fe80::a9fe:a9fe"],
    ...["10.1.1.1", "fe80::1"],
  ]);
  expect(notes).toHaveLength(5);
});

test("a named address is guarded wherever it is, with its port", () => {
  const values = optionValues({ endpoint: ["http://127.0.0.1:8775", "fd00::9"] });
  const { endpoints } = readHardenOptions(values);
  const { places, ports } = guardedPlaces(endpoints, []);
  expect(places.slice(3).map(({ address }) => `${address}`)).toEqual(["127.0.0.1", "fd00::9"]);
  expect(ports).toEqual([80, 8080, 8775]);
});

test("options that contradict each other are wrong usage", () => {
  const cases = [
    [{ apply: true, remove: true }, "only one at a time"],
    [{ remove: true, pin: true }, "give it alone"],
    [{ remove: true, persist: true }, "give it alone"],
    [{ backend: "pf" }, "nftables or iptables"],
    [{ endpoint: ["http://data-server"] }, "needs an address"],
    [{ endpoint: ["https://10.1.1.1"] }, "an endpoint is"],
    [{ endpoint: ["10.1.1.1/32"] }, "an endpoint is"],
    [{ endpoint: ["http://10.1.1.1:80/x"] }, "an endpoint is"],
  ] as const;
  for (const [given, text] of cases) {
    expect(() => readHardenOptions(optionValues(given))).toThrow(text);
  }
});

const SAVED = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:frontdesk_guest - [0:0]
:frontdesk_guest_fwd - [0:0]
:frontdesk_guest_user - [0:0]
-A FORWARD -j frontdesk_guest_fwd
-A FORWARD -j other
-A OUTPUT -j frontdesk_guest
-A OUTPUT -j frontdesk_guest
-A frontdesk_guest -d 10.1.1.1/32 -p tcp -m multiport --dports 80,8080 -j frontdesk_guest_user
-A frontdesk_guest_user -m owner --uid-owner 0 -j RETURN
-A frontdesk_guest_user -m owner --gid-owner 12 -j RETURN
COMMIT
`;

test("a saved table says what of it is ours", () => {
  expect(policyOfSaved(SAVED)).toMatchObject({ users: [0], groups: [12], ports: [80, 8080] });
  expect(policyOfSaved("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT")).toBeUndefined();
  expect(oursIn(SAVED).split("\n").slice(0, 2)).toEqual([
    "-A OUTPUT -j frontdesk_guest",
    "-A FORWARD -j frontdesk_guest_fwd",
  ]);
});

test("removal takes each jump as often as it is there, and nothing of others", () => {
  expect(iptablesRemoval(SAVED)?.split("\n")).toEqual([
    "*filter",
    "-D FORWARD -j frontdesk_guest_fwd",
    "-D OUTPUT -j frontdesk_guest",
    "-D OUTPUT -j frontdesk_guest",
    ...["guest", "guest_user", "guest_fwd"].map((name) => `-F frontdesk_${name}`),
    ...["guest", "guest_user", "guest_fwd"].map((name) => `-X frontdesk_${name}`),
    "COMMIT",
    "",
  ]);
  expect(iptablesRemoval("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT")).toBeUndefined();
});

test("each IP version gets its own addresses", () => {
  const policy = makePolicy(NOTHING);
  expect(iptablesScript(policy, 4, "")).not.toContain("fd00:");
  expect(iptablesScript(policy, 6, "")).not.toContain("169.254");
});

test("a table that is none of ours holds no policy", () => {
  expect(policyOfNft([{ table: { name: "frontdesk_guest" } }])).toBeUndefined();
  expect(policyOfNft([{ set: { name: "users", elem: [0] } }])).toBeUndefined();
});
