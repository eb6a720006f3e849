/**
 * A store that ends with its program: for tests.
 *
 * Nothing is written anywhere, so nothing is sealed.
 */

import { randomUUID } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import type { Ip } from "../model/address.ts";
import type { Network } from "../model/change.ts";
import { StoreError } from "../model/errors.ts";
import type { Acknowledgement, FeedElement, RecordChange } from "../model/feed.ts";
import {
  cutIntoParts,
  type Payload,
  type PayloadKind,
  type StoredPayload,
} from "../model/payload.ts";
import type { StoredRecord } from "../model/record.ts";
import { addressesOf, type InstanceRecord, type RecordName } from "../model/record.ts";
import { parseNetworks, parseRecord } from "../model/record-parse.ts";
import {
  addressTaken,
  bare,
  changeOf,
  checkRevision,
  decideAck,
  decidePut,
  type Held,
  keyOf,
  pageSize,
  remembered,
  stored,
} from "./decide.ts";
import { written } from "./documents.ts";
import { Followers } from "./followers.ts";
import { REMEMBERED_REVISIONS } from "./limits.ts";
import { byName, checkNamed, checkRoom, listed, payloadHead, payloadInUse } from "./payloads.ts";
import type { FollowOptions, ListQuery, Page, Store } from "./store.ts";

/** Which record a revision changed; none if it changed the networks. */
interface Logged {
  readonly revision: number;
  readonly name: RecordName | undefined;
}

export class MemoryStore implements Store {
  readonly id: string = randomUUID();
  readonly #held = new Map<string, Held>();
  readonly #holders = new Map<string, string>();
  readonly #documents = new Map<string, Map<string, string>>();
  readonly #payloads = new Map<string, Payload & StoredPayload>();
  readonly #log: Logged[] = [];
  readonly #followers = new Followers();
  #isClosed = false;
  #networks: readonly Network[] = [];
  #networksRevision = 0;
  #revision = 0;
  #epochFloor = 0;

  async get(name: RecordName): Promise<StoredRecord | undefined> {
    this.#checkOpen();
    const held = this.#held.get(keyOf(name));
    return held && stored(held);
  }

