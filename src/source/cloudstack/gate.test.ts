import { expect, test } from "bun:test";
import { setTimeout as timeout } from "node:timers/promises";
import { openGate } from "./gate.ts";
import { SIGNAL } from "./testing.ts";

const CLOCK = {
  now: () => Date.now(),
  sleep: (ms: number, signal: AbortSignal) => timeout(ms, undefined, { signal }),
};

test("as many are under way as there are places, in the order in which they came", async () => {
  const gate = openGate(2, CLOCK);
  const began: number[] = [];
  let underWay = 0;
  let most = 0;
  const one = (name: number): Promise<void> =>
    gate.pass(async () => {
      began.push(name);
      most = Math.max(most, ++underWay);
      await timeout(1);
      underWay--;
    }, SIGNAL);
  await Promise.all([0, 1, 2, 3, 4, 5, 6].map(one));
  expect(began).toEqual([0, 1, 2, 3, 4, 5, 6]);
  await Promise.all([7, 8, 9, 10].map(one));
  expect(most).toBe(2);
});

test("whoever is aborted at any moment takes nobody's place with him", async () => {
  for (let ticks = 0; ticks < 20; ticks++) {
    const gate = openGate(1, CLOCK);
    const abort = new AbortController();
    let end: () => void = () => {};
    const first = gate.pass(() => new Promise<void>((resolve) => (end = resolve)), SIGNAL);
    await timeout(0);
    const second = gate.pass(async () => {}, abort.signal).catch(() => {});
    const third = gate.pass(async () => "third", SIGNAL);
    end();
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
    abort.abort(new Error("enough"));
    await Promise.all([first, second]);
    expect(await Promise.race([third, timeout(500, `lost after ${ticks}`)])).toBe("third");
  }
});

test("work that fails, and waiting that is given up, give their place back", async () => {
  const gate = openGate(1, CLOCK);
  await expect(gate.pass(() => Promise.reject(new Error("no")), SIGNAL)).rejects.toThrow("no");
  let end: () => void = () => {};
  const first = gate.pass(() => new Promise<void>((resolve) => (end = resolve)), SIGNAL);
  const abort = new AbortController();
  const second = gate.pass(async () => {}, abort.signal);
  const third = gate.pass(async () => "third", SIGNAL);
  abort.abort(new Error("enough"));
  await expect(second).rejects.toThrow("enough");
  end();
  await first;
  expect(await third).toBe("third");
});

test("nobody begins while it is closed, also where it is closed longer meanwhile", async () => {
  let now = 0;
  const slept: number[] = [];
  const gate = openGate(1, {
    now: () => now,
    sleep: async (ms) => {
      slept.push(ms);
      now += ms;
      if (slept.length === 1) gate.closeUntil(250);
    },
  });
  gate.closeUntil(100);
  gate.closeUntil(50);
  expect(await gate.pass(async () => now, SIGNAL)).toBe(250);
  expect(slept).toEqual([100, 150]);
});
