/**
 * Whether what the kernel is told keeps step with what guests see: a directory that changes, and
 * an nft and an ip that are played here, with the memory that the kernel has.
 */

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type Cidr, type Ip, type Mac, parseIp, parseMac } from "../model/address.ts";
import type { WithholdReason } from "../model/binding.ts";
import type { Change, Network } from "../model/change.ts";
import { ExecError } from "../model/errors.ts";
import { Conditions } from "../observe/conditions.ts";
import type { Exec } from "../platform/exec.ts";
import type { Ended, StartLines } from "../platform/lines.ts";
import { Directory } from "./directory.ts";
import { Evidence } from "./evidence.ts";
import type { ListenTarget } from "./listeners.ts";
import type { GivenNetwork } from "./policies.ts";

const ENFORCED = { id: "web", cidrs: ["10.1.1.0/24", "fd00:5a::/64"] } as const;
const AUDITED = { id: "db", cidrs: ["10.1.2.0/24"] };
const WEB = parseIp("10.1.1.5");
const MAC = parseMac("02:00:00:00:00:05");
const OTHER = parseMac("02:00:00:00:00:06");
const LISTENING: readonly ListenTarget[] = [
  { plane: "metadata", host: parseIp("10.1.1.1"), port: 80 },
  { plane: "password", host: parseIp("10.1.1.1"), port: 8080 },
];
/** After a failure all is compared anew, a second later. */
const STEP_MS_MAX = 10_000;

const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const mac = fc.constantFrom(undefined, MAC, OTHER, parseMac("02:00:00:00:00:07"));
const place = fc.constantFrom(
  ...["10.1.1.5", "10.1.1.6", "fd00:5a::5"].map((address) => ({ network: "web", address })),
  { network: "db", address: "10.1.2.5" },
);
const reasons: readonly WithholdReason[] = [
  ...(["awaiting-metadata", "lease-removed", "no-lease", "conflict"] as const),
];
const reason = fc.constantFrom(...reasons);
const change = fc
  .tuple(fc.constantFrom("put", "withhold", "delete"), place, mac, reason)
  .map(([kind, at, mac, reason]): Change => {
    const address = parseIp(at.address);
    if (kind === "put") return put(address, mac, at.network);
    if (kind === "delete") return { kind, network: at.network, address };
    const withheld = { network: at.network, address, epoch: 1, reason, since: 0 };
    return { kind: "withhold", withheld: { ...withheld, ...(mac && { mac }) } };
  });

test("whatever changes, the kernel has the leases that guests are answered by", async () => {
  const batches = fc.array(fc.array(change, { minLength: 1, maxLength: 5 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(batches, fc.boolean(), async (batches, waits) => {
      await using scene = open();
      scene.evidence.follow([ENFORCED, AUDITED], LISTENING);
      for (const batch of batches) {
        scene.change(...batch);
        if (waits) await scene.inStep();
      }
      await scene.inStep();
    }),
    { numRuns: 100 },
  );
});

test("leases that were known before the firewall was, are in it from the start", async () => {
  await using scene = open([put(WEB, MAC)]);
  expect(scene.kernel.pairs.size).toBe(0);
  scene.evidence.follow([ENFORCED], LISTENING);
  await scene.inStep();
  expect([...scene.kernel.pairs]).toEqual([`${WEB} . ${MAC}`]);
  expect([...scene.kernel.pins]).toEqual([[`${WEB} dev eth0`, MAC]]);
});

test("where the source names no MAC address, the kernel has the one of the lease file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-evidence-"));
  cleanUp.push(async () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "leases");
  const write = (mac: Mac) => writeFileSync(file, `1795402800 ${mac} ${WEB} host 01:${mac}\n`);
  write(MAC);
  await using scene = open([put(WEB, undefined)], { leaseFiles: [file] });
  scene.evidence.follow([ENFORCED], LISTENING);
  await scene.until(() => scene.kernel.pairs.has(`${WEB} . ${MAC}`));
  write(OTHER);
  // The neighbours come after the sets.
  await scene.until(() => scene.kernel.pins.get(`${WEB} dev eth0`) === OTHER);
  expect([...scene.kernel.pairs]).toEqual([`${WEB} . ${OTHER}`]);
});

