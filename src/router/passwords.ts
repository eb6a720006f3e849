/**
 * The ledger of passwords: for each address at most one to deliver, until the guest says that it
 * has it.
 *
 * It promises: a password goes to the address and the epoch that it was meant for and to no other;
 * it is not given out again once it was acknowledged, be it stated again by other means; it is not
 * lost between the moment `offer` resolves and its acknowledgement, however long that takes. What
 * is kept of an acknowledged one is a keyed digest.
 */

import { createHmac } from "node:crypto";
import type { Ip } from "../model/address.ts";
import type { NetworkId } from "../model/binding.ts";
import { type Change, type Delivered, VIA_STORE } from "../model/change.ts";
import type { Conditions } from "../observe/conditions.ts";
import { isDeliverable, SAVED_PASSWORD } from "../protocol/password.ts";
import { AddressMap } from "./address-map.ts";
import type { Entry, PasswordEntry } from "./state/entry.ts";
import { Unclaimed } from "./unclaimed.ts";

export type PasswordChange = Extract<Change, { kind: "password" }>;

/** An acknowledgement waits this long for the disk: a guest's boot waits for it. ms. */
const ACKNOWLEDGE_WAIT_MS = 100;

/** A password equal to one acknowledged so recently is the same reset, come by another way. ms. */
const SAME_RESET_MS = 10 * 60_000;

/**
 * A guest repeats an acknowledgement whose answer was lost: three times, 20 s each, as CloudStack's
 * script and cloud-init do. ms.
 */
const REPEATED_ACKNOWLEDGEMENT_MS = 60_000;

/** Acknowledged passwords that are remembered for an address: more resets are no boots. */
const ACKNOWLEDGED_MAX = 16;

/** Addresses of which the ledger knows something; beyond, those without a password go. */
const RECORDS_MAX = 262_144;

/** 128 bits of a keyed digest: enough that no two passwords meet. Characters of base64url. */
const DIGEST_CHARACTERS = 22;

/** Subject of the condition that an acknowledgement was answered too early. */
const LATE = "acknowledged passwords";

export interface PasswordsOptions {
  /** Makes entries durable; rejects if it cannot, and keeps them. */
  readonly journal: (entries: readonly Entry[]) => Promise<void>;
  readonly digestKey: Uint8Array;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly conditions: Conditions;
  /** Told when a guest has a store's password and that is durable; again after a restart. */
  readonly onDelivered?: (delivered: Delivered) => void;
}

/** What is kept of an address in memory: its entry, and what needs no disk. */
interface Held {
  entry: PasswordEntry;
  /** The last write of `entry`, and what became of it. */
  written: Promise<void>;
  writing: "under way" | "done" | "failed";
  /** Whether the pending one was given to the guest; after a restart it may have been. */
  isSent: boolean;
  /** The id of the store's secret that was stated last, until its guest has it. */
  secretId?: string | undefined;
}

export class Passwords {
  readonly #options: PasswordsOptions;
  readonly #held = new AddressMap<Held>();
  readonly #unclaimed: Unclaimed;
  #isLate = false;

  constructor(options: PasswordsOptions) {
    this.#options = options;
    this.#unclaimed = new Unclaimed(options.now);
  }

  /** Takes back what an earlier run knew. */
  restore(entries: readonly PasswordEntry[]): void {
    for (const entry of entries) {
      this.#held.set(entry.network, entry.address, newHeld(entry, entry.former === undefined));
    }
  }

