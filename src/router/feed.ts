/**
 * From a source to what guests see: makes changes visible, then durable.
 *
 * Guests come first: a batch is in the directory before anything is written, and nothing that is
 * written delays it. A command (`apply`) is both visible and durable before it is answered.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Ip } from "../model/address.ts";
import type { Binding, Body, NetworkId } from "../model/binding.ts";
import { type Change, VIA_STORE } from "../model/change.ts";
import { CommandError, SourceError, StateError } from "../model/errors.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { Log } from "../observe/log.ts";
import type { Source } from "../source/source.ts";
import {
  type Bound,
  canonicalPeer,
  changeOf,
  type Directory,
  type Entry as Known,
} from "./directory.ts";
import type { Passwords } from "./passwords.ts";
import type { BodyRef } from "./state/bodies.ts";
import type { SnapshotEntry } from "./state/entry.ts";
import type { RouterState } from "./state/state.ts";

/** So long after the start a command waits for the source, whose word it may go beyond. ms. */
const COMMAND_PATIENCE_MS = 5000;

/** A command waits this long for the disk: longer than a snapshot of 100,000 instances. ms. */
const DURABLE_MAX_MS = 10_000;

/** User data beyond this lies on the disk, sealed, and is read when it is asked for. Bytes. */
const BODY_IN_MEMORY_MAX = 64 * 1024;

/** A source that is being written at the start gets this long to become whole. ms. */
const FIRST_READ_PATIENCE_MS = 1000;
const FIRST_READ_RETRY_MS = 50;

/** Subject of a condition about the source as a whole. */
const SOURCE = "source";

export interface FeedPorts {
  readonly directory: Directory;
  readonly passwords: Passwords;
  readonly state: RouterState;
  readonly conditions: Conditions;
  readonly log: Log;
  readonly now: () => number;
  /** Told of changes once guests see them. */
  readonly onVisible?: (changes: readonly Change[]) => void;
}

type PasswordChange = Extract<Change, { kind: "password" }>;

const isPassword = (change: Change): change is PasswordChange => change.kind === "password";

export class Feed {
  readonly #ports: FeedPorts;
  #loadingSince: number | undefined;
  #trouble: SourceError | undefined;
  #looking: Promise<void> = Promise.resolve();
  #lastCommit: Promise<void> = Promise.resolve();
  #offloading: Promise<void> = Promise.resolve();
  #changes = 0;
  #lastChange = 0;
  /** While a look is under way: what it has shown, and is not on its way to the disk. */
  #shown: Change[] | undefined;

  constructor(ports: FeedPorts) {
    this.#ports = ports;
    this.#loadingSince = ports.now();
  }

  /** Whether guests get what an earlier run knew, because the source cannot be read. */
  get servesRemembered(): boolean {
    return this.#trouble !== undefined && this.#ports.directory.size > 0;
  }

  /** While the source has not been read once: since when. */
  get loadingSince(): number | undefined {
    return this.#loadingSince;
  }