test("wrong rules are a condition; the ones before hold, and the next right ones do", async () => {
  await using scene = open([put(WEB, MAC)]);
  scene.evidence.follow([ENFORCED], LISTENING);
  await scene.inStep();
  const wrong: Readonly<Record<string, Network[]>> = {
    '10.1.1.128/25 of network "db" overlaps': [ENFORCED, { id: "db", cidrs: ["10.1.1.128/25"] }],
    "is not the name of a device": [{ ...ENFORCED, cidrs: [ODD_RANGE, "10.1.1.0/24"] }],
  };
  let next = MAC;
  for (const [says, networks] of Object.entries(wrong)) {
    scene.evidence.follow(networks, LISTENING);
    expect(scene.raised()).toContain(`FIREWALL_FAILED table inet frontdesk`);
    expect(scene.raised()).toContain(says);
    next = next === MAC ? OTHER : MAC;
    scene.change(put(WEB, next));
    await scene.inStep();
    scene.evidence.follow([ENFORCED], LISTENING);
    await scene.until(() => scene.raised() === "");
    await scene.inStep();
  }
});

test("a network that enforces where no firewall is kept is a condition", async () => {
  await using scene = open([put(WEB, MAC)], { isManaged: false });
  scene.evidence.follow([ENFORCED], LISTENING);
  expect(scene.raised()).toContain("ENFORCE_WITHOUT_FIREWALL web");
});

test("an nft that fails is a condition, and all is right again when it does not", async () => {
  await using scene = open();
  scene.evidence.follow([ENFORCED], LISTENING);
  await scene.inStep();
  scene.kernel.refuses = true;
  scene.change(put(WEB, MAC));
  await scene.until(() => scene.raised().includes("FIREWALL_FAILED"));
  expect(scene.raised()).toContain("nft: no room");
  scene.change(put(WEB, OTHER));
  scene.kernel.refuses = false;
  await scene.inStep();
  await scene.until(() => scene.raised() === "");
});

test("nft that is not installed is a condition that says so, and guests are known", async () => {
  const exec: Exec = async () => {
    throw new ExecError("PROGRAM_MISSING", "nft cannot be started");
  };
  await using scene = open([put(WEB, MAC)], { exec });
  scene.evidence.follow([ENFORCED], LISTENING);
  await scene.until(() => scene.raised().includes("install the package nftables"));
  scene.kernel.rows.push(`${WEB} dev eth0 lladdr ${MAC} REACHABLE`);
  expect(await scene.evidence.identity.find(WEB)).toMatchObject({ kind: "bound", mac: MAC });
});

test("without the program ip, who is to be compared is refused, and a condition says why", async () => {
  const start: StartLines = () => {
    const ended = Promise.reject(new ExecError("PROGRAM_MISSING", "ip cannot be started"));
    ended.catch(() => {});
    return { ended, stop() {} };
  };
  const other = parseIp("10.1.1.6");
  await using scene = open([put(WEB, MAC), put(other, undefined)], { start });
  scene.evidence.follow([ENFORCED], LISTENING);
  expect(await scene.evidence.identity.find(WEB)).toMatchObject({ kind: "withheld" });
  expect(await scene.evidence.identity.find(other)).toMatchObject({ kind: "bound" });
  expect(await scene.evidence.identity.find("fd00:5a::77")).toBeUndefined();
  await scene.until(() => scene.raised().includes("NEIGHBOURS_UNREADABLE"));
  expect(scene.raised()).toContain("ip cannot be started");
});

