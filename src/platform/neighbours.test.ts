/** How the kernel's neighbours are followed, with programs that the test plays. */

import { expect, test } from "bun:test";
import { type Mac, parseIp } from "../model/address.ts";
import type { Ended, LinesOptions, StartLines } from "./lines.ts";
import { type NeighboursOptions, openNeighbours } from "./neighbours.ts";

const ONE = "02:00:00:00:00:01" as Mac;
const TWO = "02:00:00:00:00:02" as Mac;
const GUEST = parseIp("10.1.1.5");

test("what the monitor says is known at once, and a failed neighbour is not", async () => {
  await using scene = await open();
  scene.monitor.say(`10.1.1.5 dev eth0 lladdr ${ONE} REACHABLE`);
  expect(scene.neighbours.find(GUEST)).toBe(ONE);
  scene.monitor.say("10.1.1.5 dev eth0  FAILED");
  expect(scene.neighbours.find(GUEST)).toBeUndefined();
});

test("a hundred that look up at once start one program, which asks for their rows only", async () => {
  await using scene = await open({ devices: () => ["eth0", "eth1"] });
  const all = Array.from({ length: 100 }, () => scene.neighbours.lookUp(GUEST));
  const ask = await scene.next();
  expect(ask.argv).toEqual(["ip", "-o", "-force", "-batch", "-"]);
  expect(ask.input).toBe("neigh get 10.1.1.5 dev eth0\nneigh get 10.1.1.5 dev eth1\n");
  ask.say(`10.1.1.5 dev eth0 lladdr ${ONE} STALE`);
  ask.end({ code: 1, complaint: "Error: Neighbour entry not found." });
  expect(new Set(await Promise.all(all))).toEqual(new Set([ONE]));
  expect(scene.neighbours.find(GUEST, "eth0")).toBe(ONE);
});

test("a row that is looked up and not there is forgotten", async () => {
  await using scene = await open({ devices: () => ["eth0"] });
  scene.monitor.say(`10.1.1.5 dev eth0 lladdr ${ONE} STALE`);
  const asked = scene.neighbours.lookUp(GUEST);
  (await scene.next()).end({ code: 1, complaint: "Error: Neighbour entry not found." });
  expect(await asked).toBeUndefined();
  expect(scene.neighbours.find(GUEST)).toBeUndefined();
});

for (const devices of [["eth0"], []]) {
  const how = devices.length > 0 ? "row by row" : "in the whole table";
  test(`a guest with many addresses is known at each of them, read ${how}`, async () => {
    await using scene = await open({ devices: () => devices });
    const addresses = Array.from({ length: 200 }, (_, index) => parseIp(`10.1.2.${index + 1}`));
    const asked = addresses.map((address) => scene.neighbours.lookUp(address));
    const ask = await scene.next();
    for (const address of addresses) ask.say(`${address} dev eth0 lladdr ${ONE} STALE`);
    ask.end();
    expect(new Set(await Promise.all(asked))).toEqual(new Set([ONE]));
    expect(scene.neighbours.size).toBe(64); // In memory it takes no more room than any other.
  });
}

test("what is read of a guest with many addresses still must not disagree", async () => {
  await using scene = await open({ devices: () => ["eth0"] });
  scene.monitor.say(`10.1.2.1 dev eth1 lladdr ${TWO} REACHABLE`);
  const addresses = Array.from({ length: 200 }, (_, index) => parseIp(`10.1.2.${index + 1}`));
  const asked = addresses.map((address) => scene.neighbours.lookUp(address));
  const onDevice = scene.neighbours.lookUp(addresses[0] ?? GUEST, "eth0");
  const ask = await scene.next();
  for (const address of addresses) ask.say(`${address} dev eth0 lladdr ${ONE} STALE`);
  scene.monitor.say("10.1.2.2 dev eth0  FAILED");
  ask.end();
  expect((await Promise.all(asked)).slice(0, 3)).toEqual([undefined, undefined, ONE]);
  expect(await onDevice).toBe(ONE);
});

test("a program that does not end in time does not keep the guest waiting", async () => {
  await using scene = await open({ devices: () => ["eth0"] });
  scene.monitor.say(`10.1.1.5 dev eth0 lladdr ${ONE} STALE`);
  const started = performance.now();
  expect(await scene.neighbours.lookUp(GUEST)).toBe(ONE);
  expect(performance.now() - started).toBeGreaterThan(45);
});

test("news that come while a row is read are newer than what is read", async () => {
  await using scene = await open({ devices: () => ["eth0"] });
  const asked = scene.neighbours.lookUp(GUEST);
  const ask = await scene.next();
  scene.monitor.say(`10.1.1.5 dev eth0 lladdr ${TWO} REACHABLE`);
  ask.say(`10.1.1.5 dev eth0 lladdr ${ONE} REACHABLE`);
  ask.end();
  expect(await asked).toBe(TWO);
});

