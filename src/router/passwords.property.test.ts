/**
 * Goal: whatever comes in whatever order, restarts included, a password is never given out after
 * its acknowledgement, never to another address or epoch, and never lost.
 * Method: random stories, told to the ledger and to a model that keeps everything and looks all of
 * it through.
 */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { ledger, MINUTE, NETWORK } from "../../test/state/ledger.ts";
import { parseIp } from "../model/address.ts";

const ADDRESSES = [parseIp("10.1.1.5"), parseIp("10.1.1.6")];
const CLEAR = "saved_password";
const UNDELIVERABLE = ["bad_request", " x"];

type Step =
  | {
      readonly do: "offer";
      readonly who: number;
      readonly password: string;
      readonly standing: boolean;
      readonly epochs: number;
    }
  | { readonly do: "read" | "acknowledge"; readonly who: number }
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "restart" }
  | { readonly do: "epoch"; readonly who: number };

const who = fc.nat(ADDRESSES.length - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("offer" as const),
      who,
      password: fc.constantFrom("one", "two", "three", CLEAR, ...UNDELIVERABLE),
      standing: fc.boolean(),
      epochs: fc.constantFrom(0, 0, 0, 0, 1, -1),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("read" as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("acknowledge" as const), who }) },
  fc.record({
    do: fc.constant("pass" as const),
    ms: fc.constantFrom(1, 59_000, 4 * MINUTE, 11 * MINUTE),
  }),
  fc.record({ do: fc.constant("restart" as const) }),
  fc.record({ do: fc.constant("epoch" as const), who }),
);

/** Everything that ever happened to an address. */
class Model {
  epoch = 1;
  /** What is to be delivered, and whether the guest may have read it. */
  pending: { readonly password: string; isRead: boolean } | undefined;
  /** What the guest has read, when that was replaced. */
  former: string | undefined;
  lastStatement: string | undefined;
  /** In this epoch. `stated`: a file had stated it by the time of its acknowledgement. */
  acknowledged: { readonly password: string; readonly at: number; stated: boolean }[] = [];

  beginEpoch(epoch: number): void {
    if (epoch <= this.epoch) return;
    this.epoch = epoch;
    this.pending = undefined;
    this.former = undefined;
    this.acknowledged = [];
  }

  offer(password: string, { standing, now }: { standing: boolean; now: number }): void {
    const isOldNews = standing && this.lastStatement === password;
    if (standing) this.lastStatement = password;
    if (isOldNews || UNDELIVERABLE.includes(password)) return;
    if (password === CLEAR) {
      if (this.pending?.isRead) this.former = this.pending.password;
      this.pending = undefined;
      return;
    }
    if (this.pending?.password === password) return;
    const same = this.acknowledged.filter((known) => known.password === password);
    const isDone = same.some(({ at, stated }) => now - at < 10 * MINUTE || (standing && !stated));
    if (isDone) {
      if (standing) for (const known of same) known.stated = true;
      return;
    }
    if (this.pending?.isRead) this.former = this.pending.password;
    // Replaced and put back: the guest has read it already.
    this.pending = { password, isRead: this.former === password };
    if (this.former === password) this.former = undefined;
  }

  read(): string | undefined {
    if (this.pending === undefined) return undefined;
    this.pending.isRead = true;
    this.former = undefined;
    return this.pending.password;
  }

  acknowledge(now: number): void {
    const { former, pending } = this;
    const last = this.acknowledged.at(-1);
    if (former !== undefined) {
      this.former = undefined;
      this.#note(former, { now, stated: true });
    } else if (pending !== undefined) {
      if (!pending.isRead && last !== undefined && now - last.at < MINUTE) return;
      this.pending = undefined;
      this.#note(pending.password, { now, stated: this.lastStatement === pending.password });
    }
  }

  #note(password: string, { now, stated }: { now: number; stated: boolean }): void {
    this.acknowledged = this.acknowledged.filter((known) => known.password !== password);
    this.acknowledged.push({ password, at: now, stated });
  }

  /** After a restart it is not known whether the guest has read it, so it counts as read. */
  restart(): void {
    if (this.pending !== undefined && this.former === undefined) this.pending.isRead = true;
  }
}