describe("an address without a lease", () => {
  const OWN = parseIp("10.1.1.6");
  const SECOND = parseIp("10.1.1.77");
  const AT = `${SECOND} dev eth0`;

  /** A guest that has the MAC address `OTHER`, at its own address and at a second one. */
  async function openLearning(networks: readonly Network[], listening = LISTENING) {
    const scene = open([put(OWN, OTHER)]);
    scene.kernel.rows.push(`${AT} lladdr ${OTHER} REACHABLE`);
    scene.evidence.follow(networks, listening);
    return scene;
  }

  test("is answered once the kernel keeps it, also beside a network that does not enforce", async () => {
    await using scene = await openLearning([AUDITED, ENFORCED]);
    expect(await scene.evidence.identity.find(SECOND)).toMatchObject({ address: OWN });
    expect(scene.kernel.pins.get(AT)).toBe(OTHER);
  });

  test("is nobody's as long as no packet has come from its MAC address", async () => {
    await using scene = await openLearning([ENFORCED]);
    scene.kernel.hasAsked = false;
    for (let i = 0; i < 5; i++) {
      expect(await scene.evidence.identity.find(SECOND)).toMatchObject({ reason: "mac-unknown" });
    }
    expect([scene.kernel.looks, scene.kernel.pins.has(AT)]).toEqual([1, false]);
    scene.kernel.hasAsked = true;
    await Bun.sleep(1100);
    expect(await scene.evidence.identity.find(SECOND)).toMatchObject({ address: OWN });
  });

  test("is not answered before there are rules that keep it", async () => {
    await using scene = await openLearning([ENFORCED], []);
    const found = await scene.evidence.identity.find(SECOND);
    expect(found).toMatchObject({ reason: "mac-unknown" });
  });

  test("that is leased while the kernel is asked, is the owner's of the lease", async () => {
    await using scene = await openLearning([ENFORCED]);
    const found = scene.evidence.identity.find(SECOND);
    // The kernel has been asked; that its news settle is waited for.
    await Bun.sleep(60);
    scene.change(put(SECOND, MAC));
    await found;
    await scene.inStep();
  });

  for (const route of ["default via 10.1.1.77 dev eth0", "x \\ nexthop via 10.1.1.77 dev eth0"]) {
    test(`is nobody's where the router's own route leads through it: ${route}`, async () => {
      await using scene = await openLearning([ENFORCED]);
      scene.kernel.routes = `${route} proto static\n10.1.1.0/24 dev eth0\n`;
      const found = await scene.evidence.identity.find(SECOND);
      expect(found).toMatchObject({ reason: "mac-unknown" });
      expect(scene.kernel.pins.has(AT)).toBe(false);
    });
  }

  test("ends with a lease that names no MAC address, too", async () => {
    await using scene = await openLearning([ENFORCED]);
    await scene.evidence.identity.find(SECOND);
    expect(scene.kernel.pins.get(AT)).toBe(OTHER);
    scene.change(put(SECOND, undefined));
    await scene.inStep();
  });
});

/** A range on a device that has no proper name. */
const ODD_RANGE = "10.9.0.0/16";

interface Options {
  /** Whether the router keeps a firewall. */
  readonly isManaged?: boolean;
  readonly exec?: Exec;
  readonly start?: StartLines;
  readonly leaseFiles?: readonly string[];
}

function open(
  before: readonly Change[] = [],
  { leaseFiles = [], isManaged = true, ...programs }: Options = {},
) {
  const conditions = new Conditions(() => 0);
  const directory = new Directory({ epochBegan() {}, hostNameCut() {} });
  directory.apply(before);
  const given: GivenNetwork = {
    ...{ id: "web", cidrs: [], macEvidence: "enforce", routed: false, leaseFiles },
  };
  const kernel = new Kernel();
  const evidence = new Evidence(
    { networks: [given], ...(isManaged && { firewall: { managementCidrs: [] } }) },
    {
      ...{ directory, conditions, exec: kernel.exec, start: kernel.start, ...programs },
      devices: (cidrs: readonly Cidr[]) =>
        cidrs.some(({ text }) => text === ODD_RANGE) ? ["eth0; drop"] : ["eth0"],
    },
  );
  const close = () => evidence.close();
  cleanUp.push(close);
  const until = async (holds: () => boolean): Promise<void> => {
    const end = Date.now() + STEP_MS_MAX;
    while (!holds()) {
      if (Date.now() > end) throw new Error(`waited in vain until ${holds}`);
      await Bun.sleep(1);
    }
  };
  const wanted = (): Map<Ip, Mac> => {
    const leases = new Map<Ip, Mac>();
    for (const entry of directory.entries()) {
      const isLeased = entry.kind === "bound" || entry.reason === "awaiting-metadata";
      if (entry.network === "web" && isLeased && entry.mac) leases.set(entry.address, entry.mac);
    }
    return leases;
  };
  return {
    ...{ evidence, kernel, until, [Symbol.asyncDispose]: close },
    change(...changes: readonly Change[]): void {
      directory.apply(changes);
      evidence.tell(changes);
    },
    raised: () =>
      conditions
        .list()
        .map(({ code, subject, detail }) => `${code} ${subject} ${detail}`)
        .join(),
    /** The sets and the permanent neighbours are those of the directory. */
    async inStep(): Promise<void> {
      const pairs = [...wanted()].map(([address, mac]) => `${address} . ${mac}`);
      const pins = [...wanted()].map(([address, mac]) => `${address} dev eth0 ${mac}`);
      const text = (lines: Iterable<string>) => [...lines].sort().join("\n");
      const pinned = () => [...kernel.pins].map(([at, mac]) => `${at} ${mac}`);
      await until(
        () =>
          text(kernel.pairs) === text(pairs) &&
          text(kernel.leased) === text(wanted().keys()) &&
          text(pinned()) === text(pins),
      );
    },
  };
}