test("without known devices, or with a device of an odd name, the whole table is read", async () => {
  for (const devices of [[], ["eth0 dev lo\nneigh flush all"]]) {
    await using scene = await open({ devices: () => devices });
    const asked = scene.neighbours.lookUp(GUEST);
    const ask = await scene.next();
    expect(ask.argv).toEqual(["ip", "-o", "neigh", "show"]);
    ask.say(`10.1.1.5 dev eth0 lladdr ${ONE} STALE`);
    ask.end();
    expect(await asked).toBe(ONE);
  }
});

test("when the monitor ends nothing is remembered until the next one", async () => {
  const told: (string | undefined)[] = [];
  await using scene = await open({ onTrouble: (why) => told.push(why), devices: () => ["eth0"] });
  scene.monitor.say(`10.1.1.5 dev eth0 lladdr ${ONE} STALE`);
  scene.monitor.end({ code: 1, complaint: "Cannot open netlink socket" });
  await Promise.resolve();
  await Promise.resolve();
  expect(scene.neighbours.find(GUEST)).toBeUndefined();
  const asked = scene.neighbours.lookUp(GUEST);
  const ask = await scene.next();
  ask.say(`10.1.1.5 dev eth0 lladdr ${ONE} STALE`);
  ask.end();
  expect(await asked).toBe(ONE);
  expect(scene.neighbours.find(GUEST)).toBeUndefined();
  const second = await scene.next();
  expect(second.argv).toEqual(["ip", "-o", "monitor", "neigh"]);
  await scene.answer([`10.1.1.5 dev eth0 lladdr ${ONE} STALE`]);
  expect(scene.neighbours.find(GUEST)).toBe(ONE);
  await scene.answer([`10.1.1.5 dev eth0 lladdr ${ONE} STALE`]);
  expect(told).toEqual([]); // It may have ended because this program ends too.
});

test("where there is no ip at all, that is the trouble, and no guest waits longer", async () => {
  const told: (string | undefined)[] = [];
  const missing: StartLines = () => ({
    ended: Promise.reject(new Error("ip cannot be started")),
    stop: () => {},
  });
  await using neighbours = openNeighbours({ start: missing, onTrouble: (why) => told.push(why) });
  await neighbours.ready;
  expect(await neighbours.lookUp(GUEST)).toBeUndefined();
  expect(new Set(told)).toEqual(new Set(["ip cannot be started"]));
});

test("a flood of misses starts fifty programs in a second at most", async () => {
  let started = 0;
  const start: StartLines = (argv) => {
    if (argv.includes("-batch")) started++;
    const isMonitor = argv.includes("monitor");
    const ended = isMonitor ? new Promise<Ended>(() => {}) : Promise.resolve(DONE);
    return { ended: ended as Promise<Ended>, stop: () => {} };
  };
  const neighbours = openNeighbours({ start, devices: () => ["eth0"] });
  const until = performance.now() + 300;
  for (let i = 1; performance.now() < until; i = (i % 65_000) + 1) {
    await neighbours.lookUp(parseIp(`fd00::${i.toString(16)}`));
  }
  expect(started).toBeGreaterThan(3);
  expect(started).toBeLessThanOrEqual(17);
});

const DONE: Ended = { code: 0, complaint: "" };

interface Played {
  readonly argv: readonly string[];
  readonly input: string;
  say(line: string): void;
  end(ended?: Ended): void;
}

/** Neighbours whose monitor runs and whose first reading found nothing. */
async function open(options: NeighboursOptions = {}) {
  const started: Played[] = [];
  const start: StartLines = (argv, { onLine, input = "" }: LinesOptions) => {
    let end = (_: Ended): void => {};
    const ended = new Promise<Ended>((resolve) => {
      end = resolve;
    });
    started.push({ argv, input, say: onLine, end: (how = DONE) => end(how) });
    return { ended, stop: () => end(DONE) };
  };
  const neighbours = openNeighbours({ ...options, start });
  const next = async (): Promise<Played> => {
    for (;;) {
      const program = started.shift();
      if (program !== undefined) return program;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const answer = async (lines: readonly string[]): Promise<void> => {
    const program = await next();
    expect(program.argv).toEqual(["ip", "-o", "neigh", "show"]);
    for (const line of lines) program.say(line);
    program.end();
    await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const monitor = await next();
  await answer([]);
  await neighbours.ready;
  return {
    ...{ neighbours, monitor, next, answer },
    [Symbol.asyncDispose]: () => neighbours.close(),
  };
}
