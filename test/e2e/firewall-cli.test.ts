/**
 * `frontdesk router firewall` as an operator runs it: from a file, from databags, and for the
 * router that runs.
 */

import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ADDRESS, asks, ip, nftList, OWNER, ROUTER } from "./firewall.ts";
import { type Lab, labMissing, openLab } from "./lab.ts";
import type { Done } from "./program.ts";
import { frontdesk, startRouter } from "./router.ts";

const lacking = labMissing(["nft", "curl"]);
const TEST_MS_MAX = 60_000;
const DATABAGS = join(import.meta.dirname, "../../fixtures/cloudstack");

const cli = (name: string, body: (lab: Lab) => Promise<void>): void =>
  test.skipIf(lacking !== undefined)(
    name,
    async () => {
      await using lab = await openLab({ guests: [{ mac: OWNER, address: ADDRESS }] });
      await body(lab);
    },
    TEST_MS_MAX,
  );

const CONFIG = `
networks:
  - id: tier-1
    cidrs: [10.1.1.0/24]
    listen: [10.1.1.1:80]
    passwordListen: [10.1.1.1:8080]
    macEvidence: enforce
    hopLimit: 2
    leaseFiles: [dnsmasq.leases]
    guests: {maxConnections: 7}
  - id: elsewhere
    cidrs: [10.1.1.0/24]
    netns: blue
firewall: {managementCidrs: [198.51.100.0/24]}
adminListen: 10.1.1.1:9000
`;

cli("a configuration file has all that the table is made of", async (lab) => {
  const file = join(lab.folder, "frontdesk.yaml");
  writeFileSync(file, CONFIG);
  writeFileSync(join(lab.folder, "dnsmasq.leases"), `0 ${OWNER} ${ADDRESS} web-01 *\n`);
  const before = await nftList(lab.router);
  const printed = await firewall(lab, "--config", file);
  expect(printed.code).toBe(0);
  const text = printed.stdout.toString();
  for (const part of [
    `${ADDRESS} . ${OWNER}`,
    "10.1.1.1 . 80, 10.1.1.1 . 8080",
    "10.1.1.0/24 : goto network0,",
    `iifname != { "eth0" }`,
    "ct count over 7 ",
    "ip ttl set 2",
    "tcp dport 9000 goto admin",
    "198.51.100.0/24",
  ]) {
    expect(text).toContain(part);
  }
  expect(text).not.toContain("network1");
  expect(printed.stderr).toBe("permanent neighbours: 1\nnothing was changed; --apply does it\n");
  expect(await nftList(lab.router)).toBe(before);

  const first = await firewall(lab, "--apply", "--config", file, "--json");
  expect(JSON.parse(first.stdout.toString())).toEqual({
    ...{ table: "replaced", neighbours: { changed: 1, foreign: [] } },
  });
  expect(await ip(lab.router, "neigh show nud permanent")).toContain(`lladdr ${OWNER} PERMANENT`);
  const again = await firewall(lab, "--apply", "--config", file);
  expect(again.stdout.toString()).toBe(
    "table inet frontdesk is right already; permanent neighbours: 0 changed\n",
  );
  const removed = await firewall(lab, "--remove");
  expect(removed.stdout.toString()).toBe(
    "table inet frontdesk is removed; permanent neighbours: 1 removed\n",
  );
  expect(await nftList(lab.router)).toBe(before);
  expect(await ip(lab.router, "neigh show nud permanent")).toBe("");
});

cli("on a virtual router, its databags have it", async (lab) => {
  for (const kind of ["isolated", "vpc", "shared", "redundant"]) {
    const source = `databag:${DATABAGS}/${kind}/etc-cloudstack`;
    const { code, stdout, stderr } = await firewall(lab, "--source", source, "--json");
    expect([kind, code, stderr]).toEqual([kind, 0, ""]);
    const { text } = JSON.parse(stdout.toString());
    expect([kind, text.includes(" . 80, "), text.includes(": goto network0")]).toEqual([
      ...[kind, true, true],
    ]);
    // What it prints is what nft takes.
    const checked = await lab.router.run(["nft", "-c", "-f", "-"], { input: text });
    expect([kind, checked.code, checked.stderr]).toEqual([kind, 0, ""]);
  }
});

cli("for the router that runs it asks that one, and guests are served as before", async (lab) => {
  const stateDir = join(lab.folder, "state");
  mkdirSync(stateDir, { mode: 0o700 });
  const admin = ["--admin", `unix:${stateDir}/admin.sock`];
  const source = `databag:${DATABAGS}/isolated/etc-cloudstack`;
  const none = await firewall(lab, ...admin);
  expect([none.code, none.stdout.toString()]).toEqual([1, ""]);
  expect(none.stderr).toMatch(/^frontdesk: cannot ask the router at .*is a router running.*\n$/);
  await using _ = await startRouter({
    ...{ rim: "bun", source, stateDir, place: lab.router },
    ...{ listen: [`${ROUTER}:80`], passwordListen: [`${ROUTER}:8080`] },
  });
  await ip(lab.guests[0] ?? lab.router, "address add 10.1.1.57/24 dev eth0");
  const [guest = lab.router] = lab.guests;
  const url = `http://${ROUTER}/latest/meta-data/local-ipv4`;
  expect(await asks(guest, url, "10.1.1.57")).toBe("10.1.1.57");
  const done = await firewall(lab, "--apply", "--mac-evidence", "audit", ...admin);
  expect([done.code, done.stderr]).toEqual([0, ""]);
  expect(await asks(guest, url, "10.1.1.57")).toBe("10.1.1.57");
  // The lease of 10.1.1.57 has another MAC address than this guest.
  expect((await firewall(lab, "--apply", "--mac-evidence", "enforce", ...admin)).code).toBe(0);
  expect(await asks(guest, url, "10.1.1.57", "0.8")).toBe("");
});

cli("wrong usage changes nothing and says what is wrong in one line", async (lab) => {
  const check = async (args: readonly string[], code: number, line: RegExp): Promise<void> => {
    const done = await firewall(lab, ...args);
    expect([args, done.code, done.stdout.toString()]).toEqual([args, code, ""]);
    expect(done.stderr).toMatch(line);
    expect(done.stderr.split("\n")).toHaveLength(2);
  };
  const source = ["--source", `databag:${DATABAGS}/isolated/etc-cloudstack`];
  await check(["--apply", "--remove"], 2, /give one of --apply and --remove/);
  await check(["--apply", "--mac-evidence", "on", ...source], 2, /Allowed choices are off, audit/);
  await check(["--apply", "--listen", "eth0", ...source], 2, /--listen: "eth0" must be ADDR:PORT/);
  await check(["--apply", "--source", "databag:/nowhere"], 1, /nowhere/);
  expect(await nftList(lab.router)).toBe("");
});

function firewall(lab: Lab, ...args: readonly string[]): Promise<Done> {
  const { argv, env } = frontdesk("bun", ["router", "firewall", ...args]);
  return lab.router.run(argv, { env });
}