  /** Changes that became visible since the start, and when the last one did. */
  get progress(): { readonly changes: number; readonly lastChange: number } {
    return { changes: this.#changes, lastChange: this.#lastChange };
  }

  /**
   * Follows a source until `signal` aborts. `onLook` runs after every look, the first included.
   *
   * @returns resolves when the source has been read once, or when it cannot be and what is
   *   remembered is served instead.
   * @throws {SourceError} if it cannot be read and nothing is remembered, and it is not awaited.
   */
  async run(source: Source, onLook: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const hints = source.changes(signal);
    this.#ports.state.bodies.onLost = (ref) => this.#restore(source, ref);
    if (source.glance !== undefined) {
      await source.glance(signal);
      await onLook();
    }
    try {
      await this.#firstLook(source, onLook, signal);
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      const isAwaited = source.isAwaited === true;
      if (this.#ports.directory.size === 0 && !isAwaited) throw error;
      this.#trouble = error;
      if (!isAwaited) this.#ports.conditions.raise(error.code, SOURCE, error.message);
      await onLook();
    }
    void this.#follow(source, hints, { onLook, signal });
  }

  /** Before the source has been read once: makes visible what can be said of who asks. */
  hasten(source: Source, peer: string): Known | undefined {
    const { directory } = this.#ports;
    const address = this.#loadingSince === undefined ? undefined : canonicalPeer(peer);
    if (address === undefined || source.hasten === undefined) return undefined;
    const changes = source.hasten(address);
    this.#tell(changes);
    return directory.find(peer);
  }

  /** Looks at the source once and makes visible what has changed. One look at a time. */
  look(source: Source, onLook: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const turn = this.#looking.then(async () => {
      const passwords: PasswordChange[] = [];
      const show = (some: readonly Change[]): void => {
        this.#show(some);
        for (const change of some) if (isPassword(change)) passwords.push(change);
      };
      const isFirst = this.#loadingSince !== undefined;
      this.#shown = [];
      try {
        show(await source.poll(signal, show));
      } finally {
        this.#keepShown();
        this.#shown = undefined;
      }
      if (isFirst && this.#ports.state.setAside) this.#forgetStated(passwords);
      this.#loadingSince = undefined;
      if (this.#trouble !== undefined) this.#ports.conditions.clear(this.#trouble.code, SOURCE);
      await onLook();
    });
    this.#looking = turn.catch(() => {});
    return turn;
  }

  /**
   * Applies one CloudStack command.
   *
   * @returns how many changes it made, when guests see them and they are durable.
   * @throws {CommandError} if the source takes no commands, or not this one.
   * @throws {StateError} if it is visible, but cannot be made durable.
   */
  async applyCommand(source: Source, text: string, name: string): Promise<number> {
    if (source.apply === undefined) {
      throw new CommandError("this router's source takes no commands; use --source databag:DIR");
    }
    await this.#sourceIsRead();
    const changes = source.apply(text, name);
    await inTime(this.#commit(changes));
    return changes.length;
  }

  /** Everything that a snapshot holds. */
  *entries(): Generator<SnapshotEntry> {
    const { directory, passwords } = this.#ports;
    for (const known of directory.entries()) {
      if (known.kind === "bound") yield { kind: "kept", kept: known };
      else yield { kind: "change", change: changeOf(known) };
    }
    for (const record of passwords.entries()) yield { kind: "password", record };
  }

  /** What is known at an address now. */
  current(network: NetworkId, address: Ip): Change {
    const known = this.#ports.directory.at(network, address);
    return known === undefined ? { kind: "delete", network, address } : changeOf(known);
  }

  /** Visible when it returns, durable when what it returns resolves. */
  #commit(changes: readonly Change[]): Promise<void> {
    this.#keepShown(); // In the order in which guests have seen it.
    if (changes.length === 0) return this.#isDurable();
    this.#apply(changes);
    return this.#keep(changes);
  }

  /** What nobody waits for: a part of the look that is under way, if one is. */
  #tell(changes: readonly Change[]): void {
    if (this.#shown !== undefined) this.#show(changes);
    // Failures are conditions, raised where the disk is.
    else this.#commit(changes).catch(() => {});
  }

  /** What a look has found: visible now, durable with the look's end, or before a command. */
  #show(changes: readonly Change[]): void {
    this.#apply(changes);
    for (const change of changes) this.#shown?.push(change);
  }

  #keepShown(): void {
    const shown = this.#shown?.splice(0) ?? [];
    // Failures are conditions, raised where the disk is; guests have the change already.
    if (shown.length > 0) this.#keep(shown).catch(() => {});
  }

