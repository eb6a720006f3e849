/** Routers that end, and are started again: played here, with the real clock. */

import { afterEach, expect, test } from "bun:test";
import { Conditions } from "../observe/conditions.ts";
import type { Log } from "../observe/log.ts";
import type { ChildEnd, StartChild } from "../platform/child.ts";
import { Supervisor } from "./supervisor.ts";

const ENDED: ChildEnd = { how: "with 1", lastWords: "no such namespace" };

/** A grace that ends at once: two seconds are added to it. ms. */
const NO_GRACE_MS = -2000;

const cleanUp: Supervisor[] = [];
afterEach(async () => {
  for (const supervisor of cleanUp.splice(0)) await supervisor.close(NO_GRACE_MS);
});

test("a router that ends is started again, later each time, and a condition says why", async () => {
  const scene = open("red", "blue");
  expect(scene.started.map(({ name }) => name)).toEqual(["red", "blue"]);
  const waitedMs: number[] = [];
  for (const count of [3, 4]) {
    const endedMs = performance.now();
    scene.last("red").end(ENDED);
    await scene.until(() => scene.started.length === count);
    waitedMs.push(performance.now() - endedMs);
    expect(scene.raised()).toEqual(["NAMESPACE_DOWN red: it ended with 1: no such namespace"]);
  }
  expect(waitedMs[0]).toBeGreaterThan(450);
  expect(waitedMs[1]).toBeGreaterThan(950);
  expect(scene.started.map(({ name }) => name)).toEqual(["red", "blue", "red", "red"]);
  await scene.until(() => scene.raised().length === 0);
}, 15_000);

test("one that cannot be started is a condition too, and is tried again", async () => {
  const scene = open("red");
  scene.last("red").fail(new Error("ip cannot be started"));
  await scene.until(() => scene.started.length === 2);
  expect(scene.raised()).toEqual(["NAMESPACE_DOWN red: ip cannot be started"]);
  expect(scene.supervisor.status).toEqual([{ name: "red", pid: 1002 }]);
});

test("a reload is passed on to all that run", async () => {
  const scene = open("red", "blue");
  scene.supervisor.reload();
  expect(scene.signals).toEqual(["red SIGHUP", "blue SIGHUP"]);
});

test("the end is asked for, then forced, and nothing is started again", async () => {
  const scene = open("red", "blue");
  scene.last("blue").end(ENDED);
  await scene.until(() => scene.raised().length === 1);
  await scene.supervisor.close(NO_GRACE_MS);
  expect(scene.signals).toEqual(["red SIGTERM", "red SIGKILL"]);
  await Bun.sleep(700);
  expect(scene.started.length).toBe(2);
});

/** A supervisor of routers that run until they are told to end, and heed SIGKILL alone. */
function open(...names: readonly string[]) {
  const conditions = new Conditions(() => 0);
  const signals: string[] = [];
  const started: { name: string; end(how: ChildEnd): void; fail(error: Error): void }[] = [];
  const start: StartChild = ([name = ""]) => {
    const { promise, resolve, reject } = Promise.withResolvers<ChildEnd>();
    started.push({ name, end: resolve, fail: reject });
    return {
      pid: 1000 + started.length,
      ended: promise,
      signal(signal) {
        signals.push(`${name} ${signal}`);
        if (signal === "SIGKILL") resolve({ how: "by SIGKILL", lastWords: "" });
      },
    };
  };
  const members = names.map((name) => ({ name, networks: [], argv: [name], admin: "" }));
  const log = { info() {} } as unknown as Log;
  const supervisor = new Supervisor(members, { conditions, log, start });
  cleanUp.push(supervisor);
  return {
    ...{ supervisor, started, signals },
    last(name: string) {
      const found = started.findLast((each) => each.name === name);
      if (found === undefined) throw new Error(`${name} was not started`);
      return found;
    },
    raised: () =>
      conditions.list().map(({ code, subject, detail }) => `${code} ${subject}: ${detail}`),
    async until(holds: () => boolean): Promise<void> {
      const end = Date.now() + 5_000;
      while (!holds()) {
        if (Date.now() > end) throw new Error(`waited in vain until ${holds}`);
        await Bun.sleep(5);
      }
    },
  };
}
