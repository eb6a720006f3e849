/**
 * The databag source: instances as CloudStack's own router knows them, from /etc/cloudstack.
 *
 * The databags are rewritten in place, at any time, and merged by programs that replace what they
 * cannot read. So each file keeps its last good state, an instance is served as long as its lease
 * lives, and no address is answered with the metadata of the one who had it before. Commands
 * (`apply`) overtake the databags and cost the same however many instances there are.
 */

import { resolve } from "node:path";
import { type Ip, tryParseIp } from "../../model/address.ts";
import {
  type Change,
  type Endpoint,
  type Epoch,
  type Network,
  placeOf,
} from "../../model/change.ts";
import { SourceError } from "../../model/errors.ts";
import { Latch, watchFiles } from "../../platform/watch.ts";
import { Slices } from "../slices.ts";
import type { Source, SourceContext } from "../source.ts";
import { Answers, type Password } from "./answers.ts";
import { CacheDir } from "./cache-dir.ts";
import { type Command, parseCommand } from "./command.ts";
import { folderFault } from "./disk.ts";
import { Early } from "./early.ts";
import { Files, type Found, NAMES } from "./files.ts";
import { Leases } from "./leases.ts";
import { readBindingNote, readWithheldNote, rememberBinding, rememberWithheld } from "./memory.ts";
import { Metadata } from "./metadata.ts";
import { Networks } from "./networks.ts";
import { Overtaken } from "./overtaken.ts";

/** The password by which CloudStack says that there is none to deliver. */
const NO_PASSWORD = "saved_password";

/** Opens the databag source. Reads nothing yet: the first `poll` does. */
export async function openDatabag(dir: string, context: SourceContext): Promise<Source> {
  return new Databag(resolve(dir), context);
}

type Show = (changes: readonly Change[]) => void;