  async put(given: InstanceRecord, options: { expect?: number } = {}): Promise<StoredRecord> {
    this.#checkOpen();
    const parsed = parseRecord(given);
    const held = this.#held.get(keyOf(parsed));
    checkRevision(parsed, held?.revision ?? 0, options);
    const decision = decidePut(held, parsed, this.#epochFloor);
    if (decision === undefined) return stored(held as Held);
    const { record, gained, lost, isContent } = decision;
    for (const address of gained) {
      const holder = this.#holders.get(placeOf(record, address));
      if (holder !== undefined) throw addressTaken(record, address, holder);
    }
    checkNamed(record, (sha256) => this.#payloads.get(sha256));
    for (const address of lost) this.#holders.delete(placeOf(record, address));
    for (const address of gained) this.#holders.set(placeOf(record, address), record.id);
    this.#epochFloor = decision.epochFloor;
    const revision = this.#advance(record);
    const contentRevision = isContent ? revision : (held?.contentRevision ?? revision);
    const acknowledged = held?.acknowledged ?? [];
    const next = { record, revision, contentRevision, acknowledged };
    this.#held.set(keyOf(record), next);
    return stored(next);
  }

  async delete(name: RecordName, options: { expect?: number } = {}): Promise<number | undefined> {
    this.#checkOpen();
    const held = this.#held.get(keyOf(name));
    checkRevision(name, held?.revision ?? 0, options);
    if (held === undefined) return undefined;
    for (const address of addressesOf(held.record)) {
      this.#holders.delete(placeOf(name, address));
    }
    this.#epochFloor = Math.max(this.#epochFloor, held.record.epoch);
    this.#held.delete(keyOf(name));
    return this.#advance(name);
  }

  async list({ network, after, limit }: ListQuery = {}): Promise<Page> {
    this.#checkOpen();
    const from = after === undefined ? "" : keyOf(after);
    const keys = [...this.#held.keys()].filter((key) => key > from).sort();
    const records = keys
      .map((key) => this.#held.get(key) as Held)
      .filter(({ record }) => network === undefined || record.network === network)
      .map(stored);
    const page = records.slice(0, pageSize(limit));
    const last = page.length < records.length ? page.at(-1)?.record : undefined;
    const next = last && { network: last.network, id: last.id };
    return { records: page, revision: this.#revision, ...(next !== undefined && { next }) };
  }

  async *follow(signal: AbortSignal, { from }: FollowOptions = {}): AsyncGenerator<FeedElement> {
    this.#checkOpen();
    const following = this.#followers.begin(signal);
    let known: number | undefined;
    try {
      while (!following.signal.aborted) {
        const revision = this.#revision;
        if (known === undefined || known < revision - this.#log.length) {
          const isAll = from !== "now";
          const records = isAll ? [...this.#held.values()].map(stored) : [];
          yield { kind: "snapshot", records, networks: isAll ? this.#networks : [], revision };
        } else if (known < revision) {
          const changes = this.#changesAfter(known);
          const networks = this.#networksRevision > known ? { networks: this.#networks } : {};
          yield { kind: "changes", changes, ...networks, revision };
        }
        known = revision;
        await following.changed();
        await turn(); // What was written in the same turn comes together.
      }
    } finally {
      following.end();
    }
  }

  async ack(acknowledgement: Acknowledgement): Promise<boolean> {
    this.#checkOpen();
    const { network, instance, secretId } = acknowledgement;
    const name = { network, id: instance };
    const held = this.#held.get(keyOf(name));
    const meaning = decideAck(held, acknowledgement);
    if (meaning === "take" && held !== undefined) {
      const revision = this.#advance(name);
      const acknowledged = remembered(held, secretId);
      const next = { ...held, record: bare(held.record), revision, acknowledged };
      this.#held.set(keyOf(name), next);
    }
    return meaning !== "unknown";
  }

  async networks(): Promise<readonly Network[]> {
    this.#checkOpen();
    return this.#networks;
  }

  async putNetworks(given: readonly Network[]): Promise<void> {
    this.#checkOpen();
    const networks = parseNetworks(given);
    if (JSON.stringify(networks) === JSON.stringify(this.#networks)) return;
    this.#networks = networks;
    this.#networksRevision = this.#advance(undefined);
  }

  async documents(kind: string): Promise<ReadonlyMap<string, unknown>> {
    this.#checkOpen();
    const known = [...(this.#documents.get(kind) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    return new Map(known.map(([id, text]) => [id, JSON.parse(text)]));
  }

  async putDocuments(kind: string, documents: Iterable<readonly [string, unknown]>): Promise<void> {
    this.#checkOpen();
    const known = this.#documents.get(kind) ?? new Map<string, string>();
    this.#documents.set(kind, known);
    for (const [id, text] of written(documents)) {
      if (text === undefined) known.delete(id);
      else known.set(id, text);
    }
  }

  async putPayload(
    content: Uint8Array,
    kind: PayloadKind,
  ): Promise<StoredPayload & { isNew: boolean }> {
    this.#checkOpen();
    const { sha256, bytes } = payloadHead(content, kind);
    const known = this.#payloads.get(sha256);
    if (known !== undefined) return { ...listed(known), isNew: false };
    let all = 0;
    for (const { bytes } of this.#payloads.values()) all += bytes;
    checkRoom({ count: this.#payloads.size, bytes: all }, bytes);
    const payload = { sha256, bytes, kind, parts: cutIntoParts(content.slice()) };
    this.#payloads.set(sha256, payload);
    return { ...listed(payload), isNew: true };
  }

  async payload(sha256: string): Promise<(Payload & StoredPayload) | undefined> {
    this.#checkOpen();
    return this.#payloads.get(sha256);
  }

  async payloads(): Promise<readonly StoredPayload[]> {
    this.#checkOpen();
    return [...this.#payloads.values()].map(listed).sort(byName);
  }

  async deletePayload(sha256: string): Promise<boolean> {
    this.#checkOpen();
    const users = [...this.#held].filter(([, { record }]) =>
      record.payloads?.some((named) => named.sha256 === sha256),
    );
    const [user] = users.sort(([a], [b]) => (a < b ? -1 : 1));
    if (user !== undefined) throw payloadInUse(sha256, user[1].record);
    return this.#payloads.delete(sha256);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#followers.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #changesAfter(known: number): RecordChange[] {
    const missed = this.#log.slice(known - this.#revision);
    const last = new Map<string, RecordName & { readonly revision: number }>();
    for (const { name, revision } of missed) {
      if (name !== undefined) last.set(keyOf(name), { ...name, revision });
    }
    return [...last.values()]
      .sort((a, b) => a.revision - b.revision)
      .map(({ network, id, revision }): RecordChange => {
        const held = this.#held.get(keyOf({ network, id }));
        return held === undefined
          ? { kind: "delete", network, id, revision }
          : changeOf(held, known);
      });
  }

  /** Each revision has one entry in the log, and the log's last one is the revision. */
  #advance(name: RecordName | undefined): number {
    this.#revision++;
    this.#log.push({ name, revision: this.#revision });
    if (this.#log.length > 2 * REMEMBERED_REVISIONS) this.#log.splice(0, REMEMBERED_REVISIONS);
    this.#followers.tell();
    return this.#revision;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new StoreError("STORE_CLOSED", "the store is closed");
  }
}

function placeOf({ network }: { readonly network: string }, address: Ip): string {
  return `${network}\0${address}`;
}