  /** All of it, for a snapshot. */
  *entries(): Generator<PasswordEntry> {
    for (const { entry } of this.#held.values()) yield entry;
  }

  /**
   * Takes a password to deliver, or the word that clears one. Resolves when it is durable.
   *
   * @throws {StateError} if it cannot be made durable now. It is delivered all the same.
   */
  async offer(change: PasswordChange): Promise<void> {
    const { network, address, epoch, standing } = change;
    const { conditions } = this.#options;
    const former = this.#held.get(network, address);
    const value = change.password ?? SAVED_PASSWORD;
    if (former !== undefined && epoch < former.entry.epoch) {
      const detail = `it came by ${change.via}`;
      if (value !== SAVED_PASSWORD) conditions.raise("PASSWORD_OUTDATED", address, detail);
      return;
    }
    const isStores = change.via === VIA_STORE;
    if (isStores && value === SAVED_PASSWORD && former?.entry.via !== VIA_STORE) return;
    conditions.clear("PASSWORD_OUTDATED", address);
    this.#unclaimed.take(address); // What came earlier counts no more.
    const isUseful = value === SAVED_PASSWORD || isDeliverable(value);
    this.#reportDeliverable(address, isUseful);

    const current = this.#inEpoch(former?.entry, change);
    const digest = this.#digest(network, address, value);
    const statement = this.#statement(change, digest);
    const isRepeated = standing && current.standing === statement;
    const entry = standing ? { ...current, standing: statement } : current;
    let next: PasswordEntry;
    if (isRepeated || !isUseful) next = entry;
    else if (value === SAVED_PASSWORD) next = isStores ? takenBack(entry) : without(entry);
    else if (entry.pending === value) next = isStores ? { ...entry, via: VIA_STORE } : entry;
    else if (!isStores && this.#isDone(entry, digest, standing)) {
      next = standing ? stated(entry, digest) : entry;
    } else next = { ...without(entry), pending: value, via: change.via };
    const kept = this.#keep(next);
    if (isStores && isUseful) this.#expect(change, kept);
    await kept;
  }

  /** Whoever has stated a secret hears when its guest has it; at once, if it has it already. */
  #expect({ network, address, of: secretId }: PasswordChange, kept: Promise<void>): void {
    const held = this.#held.get(network, address);
    if (held === undefined) return;
    held.secretId = secretId;
    if (held.entry.pending === undefined) this.#delivered(held, kept);
  }

