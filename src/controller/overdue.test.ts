import { expect, test } from "bun:test";
import { pino } from "pino";
import { Conditions } from "../observe/conditions.ts";
import { Follow } from "./follow.ts";
import type { Look, Looked } from "./look.ts";
import { LOOK_MS_MAX, OVERDUE_MS_MIN, type OverdueClock } from "./overdue.ts";
import { Troubles } from "./troubles.ts";

const LOOKED: Looked = { instances: 1, written: 0, deleted: 0 };
const POLL_MS = 30_000;

/** Time passes when a test says so. */
class Made implements OverdueClock {
  #now = 0;
  readonly #acts = new Set<() => void>();

  readonly now = (): number => this.#now;

  readonly every = (_: number, act: () => void): (() => void) => {
    this.#acts.add(act);
    return () => this.#acts.delete(act);
  };

  pass(ms: number): void {
    this.#now += ms;
    for (const act of this.#acts) act();
  }

  get watched(): number {
    return this.#acts.size;
  }
}

interface Begun {
  readonly signal: AbortSignal;
  readonly end: (looked: Looked) => void;
}

/** A look that ends when a test says so, or when it is aborted, with an error of its own. */
function slowLook(begun: Begun[]): Look {
  return {
    all: (signal) =>
      new Promise((end, fail) => {
        begun.push({ signal, end });
        signal.addEventListener("abort", () => fail(new Error("aborted")));
      }),
    some: async () => true,
    doubt: () => {},
  };
}

interface Scene {
  readonly clock: Made;
  readonly begun: readonly Begun[];
  readonly follow: Follow;
  raised(): readonly string[];
  settle(): Promise<void>;
}

async function withSlowLook(
  work: (scene: Scene) => Promise<void>,
  pollMs: () => number = () => POLL_MS,
): Promise<void> {
  const clock = new Made();
  const begun: Begun[] = [];
  const conditions = new Conditions(() => 0);
  const troubles = new Troubles(conditions, "the cloud");
  const log = pino({ level: "silent" });
  const ports = { look: slowLook(begun), troubles, log, clock, pollMs, backOffMsMin: 0 };
  const follow = new Follow(ports);
  const end = new AbortController();
  const running = follow.run(end.signal);
  const settle = () => Bun.sleep(5);
  const raised = () => conditions.list().map(({ code, detail }) => `${code} ${detail}`);
  await settle();
  await work({ clock, begun, follow, raised, settle });
  end.abort();
  await running;
  expect(clock.watched).toBe(0);
}

const OVERDUE = "LOOK_OVERDUE the last one that was whole is over 5 min ago";

test("a look that never ends is a condition, until one was whole", async () => {
  await withSlowLook(async ({ clock, begun, raised, settle }) => {
    clock.pass(OVERDUE_MS_MIN);
    expect(raised()).toEqual([]);
    clock.pass(1);
    expect(raised()).toEqual([OVERDUE]);
    begun[0]?.end(LOOKED);
    await settle();
    expect(raised()).toEqual([]);
    clock.pass(OVERDUE_MS_MIN);
    expect(raised()).toEqual([]);
    clock.pass(1);
    expect(raised()).toEqual([OVERDUE]);
  });
});

test("where a source is looked at seldom, three polls are not too long", async () => {
  const pollMs = () => OVERDUE_MS_MIN;
  await withSlowLook(async ({ clock, raised }) => {
    clock.pass(3 * OVERDUE_MS_MIN);
    expect(raised()).toEqual([]);
    clock.pass(1);
    expect(raised().length).toBe(1);
  }, pollMs);
});

test("a look that takes for ever is ended, says so, and another one begins", async () => {
  await withSlowLook(async ({ clock, begun, raised, settle }) => {
    clock.pass(LOOK_MS_MAX);
    expect(begun[0]?.signal.aborted).toBe(false);
    clock.pass(1);
    await settle();
    expect(raised()).toContain("CLOUDSTACK_TIMEOUT a look at everything was not done after 30 min");
    await Bun.sleep(20);
    expect(begun.length).toBe(2);
    // The new one has its own time.
    clock.pass(LOOK_MS_MAX);
    expect(begun[1]?.signal.aborted).toBe(false);
  });
});

test("a reload ends a look that is overdue, and no other", async () => {
  await withSlowLook(async ({ clock, begun, follow, settle }) => {
    follow.reload();
    await settle();
    expect(begun.map(({ signal }) => signal.aborted)).toEqual([false]);
    clock.pass(OVERDUE_MS_MIN + 1);
    follow.reload();
    await Bun.sleep(100);
    expect(begun.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  });
});
