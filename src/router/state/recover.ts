/**
 * What an earlier run left: the snapshot, and the journals from the generation that it names.
 *
 * All of it counts or none: an old binding without the change that ended it would answer another
 * tenant's guest. So when one file cannot be relied on, all are set aside and the start is empty.
 */

import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Ip } from "../../model/address.ts";
import type { NetworkId } from "../../model/binding.ts";
import { type Change, placeOf } from "../../model/change.ts";
import { decodeFrame, type OpenBody } from "./decode.ts";
import type { Disk } from "./disk.ts";
import type { Entry, PasswordEntry, Recovered } from "./entry.ts";
import { ASIDE_MAX } from "./limits.ts";
import { type Reading, readSealed } from "./read.ts";
import type { FileKind } from "./seal.ts";

export interface Recovery {
  readonly recovered: Recovered;
  /** The generation for the next journal: never used before. */
  readonly next: number;
  /** Whether there are journals, which a snapshot would make shorter. */
  readonly hasJournals: boolean;
  /** True when nothing of an earlier run was found, be it readable or not. */
  readonly isFirst: boolean;
  /** What could not be relied on. */
  readonly damage?: { readonly path: string; readonly why: string };
}

const JOURNAL = /^journal\.([0-9]{1,15})$/;
const ASIDE = /\.aside-([0-9]+)$/;
const NOTHING: Recovered = { changes: [], passwords: [] };

export function recover(options: {
  folder: string;
  realm: string;
  sealKey: Uint8Array;
  openBody: OpenBody;
}): Recovery {
  const { folder, realm, sealKey, openBody } = options;
  const names = listFolder(folder);
  const generations = generationsIn(names);
  const known = new Known();
  let frames = 0;
  const read = (name: string, kind: FileKind): Reading => {
    const onFrame = (content: Buffer) => {
      frames++;
      decodeFrame(content, openBody, (entry) => known.take(entry));
    };
    return readSealed({
      path: join(folder, name),
      sealKey,
      identity: { kind, label: realm },
      onFrame,
    });
  };

  const snapshot = read("snapshot", "snapshot");
  const from = snapshot.outcome === "whole" ? snapshot.number : 0;
  const journals = generations.filter((generation) => generation >= from);
  const next = Math.max(from - 1, generations.at(-1) ?? 0) + 1;
  const fail = (name: string, why: string): Recovery => ({
    recovered: NOTHING,
    next,
    hasJournals: false,
    isFirst: false,
    damage: { path: join(folder, name), why },
  });

  const problem = problemOf(snapshot, { mustEnd: true });
  if (problem !== undefined) return fail("snapshot", problem);
  for (const generation of journals) {
    const name = `journal.${generation}`;
    const journal = read(name, "journal");
    const problem = problemOf(journal, { generation });
    if (problem !== undefined) return fail(name, problem);
  }
  const isFirst = frames === 0 && !names.some((name) => ASIDE.test(name));
  return { recovered: known.all(), next, hasJournals: journals.length > 0, isFirst };
}

function problemOf(
  reading: Reading,
  expected: { mustEnd?: boolean; generation?: number },
): string | undefined {
  if (reading.outcome === "damaged") return reading.why;
  if (reading.outcome === "torn") {
    // A snapshot is renamed when it is whole and durable; a journal ends wherever power failed.
    return expected.mustEnd ? "it ends too early" : undefined;
  }
  if (reading.outcome === "absent") return undefined;
  if (expected.mustEnd && !reading.ended) return "it ends too early";
  const { generation = reading.number } = expected;
  return reading.number === generation ? undefined : "it was renamed";
}

/** Of several entries for an address, the last counts. */
class Known {
  readonly #changes = new Lasting<Change>();
  readonly #passwords = new Lasting<PasswordEntry>();

  take(entry: Entry): void {
    if (entry.kind === "password") {
      const { network, address } = entry.record;
      this.#passwords.set(network, address, entry.record);
      return;
    }
    const { change } = entry;
    const { network, address } = placeOf(change);
    this.#changes.set(network, address, change.kind === "delete" ? undefined : change);
  }

  all(): Recovered {
    return { changes: this.#changes.values(), passwords: this.#passwords.values() };
  }
}

/** The last value of each address, in the order of the first. */
class Lasting<T> {
  readonly #networks = new Map<NetworkId, Map<Ip, number>>();
  readonly #values: (T | undefined)[] = [];
  /** Most entries are of the same network as the one before. */
  #network: NetworkId | undefined;
  #places = new Map<Ip, number>();
  #hasGaps = false;

  set(network: NetworkId, address: Ip, value: T | undefined): void {
    if (value === undefined) this.#hasGaps = true;
    if (network !== this.#network) this.#enter(network);
    const place = this.#places.get(address);
    if (place !== undefined) this.#values[place] = value;
    else this.#places.set(address, this.#values.push(value) - 1);
  }

  values(): readonly T[] {
    const values = this.#values;
    return this.#hasGaps ? values.filter((value) => value !== undefined) : (values as T[]);
  }

  #enter(network: NetworkId): void {
    this.#network = network;
    this.#places = this.#networks.get(network) ?? new Map();
    this.#networks.set(network, this.#places);
  }
}

/** Moves the files of a realm out of the way, and keeps only the last few sets. */
export async function setAside(folder: string, time: number, disk: Disk): Promise<void> {
  const names = listFolder(folder);
  for (const name of names) {
    if (name !== "snapshot" && !JOURNAL.test(name)) continue;
    await disk.rename(join(folder, name), join(folder, `${name}.aside-${time}`));
  }
  const sets = new Map<string, string[]>();
  for (const name of listFolder(folder)) {
    const set = ASIDE.exec(name)?.[1];
    if (set !== undefined) sets.set(set, [...(sets.get(set) ?? []), name]);
  }
  const oldest = [...sets.keys()].sort((a, b) => Number(a) - Number(b)).slice(0, -ASIDE_MAX);
  for (const name of oldest.flatMap((set) => sets.get(set) ?? [])) {
    await disk.remove(join(folder, name));
  }
}

/** Removes journals that a snapshot has made superfluous. */
export async function removeJournalsBelow(
  folder: string,
  generation: number,
  disk: Disk,
): Promise<void> {
  for (const old of generationsIn(listFolder(folder))) {
    if (old < generation) await disk.remove(join(folder, `journal.${old}`));
  }
}

/** In ascending order. */
function generationsIn(names: readonly string[]): readonly number[] {
  return names
    .flatMap((name) => JOURNAL.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

function listFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Not made yet: a first start on a disk that cannot be written.
  }
}