  #apply(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    this.#ports.directory.apply(changes);
    this.#ports.onVisible?.(changes);
    this.#changes += changes.length;
    this.#lastChange = this.#ports.now();
  }

  /** Makes durable what is visible. */
  #keep(changes: readonly Change[]): Promise<void> {
    const { passwords, state } = this.#ports;
    // The journal passes passwords by; the ledger writes what it makes of them, behind the epochs.
    const durable = [state.appendChanges(changes)];
    for (const offer of changes.filter(isPassword)) durable.push(passwords.offer(offer));
    for (const change of changes) if (change.kind === "put") this.#offload(change.binding);
    this.#lastCommit = Promise.all(durable).then(() => {});
    return this.#lastCommit;
  }

  /** A databag may never come: where commands are all there is, they are enough. */
  async #sourceIsRead(): Promise<void> {
    const { now } = this.#ports;
    while (this.#loadingSince !== undefined && now() - this.#loadingSince < COMMAND_PATIENCE_MS) {
      await sleep(FIRST_READ_RETRY_MS);
    }
  }

  /** Whether what a repeated command says is safe: it is what was said before. */
  async #isDurable(): Promise<void> {
    try {
      await this.#lastCommit;
    } catch {
      await this.#ports.state.flush();
    }
  }

  /**
   * With the state gone, nobody knows whether a password that a file states was acknowledged. To
   * set an old password again would undo the user's own; to miss one costs another reset.
   */
  #forgetStated(changes: readonly PasswordChange[]): void {
    for (const change of changes) {
      // A store knows it all the same.
      if (!change.standing || change.password === undefined || change.via === VIA_STORE) continue;
      const cleared = { ...change, password: undefined, standing: false };
      this.#ports.passwords.offer(cleared).catch(() => {});
    }
  }

  /**
   * A large body is lost on the disk. One of those who have it is asked of the source again; where
   * that does not help, a condition holds, and the next start reads it.
   */
  #restore(source: Source, { hash, length }: BodyRef): void {
    const { directory, log } = this.#ports;
    const isLost = (body: Body): boolean =>
      body.length === length && !(body instanceof Uint8Array) && body.hash === hash;
    for (const known of directory.entries()) {
      if (known.kind !== "bound" || !bodiesOf(known).some(isLost)) continue;
      const { address } = known;
      const changes = source.again?.(address) ?? [];
      log.warn({ address, restored: changes.length > 0 }, "a body was lost on the disk");
      if (changes.length === 0) continue;
      this.#tell(changes);
      if (changes.some((change) => hasBody(change, length))) return;
    }
  }

  /** Until the disk has it, and when the disk is full, a large body is answered from memory. */
  #offload(binding: Binding): void {
    const { userData } = binding;
    if (!(userData instanceof Uint8Array) || userData.length <= BODY_IN_MEMORY_MAX) return;
    const { directory, state, log } = this.#ports;
    // One after the other, with a turn for guests in between: hashing a mebibyte takes a while.
    this.#offloading = this.#offloading.then(async () => {
      await new Promise((resolve) => setImmediate(resolve));
      try {
        const stored = await state.bodies.store(userData);
        if (stored === undefined) return;
        directory.moveUserData(binding, stored);
        state.requestSnapshot();
      } catch (error) {
        log.error({ err: error }, "a body could not be moved to the disk");
      }
    });
  }

  /** A source may be half written, or not be there yet, when the router starts with it. */
  async #firstLook(
    source: Source,
    onLook: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const { log, now } = this.#ports;
    const start = now();
    let said = false;
    while (!signal.aborted) {
      try {
        await this.look(source, onLook, signal);
        return;
      } catch (error) {
        if (!(error instanceof SourceError)) throw error;
        const missing = (error.cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
        const partial = error.code === "SOURCE_MALFORMED" && now() - start < FIRST_READ_PATIENCE_MS;
        if (!missing && !partial) throw error;
        if (missing && !said) log.warn({ reason: error.message }, "waiting for the source");
        said = true;
        await sleep(FIRST_READ_RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #follow(
    source: Source,
    hints: AsyncIterable<void>,
    { onLook, signal }: { onLook: () => Promise<void>; signal: AbortSignal },
  ): Promise<void> {
    for await (const _ of hints) {
      try {
        await this.look(source, onLook, signal);
      } catch (error) {
        if (signal.aborted) return;
        // A source says by a condition what it cannot read; anything else is a bug.
        if (error instanceof SourceError) continue;
        this.#ports.log.error({ err: error }, "a look at the source failed");
      }
    }
  }
}

/** What may lie on the disk of what answers at an address. */
function bodiesOf({ document: { userData, payloads = [] } }: Bound): readonly Body[] {
  const parts = payloads.flatMap((payload) => payload.parts);
  return userData === undefined ? parts : [userData, ...parts];
}

/** Whether it brings user data of this length, so probably what was lost. */
function hasBody(change: Change, length: number): boolean {
  if (change.kind !== "put") return false;
  const { userData } = change.binding;
  return userData instanceof Uint8Array && userData.length === length;
}

/** @throws {StateError} if it takes longer than a command may wait. It goes on all the same. */
async function inTime(durable: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const message = `not safe on the disk after ${DURABLE_MAX_MS / 1000} s (it is too slow)`;
    const tooLate = () => reject(new StateError("STATE_UNWRITABLE", message));
    timer = setTimeout(tooLate, DURABLE_MAX_MS);
  });
  try {
    await Promise.race([durable, late]);
  } finally {
    clearTimeout(timer);
  }
}
