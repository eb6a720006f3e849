/**
 * A source that follows a store: what another program writes there is answered at once.
 *
 * One element of the store's feed is applied at once; a snapshot in slices, address by address.
 * Nothing that a guest asks for is read from the store: user data is in memory, or on the router's
 * own disk, before it is answered. So a store that goes away takes no answer with it.
 */

import { networkInterfaces } from "node:os";
import { contains, type Ip, parseCidr, tryParseIp } from "../../model/address.ts";
import type { Body } from "../../model/binding.ts";
import type { Change, Delivered, Endpoint, Epoch, Network, Place } from "../../model/change.ts";
import { SourceError, StoreError } from "../../model/errors.ts";
import type { FeedElement, RecordChange } from "../../model/feed.ts";
import { isSealed, type RecordName, type StoredRecord } from "../../model/record.ts";
import type { Conditions } from "../../observe/conditions.ts";
import { rest } from "../../platform/turns.ts";
import { Latch } from "../../platform/watch.ts";
import { Slices } from "../../source/slices.ts";
import type { Source } from "../../source/source.ts";
import { label } from "../../store/decide.ts";
import type { Store } from "../../store/store.ts";
import { Acks } from "./acks.ts";
import { Follower, type Handed } from "./follower.ts";
import { BODY_IN_MEMORY_MAX, REFILL_MS_MAX, REFILLED_AFTER_MS } from "./limits.ts";
import { type Disk, Payloads } from "./payloads.ts";
import { Records } from "./records.ts";
import { type Served, ServedNetworks } from "./served.ts";

export interface StoreSourceOptions {
  /** `sqlite:PATH`, for conditions and `why`. */
  readonly name: string;
  /** Opens the store as a reader. */
  readonly open: () => Promise<Store>;
  readonly conditions: Conditions;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly disk: Disk;
  /** @default all networks of the store */
  readonly served?: Served;
  /** A store that is not there is no trouble for so long after the start. ms. */
  readonly patienceMs?: number;
  readonly payloadRetryMs?: number;
  readonly refilledAfterMs?: number;
  readonly refillMsMax?: number;
  readonly elementsMsMin?: number;
}

/** How long this machine's addresses are believed: they are asked for at each change. ms. */
const ENDPOINTS_MS = 1000;

/** Networks are written first. A store of this revision has had no record. */
const NETWORKS_REVISION = 1;

/** User data that is replaced as often while it is read is read anew with everything else. */
const BODY_ATTEMPTS = 3;

type Show = (changes: readonly Change[]) => void;

/** While a new store is being filled. Milliseconds, by the clock given. */
interface Refill {
  readonly since: number;
  lastNews: number;
}

export class StoreSource implements Source {
  readonly isAwaited = true;
  readonly #options: StoreSourceOptions;
  readonly #records: Records;
  readonly #follower: Follower;
  readonly #acks: Acks;
  readonly #payloads: Payloads;
  readonly #served: ServedNetworks | undefined;
  readonly #closed = new AbortController();
  readonly #news = new Latch();
  readonly #first = new Latch();
  #isRead = false;
  #networks: readonly Network[] = [];
  #refill: Refill | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Addresses that have what the router's disk has lost. */
  readonly #lost = new Set<Ip>();
  #endpoints: { readonly at: number; readonly found: readonly Endpoint[] } | undefined;