class Databag implements Source {
  readonly #dir: string;
  readonly #context: SourceContext;
  readonly #files: Files;
  readonly #leases: Leases;
  readonly #metadata: Metadata;
  readonly #networks: Networks;
  readonly #answers: Answers;
  readonly #cache: CacheDir | undefined;
  readonly #closed = new AbortController();
  readonly #wake = new Latch();
  #wakeTimer: NodeJS.Timeout | undefined;
  /** Takes back what an earlier run knew, one address at each step; absent once it is done. */
  #recalling: Generator<void> | undefined;
  /** Answers whoever asks before the first reading has ended. */
  #early: Early | undefined;
  /** All files are read, and each address is looked at. */
  #isDeciding = false;
  /** Whether vmdata.json, or what an earlier run made of it, is in force. */
  #loaded = false;
  #first = true;
  #keptRead = false;
  /** Passwords that wait for the leases that were written before them. */
  #passwords: Password[] = [];
  readonly #overtaken = { leases: new Overtaken(), metadata: new Overtaken() };
  #polls = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(dir: string, context: SourceContext) {
    const { conditions, now, network, cacheDir } = context;
    this.#dir = dir;
    this.#context = context;
    this.#metadata = new Metadata({
      entry: (address) => this.#files.metadata.bag.get(address),
      again: (address) => this.#files.metadata.again(address),
    });
    this.#files = new Files({
      ...{ dir, conditions, now },
      readMetadata: (value) => this.#metadata.read(value),
    });
    this.#leases = new Leases(this.#files.leases.bag);
    this.#networks = new Networks(network);
    this.#answers = new Answers({
      ...{ leases: this.#leases, metadata: this.#metadata, networks: this.#networks },
      ...{ conditions, now, leasesFresh: () => !this.#files.leases.isBad },
      leasesLater: () => this.#files.leases.modified > this.#files.metadata.modified,
    });
    if (cacheDir !== undefined) this.#cache = new CacheDir(resolve(cacheDir), conditions);
  }

  async glance(signal: AbortSignal): Promise<void> {
    const slices = new Slices(signal);
    await this.#recall(slices);
    const found = await this.#files.lookAtNetworks(slices);
    for (const delta of Object.values(found)) delta?.commit();
    this.#networks.update(found);
    await this.#files.report(found, slices);
    // What an earlier run knew is served already, and tells more than the files do.
    if (this.#answers.isFresh) this.#early = await Early.look(this.#dir, slices);
  }

  hasten(address: Ip): readonly Change[] {
    if (this.#isDeciding) {
      this.#answers.look(address);
      return this.#answers.drain([address]);
    }
    const network = this.#networks.of(address, undefined);
    if (network === undefined || this.#answers.knows(address)) return [];
    const binding = this.#early?.binding(address, network);
    if (binding === undefined) return [];
    const change: Change = { kind: "put", binding };
    this.#restoreOne(change);
    return [change];
  }

  again(address: Ip): readonly Change[] {
    this.#answers.again(address);
    return this.#answers.drain([address]);
  }

  poll(signal: AbortSignal, show?: Show): Promise<readonly Change[]> {
    // One after the other: what was found is a difference from what is in force.
    this.#polls++;
    const turn = this.#turn.then(() => this.#poll(signal, show));
    // Not `catch`: it would keep all that was found until the next turn.
    this.#turn = turn.then(
      () => {},
      () => {},
    );
    return turn;
  }

  async #poll(signal: AbortSignal, show?: Show): Promise<readonly Change[]> {
    const slices = new Slices(signal);
    try {
      await this.#recall(slices);
      const found = await this.#files.look(slices);
      await this.#take(found);
      await this.#files.report(found, slices);
      if (!this.#loaded && this.#answers.size === 0) throw await this.#nothing(slices);
      await this.#readCache();
      // Leases are written before all else: without them nothing else can be judged.
      if (!this.#files.leases.isInGrace) await this.#decide(slices, show);
      this.#report();
      return this.#answers.drain();
    } finally {
      this.#polls--;
      for (const file of ["leases", "metadata"] as const) {
        if (!this.#files[file].isBad) this.#overtaken[file].wasRead();
      }
      this.#scheduleWake();
    }
  }

  async *changes(signal: AbortSignal): AsyncIterable<void> {
    const stop = new AbortController();
    const end = (): void => stop.abort();
    const causes = [signal, this.#closed.signal];
    for (const cause of causes) cause.addEventListener("abort", end);
    if (causes.some(({ aborted }) => aborted)) end();
    const { cacheDir } = this.#context;
    void this.#follow(watchFiles(this.#dir, Object.values(NAMES), stop.signal));
    if (cacheDir !== undefined) void this.#follow(watchFiles(resolve(cacheDir), [], stop.signal));
    try {
      while (await this.#wake.wait(stop.signal)) yield;
    } finally {
      end();
      for (const cause of causes) cause.removeEventListener("abort", end);
    }
  }

  networks(): readonly Network[] {
    return this.#networks.list();
  }

  endpoints(): readonly Endpoint[] {
    return this.#networks.endpoints();
  }

  restore(changes: readonly Change[], epochs: Iterable<Epoch> = []): void {
    for (const { address, epoch } of epochs) this.#answers.keepEpoch(address, epoch);
    this.#recalling = this.#restoreAll(changes);
  }

  apply(text: string, name: string): readonly Change[] {
    const command = parseCommand(text, name);
    while (this.#recalling?.next().done === false); // It goes beyond what is remembered.
    const touched = this.#command(command);
    for (const address of touched) this.#answers.look(address);
    if (command.type === "vmpassword") {
      const { address, password } = command;
      this.#answers.offer({
        ...{ address, password: password === NO_PASSWORD ? undefined : password },
        ...{ via: "apply", standing: false, fresh: true },
      });
    }
    this.#scheduleWake();
    return this.#answers.drain(touched);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#wakeTimer);
  }

  /**
   * Puts in force what was found. Commands may come in between, so each address is one step; it is
   * not broken off, because what was found is not found again.
   */
  async #take(found: Found): Promise<void> {
    const slices = new Slices(new AbortController().signal);
    this.#early = undefined; // From here on the files' own word counts.
    for (const delta of Object.values(found)) delta?.commit();
    if (found.metadata !== undefined) this.#loaded = true;
    const wereKnown = this.#leases.known;
    const touched = new Set<Ip>();
    const isOther = this.#networks.update(found);
    if (found.leases !== undefined) {
      const touch = (address: Ip): void => {
        touched.add(address);
        this.#answers.mark(address);
      };
      const steps = this.#leases.update(found.leases, this.#isOvertaken("leases"), touch);
      for (const _ of steps) if (slices.due()) await slices.rest();
    }
    if (found.metadata !== undefined) {
      const { changes } = found.metadata;
      for (const news of this.#metadata.update(changes, this.#isOvertaken("metadata"))) {
        if (slices.due()) await slices.rest();
        const { address, differs } = news;
        // What was read may be older than a lease that came by a command meanwhile.
        // And a command may have looked at the lease already: what comes with it is no news then.
        const isApart = touched.has(address) && !this.#answers.isPending(address);
        const arrived = news.arrived && !isApart && !this.#overtaken.leases.isDuring(address);
        this.#answers.mark(address, { arrived, differs });
      }
    }
    if (isOther || wereKnown !== this.#leases.known) this.#answers.markAll();
    for (const { key, after } of found.passwords?.changes ?? []) {
      const address = tryParseIp(key);
      const password = after?.data.password;
      if (address === undefined || after === undefined || password === undefined) continue;
      this.#keep(address, password, NAMES.passwords);
      after.data.password = undefined;
    }
  }

  #keep(address: Ip, value: string, via: string): void {
    const password = value === NO_PASSWORD ? undefined : value;
    const fresh = !this.#first;
    // Of two statements that are read at once only the later one is news, at every start.
    this.#passwords = this.#passwords.filter((kept) => kept.address !== address);
    this.#passwords.push({ address, password, via, standing: true, fresh });
  }

  /** Why there is nothing to serve. Files may come later; a missing folder is a mistake. */
  async #nothing(slices: Slices): Promise<SourceError> {
    const fault = await folderFault(this.#dir);
    if (fault === undefined) return this.#files.metadata.error(slices);
    return new SourceError("SOURCE_UNREADABLE", fault, { file: this.#dir });
  }

  async #readCache(): Promise<void> {
    if (this.#cache === undefined) return;
    const waiting = await this.#cache.waitingPasswords(this.#files.passwords.modified);
    for (const { address, password } of waiting) this.#keep(address, password, "vm_password");
    if (this.#keptRead || !this.#context.firstStart) return;
    this.#keptRead = true;
    const kept = await this.#cache.keptPasswords();
    if (kept === undefined) return;
    // They are the truth of what waits. What vmpassword.json says of an address is stated again at
    // every start, so it must be heard first, and corrected then.
    const via = "passwords";
    for (const { address, password } of [...this.#passwords]) {
      const value = kept.get(address);
      kept.delete(address);
      const truth = value === NO_PASSWORD ? undefined : value;
      if (truth === password) continue;
      const correction = { address, password: truth, via, standing: false, fresh: false };
      this.#passwords.push(correction);
    }
    for (const [address, value] of kept) this.#keep(address, value, via);
  }

  async #decide(slices: Slices, show?: Show): Promise<void> {
    this.#isDeciding = true;
    try {
      await this.#answers.lookAtAll(slices, show);
    } finally {
      this.#isDeciding = false;
    }
    for (const password of this.#passwords.splice(0)) this.#answers.offer(password);
    this.#first = false;
  }

  #report(): void {
    const { conditions } = this.#context;
    if (this.#leases.known) conditions.clear("LEASES_ABSENT", NAMES.leases);
    else conditions.raise("LEASES_ABSENT", NAMES.leases);
    const { ips, guestNetworks } = this.#networks.lost;
    this.#files.reportLost(NAMES.ips, ips);
    this.#files.reportLost(NAMES.guestNetworks, guestNetworks);
    this.#files.reportLost(NAMES.leases, this.#leases.lost);
    this.#files.reportLost(NAMES.metadata, this.#metadata.lost);
  }

  /** @returns the addresses that the command concerns. */
  #command(command: Command): Ip[] {
    const { type, address } = command;
    if (type === "vmpassword") return [address];
    const file = type === "vmdata" ? "metadata" : "leases";
    this.#overtaken[file].add(address, this.#polls > 0);
    if (type === "vmdata") {
      const differs = this.#metadata.command(address, command.content);
      this.#answers.mark(address, { arrived: true, differs });
      return [address];
    }
    return this.#leases.command(address, command.lease);
  }

  /** Whether a command is newer than what a file says of an address. */
  #isOvertaken(file: "metadata" | "leases"): (address: Ip) => boolean {
    const { modified } = this.#files[file];
    return (address) => this.#overtaken[file].isOver(address, modified);
  }

  /** Takes back what an earlier run knew, while the router answers from it already. */
  async #recall(slices: Slices): Promise<void> {
    while (this.#recalling?.next().done === false) if (slices.due()) await slices.rest();
    this.#recalling = undefined;
  }

  *#restoreAll(changes: readonly Change[]): Generator<void> {
    const last = new Map<Ip, Change>();
    for (const change of changes) {
      const { address } = placeOf(change);
      if (change.kind === "delete") last.delete(address);
      else if (change.kind !== "password") last.set(address, change);
    }
    for (const change of last.values()) {
      yield;
      this.#restoreOne(change);
    }
    this.#files.metadata.expected ||= last.size > 0;
    this.#files.leases.expected ||= this.#leases.known;
  }

  #restoreOne(change: Change): void {
    if (change.kind === "put") {
      const { binding } = change;
      const { address, mac, network } = binding;
      const note = readBindingNote(binding.note);
      this.#networks.restore(network);
      this.#metadata.restoreBinding(binding, note);
      this.#answers.restore(rememberBinding(binding, note, this.#context.now()));
      if (mac === undefined) return;
      this.#leases.restore(address, { mac, removed: false }, note?.leaseOver);
    } else if (change.kind === "withhold") {
      const { withheld } = change;
      const { address, mac, network, reason } = withheld;
      const note = readWithheldNote(withheld);
      this.#networks.restore(network);
      this.#metadata.restoreWithheld(address, note);
      this.#answers.restore(rememberWithheld(withheld, note));
      if (mac === undefined && reason === "awaiting-metadata") return; // There were no leases.
      const removed = reason === "lease-removed";
      const lease = mac === undefined || reason === "no-lease" ? undefined : { mac, removed };
      this.#leases.restore(address, lease, note?.leaseOver);
    }
  }

  async #follow(news: AsyncIterable<void>): Promise<void> {
    for await (const _ of news) this.#wake.set();
  }

  /** Looks again when something may be found that no event announces. */
  #scheduleWake(): void {
    clearTimeout(this.#wakeTimer);
    if (this.#closed.signal.aborted) return;
    const late = this.#answers.nextLate;
    const inMs = [
      this.#files.wakeMs,
      this.#cache?.wakeMs,
      late === undefined ? undefined : late - this.#context.now(),
    ].filter((ms) => ms !== undefined);
    if (inMs.length === 0) return;
    this.#wakeTimer = setTimeout(() => this.#wake.set(), Math.max(1, Math.min(...inMs)));
    this.#wakeTimer.unref();
  }
}