/** The leases in our table and the permanent neighbours, as nft and ip change them. */
class Kernel {
  readonly pairs = new Set<string>();
  readonly leased = new Set<string>();
  readonly pins = new Map<string, string>();
  readonly rows: string[] = [];
  /** What this machine's routes are. */
  routes = "";
  refuses = false;
  /** Whether packets have come from where the neighbour table says. */
  hasAsked = true;
  /** How often that was asked. */
  looks = 0;

  readonly exec: Exec = async (argv, { input = "" } = {}) => {
    await Bun.sleep(0);
    if (argv[0] === "ip") return { code: 0, stdout: this.routes, stderr: "" };
    const refused = { code: 1, stdout: "", stderr: "no room\n" };
    if (this.refuses) return refused;
    if (argv[1] === "get") {
      this.looks++;
      return this.hasAsked ? { code: 0, stdout: "", stderr: "" } : refused;
    }
    if (input.includes("\ndelete table")) {
      this.pairs.clear();
      this.leased.clear();
      for (const [, set = "", list = ""] of input.matchAll(
        /^\tset (leased|pairs)[46] \{\n\t\ttype .*\n\t\telements = \{\n((?:\t{3}.*\n)*)/gm,
      )) {
        for (const element of elements(list)) this.#set(set).add(element);
      }
    }
    for (const [, verb, set = "", list = ""] of input.matchAll(
      /^(add|delete) element inet frontdesk (leased|pairs)[46] \{ (.*) \}$/gm,
    )) {
      for (const element of elements(list)) {
        // As nft does, which has no element twice and deletes none that is not there.
        if (verb === "add") this.#set(set).add(element);
        else if (!this.#set(set).delete(element)) return refused;
      }
    }
    return { code: 0, stdout: "", stderr: "" };
  };

  readonly start: StartLines = (argv, { input = "", onLine }) => {
    if (argv.includes("monitor")) {
      const { promise, resolve } = Promise.withResolvers<Ended>();
      return { ended: promise, stop: () => resolve({ code: 128, complaint: "" }) };
    }
    const show = (at: string, mac: string) => onLine(`${at} lladdr ${mac} PERMANENT proto 205`);
    if (argv.includes("show")) for (const [at, mac] of this.pins) show(at, mac);
    for (const row of argv.includes("permanent") ? [] : this.rows) onLine(row);
    for (const line of input.split("\n")) {
      const [, verb, address, ...words] = line.split(" ");
      const at = `${address} dev ${words[words.indexOf("dev") + 1]}`;
      const known = this.pins.get(at);
      if (verb === "replace") this.pins.set(at, words[1] ?? "");
      else if (verb === "del") this.pins.delete(at);
      else if (verb === "get" && known !== undefined) show(at, known);
    }
    return { ended: Promise.resolve({ code: 0, complaint: "" }), stop() {} };
  };

  #set(name: string): Set<string> {
    return name === "pairs" ? this.pairs : this.leased;
  }
}

function elements(list: string): string[] {
  return list
    .split(/,\s*/)
    .map((text) => text.trim())
    .filter((text) => text !== "");
}

function put(address: Ip, mac: Mac | undefined, network = "web"): Change {
  const binding = {
    ...{ network, address, epoch: 1, instance: `i-${address}`, name: "n", keys: [] },
    ...(mac !== undefined && { mac }),
    origin: { kind: "databag", place: "vmdata.json" } as const,
  };
  return { kind: "put", binding };
}