  #delivered(held: Held, kept: Promise<void>): void {
    const { secretId } = held;
    if (secretId === undefined) return;
    held.secretId = undefined;
    const { network, address } = held.entry;
    const tell = () => this.#options.onDelivered?.({ network, address, secretId });
    kept.then(tell, tell); // A disk that cannot be written is no reason to give it out twice.
  }

  /** Takes a password for an address of which nothing is known: the next epoch there claims it. */
  hold(address: Ip, password: string): void {
    this.#unclaimed.hold(address, password);
  }

  /** The guest that has an address asks: what was held for it is its own. */
  claim(network: NetworkId, address: Ip, epoch: number): void {
    const password = this.#unclaimed.take(address);
    if (password === undefined) return;
    const via = "save_password";
    // In force at once. That it is not durable is a condition, raised where the disk is.
    this.offer({
      ...{ kind: "password", network, address, epoch, password, via, standing: false },
    }).catch(() => {});
  }

  /** An address has passed to another instance: nothing of the former one's is delivered. */
  epochBegan(network: NetworkId, address: Ip, epoch: number): void {
    this.#unclaimed.take(address);
    const held = this.#held.get(network, address);
    if (held === undefined || epoch <= held.entry.epoch) return;
    this.#options.conditions.clear("PASSWORD_UNDELIVERABLE", address);
    // Entries carry their epoch, so a restart does not need this one: nobody waits for it.
    this.#keep(this.#inEpoch(held.entry, { network, address, epoch })).catch(() => {});
  }

  /** The password that waits for the guest in this epoch. */
  pending(network: NetworkId, address: Ip, epoch: number): string | undefined {
    const entry = this.#held.get(network, address)?.entry;
    return entry?.epoch === epoch ? entry.pending : undefined;
  }

  /** `pending`, on its way to the guest: what it acknowledges next is this one. */
  send(network: NetworkId, address: Ip, epoch: number): string | undefined {
    const held = this.#held.get(network, address);
    if (held === undefined || held.entry.epoch !== epoch) return undefined;
    if (held.entry.pending === undefined) return undefined;
    held.isSent = true;
    const { former, ...entry } = held.entry;
    // From now on an acknowledgement means this one. Nobody waits for that: guests come first.
    if (former !== undefined) this.#keep(entry).catch(() => {});
    return entry.pending;
  }

  /**
   * The guest has its password. From this moment on it is not given out again; resolves when that
   * is durable, or after 100 ms.
   */
  async acknowledge(network: NetworkId, address: Ip, epoch: number): Promise<void> {
    const held = this.#held.get(network, address);
    if (held === undefined || held.entry.epoch !== epoch) return;
    const { former, ...entry } = held.entry;
    if (former !== undefined) {
      await this.#inTime(this.#keep(this.#withAcknowledged(entry, former, true)));
    } else if (entry.pending !== undefined && !this.#isRepetition(held)) {
      held.isSent = false;
      const digest = this.#digest(network, address, entry.pending);
      const done = this.#withAcknowledged(entry, digest, textStated(entry) === digest);
      const kept = this.#keep(without(done));
      this.#delivered(held, kept);
      await this.#inTime(kept);
    } else if (held.writing === "under way") await this.#inTime(held.written);
  }

  /** How many wait for their guests. */
  get pendingCount(): number {
    let count = 0;
    for (const { entry } of this.#held.values()) if (entry.pending !== undefined) count++;
    return count;
  }

  /** An address's entry as it is in an epoch: of a former one only the statement is remembered. */
  #inEpoch(
    entry: PasswordEntry | undefined,
    at: { readonly network: NetworkId; readonly address: Ip; readonly epoch: number },
  ): PasswordEntry {
    if (entry !== undefined && entry.epoch >= at.epoch) return entry;
    const { network, address, epoch } = at;
    const fresh = { network, address, epoch, acknowledged: [] };
    if (entry?.standing === undefined) return fresh;
    // An instance that comes back gets what was stated for it and it has not acknowledged.
    const text = textStated(entry);
    const isOwed = entry.standing !== text && this.#digestOf(entry) === text;
    return isOwed ? fresh : { ...fresh, standing: entry.standing };
  }

  /** Puts `entry` in force at once. Resolves when it is durable. */
  #keep(entry: PasswordEntry): Promise<void> {
    const { network, address } = entry;
    const held = this.#held.get(network, address);
    if (held === undefined) {
      const isEmpty = entry.pending === undefined && entry.standing === undefined;
      return isEmpty ? Promise.resolve() : this.#write(this.#add(entry));
    }
    const former = held.entry;
    if (isSame(former, entry)) return held.writing === "failed" ? this.#write(held) : held.written;
    // The same text in another epoch is another password: its guest has not read it.
    const isSamePassword = former.pending === entry.pending && former.epoch === entry.epoch;
    held.entry = isSamePassword ? entry : this.#replaced(held, entry);
    return this.#write(held);
  }

  /** Another password is pending, or none: what does the guest's next acknowledgement mean? */
  #replaced(held: Held, by: PasswordEntry): PasswordEntry {
    const { epoch, pending, former } = held.entry;
    const { former: _, ...entry } = by;
    const read = held.isSent && pending !== undefined ? this.#digestOf(held.entry) : former;
    held.isSent = by.epoch === epoch && read !== undefined && read === this.#digestOf(by);
    return by.epoch === epoch && read !== undefined && !held.isSent
      ? { ...entry, former: read }
      : entry;
  }

  /** Of the pending one. */
  #digestOf({ network, address, pending }: PasswordEntry): string | undefined {
    return pending === undefined ? undefined : this.#digest(network, address, pending);
  }

  #add(entry: PasswordEntry): Held {
    if (this.#held.size >= RECORDS_MAX) this.#removeOldest();
    const held = newHeld(entry, false);
    this.#held.set(entry.network, entry.address, held);
    return held;
  }

  #removeOldest(): void {
    for (const { entry } of this.#held.values()) {
      if (entry.pending !== undefined) continue;
      this.#held.delete(entry.network, entry.address);
      return;
    }
  }

  #write(held: Held): Promise<void> {
    const { entry } = held;
    held.writing = "under way";
    const written = this.#options.journal([{ kind: "password", record: entry }]);
    held.written = written;
    const settle = (writing: Held["writing"]) => () => {
      if (held.written === written) held.writing = writing;
      if (this.#isLate) this.#options.conditions.clear("STATE_UNWRITABLE", LATE);
      this.#isLate = false;
    };
    written.then(settle("done"), settle("failed"));
    return written;
  }

  /** Waits for the disk, but not for long. A failure is kept and reported where the disk is. */
  async #inTime(written: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"late">((resolve) => {
      timer = setTimeout(() => resolve("late"), ACKNOWLEDGE_WAIT_MS);
    });
    const outcome = await Promise.race([written.catch(() => {}), late]);
    clearTimeout(timer);
    if (outcome !== "late") return;
    this.#isLate = true;
    const detail = "a guest was answered before its acknowledgement was durable";
    this.#options.conditions.raise("STATE_UNWRITABLE", LATE, detail);
  }

  /** Whether this password was acknowledged already, as the same reset. */
  #isDone(entry: PasswordEntry, digest: string, standing: boolean): boolean {
    const now = this.#options.now();
    return entry.acknowledged.some(({ digest: known, at, stated }) => {
      if (known !== digest) return false;
      // A file that states it for the first time states the reset that came by another way.
      return now - at < SAME_RESET_MS || (standing && !stated);
    });
  }

  /**
   * Whether an acknowledgement can only repeat an earlier one: the guest has not read what is
   * pending now, and has just acknowledged another.
   */
  #isRepetition({ entry, isSent }: Held): boolean {
    const last = entry.acknowledged.at(-1);
    if (isSent || last === undefined) return false;
    return this.#options.now() - last.at < REPEATED_ACKNOWLEDGEMENT_MS;
  }

  #withAcknowledged(entry: PasswordEntry, digest: string, stated: boolean): PasswordEntry {
    const now = this.#options.now();
    const others = entry.acknowledged.filter(
      (known) => known.digest !== digest && (now - known.at < SAME_RESET_MS || !known.stated),
    );
    const acknowledged = [...others, { digest, at: now, stated }].slice(-ACKNOWLEDGED_MAX);
    return { ...entry, acknowledged };
  }

  #reportDeliverable(address: Ip, isDeliverable: boolean): void {
    const { conditions } = this.#options;
    if (isDeliverable) conditions.clear("PASSWORD_UNDELIVERABLE", address);
    else conditions.raise("PASSWORD_UNDELIVERABLE", address);
  }

  /** What is kept of a file's statement. */
  #statement({ network, address, of }: PasswordChange, digest: string): string {
    return of === undefined ? digest : `${digest}.${this.#digest(network, address, digest, of)}`;
  }

  #digest(network: NetworkId, address: Ip, ...texts: readonly string[]): string {
    const hmac = createHmac("sha256", this.#options.digestKey);
    // Bound to the address, so that equal passwords of two guests do not show.
    hmac.update(JSON.stringify([network, address, ...texts]));
    return hmac.digest("base64url").slice(0, DIGEST_CHARACTERS);
  }
}

/** The digest of the text that a file last stated, whomever it was for. */
function textStated({ standing }: PasswordEntry): string | undefined {
  return standing?.split(".", 1)[0];
}

function newHeld(entry: PasswordEntry, isSent: boolean): Held {
  return { entry, written: Promise.resolve(), writing: "done", isSent };
}

function without({ pending, via, ...rest }: PasswordEntry): PasswordEntry {
  return rest;
}

/**
 * A store takes back what no guest has acknowledged. That it was stated is forgotten with it: when
 * the store offers it again, it is to be delivered.
 */
function takenBack(entry: PasswordEntry): PasswordEntry {
  const { standing: _, ...rest } = without(entry);
  return rest;
}

function stated(entry: PasswordEntry, digest: string): PasswordEntry {
  const acknowledged = entry.acknowledged.map((known) =>
    known.digest === digest ? { ...known, stated: true } : known,
  );
  return { ...entry, acknowledged };
}

/** Whether there is nothing to write. */
function isSame(a: PasswordEntry, b: PasswordEntry): boolean {
  return (
    a.epoch === b.epoch &&
    a.pending === b.pending &&
    a.former === b.former &&
    a.standing === b.standing &&
    a.acknowledged === b.acknowledged
  );
}
