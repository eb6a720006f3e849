/**
 * Goal: whenever the program is killed or the power fails, what `append` resolved for is there, and
 * nothing that never was.
 * Method: the same story of changes and snapshots, ended at each call to the disk in turn; then a
 * restart, compared with everything that each address ever was.
 */

import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { chances, fragileDisk } from "../../../test/state/disks.ts";
import { addressOf, entriesOf, MEMORY, open, put, scratch } from "../../../test/state/samples.ts";
import type { Entry } from "./entry.ts";

const ADDRESSES = 4;
const STEPS = 40;

/** What an address was, in order: an epoch, or 0 for nothing. */
interface History {
  readonly epochs: number[];
  /** Up to here the disk has promised. */
  promised: number;
}

interface Story {
  readonly histories: readonly History[];
  readonly calls: number;
}

/** Runs the story until its end, or until the disk stops at `callsMax`. */
async function run(dir: string, callsMax: number, options: { seed: number; isPowerLoss: boolean }) {
  const chance = chances(options.seed);
  const histories = Array.from(
    { length: ADDRESSES },
    (): History => ({ epochs: [0], promised: 0 }),
  );
  const { disk, ...fragile } = fragileDisk(callsMax);
  const tell = async (): Promise<void> => {
    const opened = await open(dir, { disk, snapshotFirstMs: 60_000, snapshotIntervalMs: 60_000 });
    const memory = new Map<number, Entry>();
    opened.state.provideSnapshot(() => memory.values());
    for (let step = 1; step <= STEPS; step++) {
      const index = Math.floor(chance() * ADDRESSES);
      const history = histories[index] as History;
      const isDelete = chance() < 0.2;
      const entry = isDelete ? gone(index) : put(index, { epoch: step });
      if (isDelete) memory.delete(index);
      else memory.set(index, entry);
      const place = history.epochs.push(isDelete ? 0 : step) - 1;
      const appended = opened.state.append([entry]).then(() => {
        history.promised = Math.max(history.promised, place);
      });
      if (chance() < 0.3) void opened.state.flush().catch(() => {});
      if (chance() < 0.5) await appended;
    }
    await opened.state.flush();
    await opened.state.close();
  };
  await Promise.race([tell(), fragile.stopped]);
  await fragile.settle();
  if (options.isPowerLoss) fragile.losePower(chance);
  const story: Story = { histories, calls: fragile.calls() };
  return story;
}

function gone(index: number): Entry {
  return {
    kind: "change",
    change: { kind: "delete", network: "204", address: addressOf(index) },
  };
}

async function check(dir: string, { histories }: Story, context: object): Promise<void> {
  rmSync(join(dir, "lock"), { force: true }); // Its holder is this process, which was not killed.
  await using opened = await open(dir);
  expect({ ...context, setAside: opened.state.setAside }).toEqual({ ...context, setAside: false });
  const found = new Map<string, number>();
  for (const entry of entriesOf(opened.state)) {
    if (entry.kind === "change" && entry.change.kind === "put") {
      found.set(entry.change.binding.address, entry.change.binding.epoch);
    }
  }
  for (const [index, { epochs, promised }] of histories.entries()) {
    const epoch = found.get(addressOf(index)) ?? 0;
    const possible = epochs.slice(promised);
    expect({ ...context, index, epoch, possible }).toEqual({
      ...context,
      index,
      epoch: possible.includes(epoch) ? epoch : Number.NaN,
      possible,
    });
  }
}

for (const isPowerLoss of [false, true]) {
  const what = isPowerLoss ? "the power fails" : "the program is killed";
  test(`whenever ${what}, every promise is kept`, async () => {
    for (let seed = 1; seed <= 2; seed++) {
      using whole = scratch(MEMORY);
      const { calls } = await run(whole.path, Number.POSITIVE_INFINITY, {
        seed,
        isPowerLoss: false,
      });
      expect(calls).toBeGreaterThan(50);
      for (let callsMax = 0; callsMax < calls; callsMax++) {
        using folder = scratch(MEMORY);
        const story = await run(folder.path, callsMax, { seed, isPowerLoss });
        await check(folder.path, story, { seed, callsMax });
      }
    }
  }, 60_000);
}