  constructor(options: StoreSourceOptions) {
    const { name, open, conditions, disk, payloadRetryMs: retryMs, patienceMs = 0 } = options;
    const { elementsMsMin, served } = options;
    this.#served = served && new ServedNetworks(served, conditions);
    this.#options = options;
    this.#records = new Records(name);
    const onNews = (): void => {
      this.#news.set();
      this.#first.set();
    };
    const pace = elementsMsMin === undefined ? {} : { elementsMsMin };
    this.#follower = new Follower({ ...{ name, open, conditions, onNews, patienceMs }, ...pace });
    this.#acks = new Acks(() => this.#follower.store);
    const onDue = (): void => this.#news.set();
    this.#payloads = new Payloads({
      ...{ disk, conditions, onDue },
      ...(retryMs !== undefined && { retryMs }),
    });
  }

  async poll(signal: AbortSignal, show: Show = () => {}): Promise<readonly Change[]> {
    this.#follower.start();
    while (!this.#isRead && this.#follower.handed === undefined) {
      const why = this.#follower.trouble;
      if (why !== undefined) throw new SourceError("SOURCE_UNREADABLE", why);
      await this.#first.wait(signal);
      signal.throwIfAborted();
    }
    const handed = this.#follower.handed;
    if (handed !== undefined) await this.#take(handed, signal, show);
    await this.#readAgain(signal, show);
    return this.#endRefill();
  }

  async *changes(signal: AbortSignal): AsyncIterable<void> {
    const close = (): void => this.#closed.abort();
    signal.addEventListener("abort", close, { once: true });
    if (signal.aborted) close();
    while (await this.#news.wait(this.#closed.signal)) yield;
    signal.removeEventListener("abort", close);
  }

  networks(): readonly Network[] {
    return this.#networks;
  }

  /** A store knows no router: this machine's addresses within the networks' ranges are ours. */
  endpoints(): readonly Endpoint[] {
    const now = performance.now();
    if (this.#endpoints === undefined || now - this.#endpoints.at > ENDPOINTS_MS) {
      this.#endpoints = { at: now, found: ownEndpoints(this.#networks) };
    }
    return this.#endpoints.found;
  }

  restore(changes: readonly Change[], epochs: Iterable<Epoch> = []): void {
    this.#records.restore(changes, epochs);
  }

  /** Reading takes longer than who asks here waits: it comes with the next look. */
  again(address: Ip): readonly Change[] {
    this.#lost.add(address);
    this.#payloads.distrust();
    this.#news.set();
    return [];
  }

  delivered({ network, address, secretId }: Delivered): void {
    const waiting = this.#records.waiting({ network, address });
    if (waiting === undefined || waiting.secretId !== secretId) return;
    this.#records.delivered(network, waiting);
    this.#acks.add({ network, ...waiting });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#timer);
    this.#payloads.close();
    await this.#acks.close();
    await this.#follower.close();
  }

  async #take(handed: Handed, signal: AbortSignal, show: Show): Promise<void> {
    const element = this.#served?.of(handed.element) ?? handed.element;
    try {
      if (element.kind === "snapshot") await this.#takeSnapshot(handed, element, { signal, show });
      else {
        const whole = await this.#whole(element.changes, handed.store);
        await this.#takeChanges(whole, { signal, show });
      }
    } catch (error) {
      if (signal.aborted) return handed.done();
      handed.fail(error); // The store is opened anew, and says all of it again.
      if (error instanceof StoreError) return;
      throw error;
    }
    if (this.#refill !== undefined) this.#refill.lastNews = this.#options.now();
    if (element.networks !== undefined) this.#setNetworks(element.networks);
    this.#isRead = true;
    handed.done();
  }

  #setNetworks(networks: readonly Network[]): void {
    this.#networks = networks;
    this.#endpoints = undefined;
  }

  async #takeSnapshot(
    { store, isReplaced }: Handed,
    { records, revision, damaged = [] }: Extract<FeedElement, { kind: "snapshot" }>,
    { signal, show }: { signal: AbortSignal; show: Show },
  ): Promise<void> {
    const slices = new Slices(signal);
    // A store that nobody has written to yet says nothing of what was answered before.
    const isNew = records.length === 0 && revision <= NETWORKS_REVISION;
    if ((isReplaced || isNew) && !this.#records.isEmpty) this.#beginRefill();
    this.#records.beginRound();
    const lost: Place[] = [];
    let changes: Change[] = [];
    for (const given of records) {
      if (!isReplaced && this.#records.isUnchanged(given)) continue;
      const stored = await this.#withBytes(given, store);
      const { network } = given.record;
      // Its user data does not open, or it is gone by now: then that comes as a change.
      if (stored === undefined) this.#records.keep([given.record]);
      const without = stored === undefined ? [] : this.#records.put(stored, changes);
      for (const address of without) lost.push({ network, address });
      if (!slices.due()) continue;
      show(changes);
      changes = [];
      await slices.rest();
    }
    this.#records.keep(damaged);
    changes.push(...this.#records.sweep(lost, { keepsStale: this.#refill !== undefined }));
    show(changes);
  }

  /** Guests have their turn between the reading, the change and the disk. */
  async #takeChanges(
    changes: readonly RecordChange[],
    { signal, show }: { signal: AbortSignal; show: Show },
  ): Promise<void> {
    await rest();
    signal.throwIfAborted();
    show(this.#records.changes(changes));
    await rest();
  }

  /** Whether there is more to it than its fields. */
  #hasMore(stored: StoredRecord): boolean {
    const { record } = stored;
    if (record.payloads !== undefined || this.#payloads.isLacking(record)) return true;
    return hasBodyElsewhere(stored);
  }

  /** With user data and payloads that no store needs to be asked for. */
  async #whole(changes: readonly RecordChange[], store: Store): Promise<RecordChange[]> {
    const whole: RecordChange[] = [];
    for (const change of changes) {
      if (change.kind === "delete") this.#payloads.forget(change);
      if (change.kind !== "put" || !this.#hasMore(change)) whole.push(change);
      else {
        const stored = await this.#withBytes(change, store);
        if (stored !== undefined) whole.push({ kind: "put", ...stored });
      }
    }
    return whole;
  }

  /**
   * Where the user data was replaced meanwhile, the record as it is now: it comes once more.
   *
   * @returns `undefined` if the record is gone, or damaged, so that it stays as it was
   */
  async #withBytes(given: StoredRecord, store: Store): Promise<StoredRecord | undefined> {
    let stored: StoredRecord | undefined = given;
    for (let attempt = 1; stored !== undefined; attempt++) {
      try {
        return await this.#withBytesOnce(stored, store);
      } catch (error) {
        const code = error instanceof StoreError ? error.code : undefined;
        if (code === "STORE_UNREADABLE") return this.#damaged(stored);
        if (code !== "STORE_BODY_GONE" || attempt === BODY_ATTEMPTS) throw error;
      }
      stored = await store.get(given.record);
    }
    return undefined;
  }

  async #withBytesOnce(stored: StoredRecord, store: Store): Promise<StoredRecord> {
    if (isSealed(stored.record)) {
      // What is not answered is not read, nor put on this disk.
      this.#payloads.forget(stored.record);
      return stored;
    }
    const record = await this.#payloads.take(stored.record, store);
    const { userData } = record;
    if (userData === undefined) return { ...stored, record };
    let body: Body = userData instanceof Uint8Array ? userData : await userData.read();
    const { keepBody } = this.#options.disk;
    if (body.length > BODY_IN_MEMORY_MAX) body = (await keepBody(body)) ?? body;
    return { ...stored, record: { ...record, userData: body } };
  }

  #damaged({ record }: StoredRecord): undefined {
    const { conditions } = this.#options;
    conditions.raise("STORE_RECORD_DAMAGED", label(record), "its user data does not open");
  }

  async #readAgain(signal: AbortSignal, show: Show): Promise<void> {
    const { store } = this.#follower;
    if (store === undefined) return;
    const slices = new Slices(signal);
    const readOne = async (name: RecordName): Promise<void> => {
      if (slices.due()) await slices.rest();
      const given = await store.get(name);
      if (given === undefined) this.#payloads.forget(name);
      const stored = given && (await this.#withBytes(given, store));
      if (stored !== undefined) show(this.#records.changes([{ kind: "put", ...stored }]));
    };
    for (const address of [...this.#lost]) {
      for (const name of this.#records.namesAt(address)) await readOne(name);
      this.#lost.delete(address); // Now: a store that went away meanwhile is asked again.
    }
    for (const name of this.#payloads.due()) await readOne(name);
  }

  #beginRefill(): void {
    const now = this.#options.now();
    this.#refill = { since: now, lastNews: now };
    const { conditions, name } = this.#options;
    conditions.raise("STORE_REPLACED", name, "what it lacks is answered as before, for a while");
  }

  /** What the new store still lacks when it is full has gone. */
  #endRefill(): readonly Change[] {
    const refill = this.#refill;
    if (refill === undefined) return [];
    const { conditions, name, now } = this.#options;
    const { refilledAfterMs = REFILLED_AFTER_MS, refillMsMax = REFILL_MS_MAX } = this.#options;
    const { stale, fresh } = this.#records.ages();
    const last = refill.since + refillMsMax;
    // An empty one has not been begun.
    const at = fresh === 0 ? last : Math.min(last, refill.lastNews + refilledAfterMs);
    clearTimeout(this.#timer);
    if (stale > 0 && now() < at) {
      this.#timer = setTimeout(() => this.#news.set(), at - now() + 1);
      this.#timer.unref();
      return [];
    }
    this.#refill = undefined;
    conditions.clear("STORE_REPLACED", name);
    return this.#records.sweep([], { keepsStale: false });
  }
}

function ownEndpoints(networks: readonly Network[]): readonly Endpoint[] {
  const texts = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const own = texts.flatMap(({ address }) => tryParseIp(address.split("%", 1)[0]) ?? []);
  return networks.flatMap(({ id: network, cidrs }) =>
    cidrs.map(parseCidr).flatMap((cidr) => {
      const within = own.filter((address) => contains(cidr, address));
      return within.map((address): Endpoint => ({ address, network }));
    }),
  );
}

function hasBodyElsewhere({ record: { userData } }: StoredRecord): boolean {
  if (userData === undefined) return false;
  return !(userData instanceof Uint8Array) || userData.length > BODY_IN_MEMORY_MAX;
}
