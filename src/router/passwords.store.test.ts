/** What a store states: its ids say whether two passwords are the same, and it hears of delivery. */

import { expect, test } from "bun:test";
import { collect, type Desk, GUEST, ledger, MINUTE, NETWORK } from "../../test/state/ledger.ts";
import { VIA_STORE } from "../model/change.ts";
import type { PasswordChange } from "./passwords.ts";

const secret = (of: string, more: Partial<PasswordChange> = {}): Partial<PasswordChange> => {
  return { via: VIA_STORE, standing: true, of, ...more };
};
const NONE = { via: VIA_STORE, standing: false } as const;

function told(desk: Desk): readonly string[] {
  return desk.delivered.map(({ network, address, secretId }) => {
    expect({ network, address }).toEqual({ network: NETWORK, address: GUEST });
    return secretId;
  });
}

test("the store hears of a delivery once it is durable, and once", async () => {
  const desk = ledger();
  await desk.offer("one", secret("s-1"));
  await desk.offer("one", secret("s-1"));
  expect(desk.send()).toBe("one");
  expect(told(desk)).toEqual([]);
  const disk = Promise.withResolvers<void>();
  desk.before = () => disk.promise;
  const acknowledged = desk.acknowledge();
  await Bun.sleep(1);
  expect(told(desk)).toEqual([]);
  disk.resolve();
  await acknowledged;
  await desk.acknowledge();
  expect(told(desk)).toEqual(["s-1"]);
});

test("a disk that cannot be written does not keep it from the store", async () => {
  const desk = ledger();
  await desk.offer("one", secret("s-1"));
  desk.send();
  desk.before = () => Promise.reject(new Error("full"));
  await desk.acknowledge();
  expect(told(desk)).toEqual(["s-1"]);
});

test("after a restart it hears of it again, and the guest does not", async () => {
  const desk = ledger();
  await desk.offer("one", secret("s-1"));
  await collect(desk);
  desk.restart();
  await desk.offer("one", secret("s-1"));
  expect(desk.send()).toBeUndefined();
  expect(told(desk)).toEqual(["s-1", "s-1"]);
  // Also where the instance has got another address meanwhile, and so another epoch.
  desk.restart();
  await desk.offer("one", secret("s-1", { epoch: 2 }));
  expect(desk.send({ epoch: 2 })).toBeUndefined();
});

test("what the guest has not acknowledged is given out in the next epoch as well", async () => {
  const desk = ledger();
  await desk.offer("one", secret("s-1"));
  desk.send();
  desk.passwords.epochBegan(NETWORK, GUEST, 2);
  await desk.offer("one", secret("s-1", { epoch: 2 }));
  expect(desk.send({ epoch: 2 })).toBe("one");
  await desk.acknowledge({ epoch: 2 });
  expect(told(desk)).toEqual(["s-1"]);
});

test("the same text with another id is another password", async () => {
  const desk = ledger();
  await desk.offer("one", secret("s-1"));
  await collect(desk);
  await desk.offer("one", secret("s-2"));
  expect(await collect(desk)).toBe("one");
  expect(told(desk)).toEqual(["s-1", "s-2"]);
});

test("what the store takes back and offers again is delivered, be it read meanwhile or not", async () => {
  for (const isRead of [false, true]) {
    const desk = ledger();
    await desk.offer("one", secret("s-1"));
    if (isRead) desk.send();
    await desk.offer(undefined, NONE);
    expect(desk.send()).toBeUndefined();
    if (isRead) await desk.acknowledge();
    desk.restart();
    expect(told(desk)).toEqual([]);
    await desk.offer("one", secret("s-1"));
    expect(told(desk)).toEqual([]);
    desk.time += 2 * MINUTE;
    expect(await collect(desk)).toBe("one");
    expect(told(desk)).toEqual(["s-1"]);
  }
});

test("what a guest read before it was replaced is not taken for the new one", async () => {
  const desk = ledger();
  await desk.offer("one", secret("s-1"));
  desk.send();
  await desk.offer("two", secret("s-2"));
  await desk.acknowledge();
  expect(told(desk)).toEqual([]);
  expect(await collect(desk)).toBe("two");
  expect(told(desk)).toEqual(["s-2"]);
});

test("a store takes back what is its own, and nothing that was handed in", async () => {
  const desk = ledger();
  await desk.offer("one", secret("s-1"));
  await desk.offer(undefined, NONE);
  expect(desk.send()).toBeUndefined();
  await desk.offer("by hand", { via: "save_password" });
  await desk.offer(undefined, NONE);
  expect(desk.send()).toBe("by hand");
  desk.restart();
  await desk.offer(undefined, NONE);
  expect(desk.send()).toBe("by hand");
  expect(told(desk)).toEqual([]);
});

test("one that cannot be delivered is not said to be", async () => {
  const desk = ledger();
  await desk.offer(" ", secret("s-1"));
  await desk.acknowledge();
  expect(told(desk)).toEqual([]);
  expect(desk.held()).toEqual([`PASSWORD_UNDELIVERABLE ${GUEST}`]);
});