/** What nobody waits for is durable by now. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test("the ledger and the model agree, whatever happens", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      const desk = ledger();
      const models = ADDRESSES.map(() => new Model());
      // The ledger has heard of the addresses, so that it knows which epochs are over.
      const known = { network: NETWORK, epoch: 1, acknowledged: [] };
      desk.durable.push(...ADDRESSES.map((address) => ({ ...known, address })));
      desk.restart();
      for (const [number, step] of steps.entries()) {
        await settled();
        if (step.do === "pass") desk.time += step.ms;
        else if (step.do === "restart") {
          desk.restart();
          for (const model of models) model.restart();
        } else {
          const address = ADDRESSES[step.who] as (typeof ADDRESSES)[number];
          const model = models[step.who] as Model;
          if (step.do === "epoch") {
            model.beginEpoch(model.epoch + 1);
            desk.passwords.epochBegan(NETWORK, address, model.epoch);
          } else if (step.do === "offer") {
            const { password, standing } = step;
            const epoch = model.epoch + step.epochs;
            await desk.offer(password, { address, epoch, standing });
            if (epoch >= model.epoch) {
              model.beginEpoch(epoch);
              model.offer(password, { standing, now: desk.time });
            }
          } else if (step.do === "read") {
            const given = desk.send({ address, epoch: model.epoch });
            expect({ number, given }).toEqual({ number, given: model.read() });
          } else {
            await desk.acknowledge({ address, epoch: model.epoch });
            model.acknowledge(desk.time);
          }
        }
        for (const [index, { epoch, pending }] of models.entries()) {
          const address = ADDRESSES[index] as (typeof ADDRESSES)[number];
          for (const asked of [epoch - 1, epoch, epoch + 1]) {
            const found = desk.passwords.pending(NETWORK, address, asked);
            const expected = asked === epoch ? pending?.password : undefined;
            expect({ number, index, asked, found }).toEqual({
              number,
              index,
              asked,
              found: expected,
            });
          }
        }
      }
    }),
    { numRuns: 500 },
  );
}, 30_000);

test("a guest loses nothing by an acknowledgement, and gets nothing a second time", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      const desk = ledger();
      const epochs = ADDRESSES.map(() => 1);
      const read = new Map<number, string>();
      const done: { who: number; epoch: number; password: string; at: number }[] = [];
      for (const step of steps) {
        await settled();
        if (step.do === "pass") desk.time += step.ms;
        else if (step.do === "restart") desk.restart();
        else {
          const { who } = step;
          const address = ADDRESSES[who] as (typeof ADDRESSES)[number];
          const epoch = epochs[who] as number;
          if (step.do === "epoch") {
            epochs[who] = epoch + 1;
            desk.passwords.epochBegan(NETWORK, address, epoch + 1);
            read.delete(who);
          } else if (step.do === "offer") {
            const { password, standing } = step;
            await desk.offer(password, { address, epoch, standing });
          } else if (step.do === "read") {
            const password = desk.send({ address, epoch });
            if (password === undefined) continue;
            const again = done.find(
              (known) => known.who === who && known.epoch === epoch && known.password === password,
            );
            if (again !== undefined)
              expect(desk.time - again.at).toBeGreaterThanOrEqual(10 * MINUTE);
            read.set(who, password);
          } else {
            const password = read.get(who);
            if (password === undefined) continue; // No guest acknowledges what it has not read.
            const before = desk.passwords.pending(NETWORK, address, epoch);
            await desk.acknowledge({ address, epoch });
            // What it has not read is not lost by it.
            const after = before === password ? undefined : before;
            expect(desk.passwords.pending(NETWORK, address, epoch)).toBe(after as string);
            read.delete(who);
            done.unshift({ who, epoch, password, at: desk.time });
          }
        }
      }
    }),
    { numRuns: 500 },
  );
}, 30_000);
