/**
 * Goal: whenever the program is killed or the power fails, with large batches among single changes
 * and passwords, what was promised is there, nothing older comes back, and no password is there
 * without the binding that it is meant for.
 * Method: the same story ended at each call to the disk in turn, with a disk on which snapshots
 * succeed, and with one on which two of three do not; then a restart, compared with all that each
 * address ever was.
 */

import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { brokenDisk, chances, fragileDisk, noSpace } from "../../../test/state/disks.ts";
import {
  addressOf,
  binding,
  entriesOf,
  MEMORY,
  open,
  password,
  scratch,
} from "../../../test/state/samples.ts";
import type { Ip } from "../../model/address.ts";
import type { Change } from "../../model/change.ts";
import type { Entry } from "./entry.ts";

const ADDRESSES = 10;
const LARGE = 5;
const STEPS = 30;

/** What was said of an address, in order, and how far the disk has promised. */
interface History {
  /** Of bindings: an epoch, or 0 for nothing. Of passwords: the step. */
  readonly said: number[];
  promised: number;
}

/** What there is to know of all addresses. */
interface Story {
  readonly bindings: readonly History[];
  readonly passwords: readonly History[];
  readonly calls: number;
}

interface Circumstances {
  readonly seed: number;
  readonly isPowerLoss: boolean;
  readonly isFull: boolean;
}

const histories = () =>
  Array.from({ length: ADDRESSES }, (): History => ({ said: [0], promised: 0 }));

/** Notes what is said, and answers what to do when it is promised. */
function say(history: History | undefined, what: number): () => void {
  const place = (history?.said.push(what) ?? 0) - 1;
  return () => {
    if (history !== undefined) history.promised = Math.max(history.promised, place);
  };
}

/** Runs the story until its end, or until the disk stops at `callsMax`. */
async function run(dir: string, callsMax: number, circumstances: Circumstances): Promise<Story> {
  const { seed, isPowerLoss, isFull } = circumstances;
  const chance = chances(seed);
  const fragile = fragileDisk(callsMax);
  let snapshots = 0;
  const disk = brokenDisk((call, path) => {
    if (!path.endsWith("snapshot.new")) return undefined;
    if (call === "create") snapshots++;
    if (isFull && call === "write" && snapshots % 3 !== 0) throw noSpace();
    return undefined;
  }, fragile.disk);
  const story = { bindings: histories(), passwords: histories() };
  const tell = async (): Promise<void> => {
    const times = { snapshotFirstMs: 60_000, snapshotIntervalMs: 0, retryMs: 1 };
    const opened = await open(dir, { disk, ...times, journalChangesMax: LARGE - 1 });
    const { state } = opened;
    const known = new Map<Ip, Change>();
    const passwords = new Map<Ip, Entry>();
    state.provideSnapshot(
      () => [...[...known.values()].map(entryOf), ...passwords.values()],
      (network, address) => known.get(address) ?? { kind: "delete", network, address },
    );
    for (let step = 1; step <= STEPS; step++) {
      const isLarge = chance() < 0.3;
      const first = Math.floor(chance() * ADDRESSES);
      const changes: Change[] = [];
      const promises: (() => void)[] = [];
      for (let index = 0; index < (isLarge ? LARGE + 2 : 1); index++) {
        const at = (first + index) % ADDRESSES;
        const isGone = chance() < 0.2;
        const change = isGone ? gone(at) : putOf(at, step);
        if (isGone) known.delete(addressOf(at));
        else known.set(addressOf(at), change);
        changes.push(change);
        promises.push(say(story.bindings[at], isGone ? 0 : step));
      }
      const durable = state.appendChanges(changes).then(
        () => promises.forEach((promise) => void promise()),
        () => {},
      );
      const named = (first + 1) % ADDRESSES;
      const entry = known.get(addressOf(named));
      if (entry?.kind === "put" && chance() < 0.5) {
        const record = password(named, `password of ${step}`, entry.binding.epoch);
        passwords.set(addressOf(named), record);
        const promise = say(story.passwords[named], step);
        void state.append([record]).then(promise, () => {});
      }
      if (chance() < 0.5) await durable;
    }
    await state.flush().catch(() => {});
    await state.close();
  };
  await Promise.race([tell(), fragile.stopped]);
  await fragile.settle();
  if (isPowerLoss) fragile.losePower(chance);
  return { ...story, calls: fragile.calls() };
}

function entryOf(change: Change): Entry {
  return { kind: "change", change };
}

function putOf(index: number, epoch: number): Change {
  return { kind: "put", binding: binding(index, { epoch }) };
}

function gone(index: number): Change {
  return { kind: "delete", network: "204", address: addressOf(index) };
}

async function check(dir: string, story: Story, context: object): Promise<void> {
  rmSync(join(dir, "lock"), { force: true }); // Its holder is this process, which was not killed.
  await using opened = await open(dir);
  expect({ ...context, setAside: opened.state.setAside }).toEqual({ ...context, setAside: false });
  const epochs = new Map<Ip, number>();
  const records = new Map<Ip, { step: number; epoch: number }>();
  for (const entry of entriesOf(opened.state)) {
    if (entry.kind === "password") {
      const { address, epoch, pending } = entry.record;
      records.set(address, { step: Number(pending?.split(" ").at(-1)), epoch });
    } else if (entry.change.kind === "put") {
      epochs.set(entry.change.binding.address, entry.change.binding.epoch);
    }
  }
  for (let index = 0; index < ADDRESSES; index++) {
    const address = addressOf(index);
    const epoch = epochs.get(address) ?? 0;
    const record = records.get(address);
    const { said, promised } = story.bindings[index] as History;
    const offered = story.passwords[index] as History;
    const found = {
      isPossible: said.slice(promised).includes(epoch),
      isPossiblePassword: offered.said.slice(offered.promised).includes(record?.step ?? 0),
      // What the binding is found as came with or after the epoch of the password.
      isBound: record === undefined || said.lastIndexOf(epoch) >= said.indexOf(record.epoch),
    };
    expect({
      ...context,
      index,
      epoch,
      record,
      story: { said, promised, offered },
      ...found,
    }).toEqual({
      ...{ ...context, index, epoch, record, story: { said, promised, offered } },
      ...{ isPossible: true, isPossiblePassword: true, isBound: true },
    });
  }
}

for (const isPowerLoss of [false, true]) {
  for (const isFull of [false, true]) {
    const what = isPowerLoss ? "the power fails" : "the program is killed";
    const how = isFull ? ", on a disk with little room for snapshots" : "";
    test(`whenever ${what}${how}, batches and what is behind them keep their promises`, async () => {
      for (let seed = 1; seed <= 2; seed++) {
        using whole = scratch(MEMORY);
        const all = { seed, isPowerLoss: false, isFull };
        const { calls } = await run(whole.path, Number.POSITIVE_INFINITY, all);
        expect(calls).toBeGreaterThan(80);
        for (let callsMax = 0; callsMax < calls; callsMax++) {
          using folder = scratch(MEMORY);
          const story = await run(folder.path, callsMax, { seed, isPowerLoss, isFull });
          await check(folder.path, story, { seed, callsMax });
        }
      }
    }, 60_000);
  }
}
