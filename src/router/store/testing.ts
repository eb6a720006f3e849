/**
 * A router's memory that follows a store, without a network and without a disk, for tests.
 */

import { type Ip, parseIp } from "../../model/address.ts";
import type { Change, Epoch } from "../../model/change.ts";
import { StoreError } from "../../model/errors.ts";
import type { Acknowledgement, FeedElement, RecordChange } from "../../model/feed.ts";
import type { Payload } from "../../model/payload.ts";
import type { InstanceRecord, StoredRecord } from "../../model/record.ts";
import { parseRecord } from "../../model/record-parse.ts";
import { Conditions } from "../../observe/conditions.ts";
import { lookUp } from "../../protocol/document.ts";
import type { Store } from "../../store/store.ts";
import { Directory } from "../directory.ts";
import { Passwords } from "../passwords.ts";
import type { Disk } from "./payloads.ts";
import { StoreSource } from "./source.ts";

export interface Desk extends AsyncDisposable {
  readonly source: StoreSource;
  readonly directory: Directory;
  readonly passwords: Passwords;
  readonly conditions: Conditions;
  /** Each batch that was shown, in order. */
  readonly batches: (readonly Change[])[];
  now: number;
  /** Looks until nothing has come for a while. */
  settle(): Promise<void>;
  /** `ADDRESS instance epoch`, sorted, for all that is answered. */
  answers(): readonly string[];
  key(address: Ip, name: string): string | null | undefined;
  /** Codes of the conditions that hold. */
  held(): readonly string[];
}

export interface DeskOptions {
  readonly open: () => Promise<Store>;
  readonly restored?: readonly Change[];
  readonly epochs?: Iterable<Epoch>;
  readonly disk?: Disk;
  readonly payloadRetryMs?: number;
  readonly patienceMs?: number;
  readonly refilledAfterMs?: number;
  readonly refillMsMax?: number;
  /** @default 0 */
  readonly elementsMsMin?: number;
}

/** Turns of the event loop in which a store in memory has said what it has to say. */
const TURNS = 20;

export function openDesk(options: DeskOptions): Desk {
  const conditions = new Conditions(() => desk.now);
  const { open, restored = [], epochs = [], refilledAfterMs, refillMsMax } = options;
  const { elementsMsMin = 0 } = options;
  const source = new StoreSource({
    ...{ name: "sqlite:/s", open, conditions, now: () => desk.now },
    disk: options.disk ?? { keepBody: async () => undefined, keptBody: () => undefined },
    ...(options.patienceMs !== undefined && { patienceMs: options.patienceMs }),
    ...(options.payloadRetryMs !== undefined && { payloadRetryMs: options.payloadRetryMs }),
    elementsMsMin,
    ...(refilledAfterMs !== undefined && { refilledAfterMs }),
    ...(refillMsMax !== undefined && { refillMsMax }),
  });
  const passwords = new Passwords({
    journal: async () => {},
    digestKey: Buffer.alloc(32, 7),
    now: () => desk.now,
    conditions,
    onDelivered: (delivered) => source.delivered(delivered),
  });
  const directory = new Directory({
    epochBegan: (network, address, epoch) => passwords.epochBegan(network, address, epoch),
    hostNameCut: () => {},
  });
  directory.apply(restored);
  source.restore(restored, epochs);
  const batches: (readonly Change[])[] = [];
  const show = (changes: readonly Change[]): void => {
    if (changes.length === 0) return;
    batches.push(changes);
    directory.apply(changes);
    for (const change of changes) if (change.kind === "password") void passwords.offer(change);
  };
  const signal = new AbortController().signal;
  const desk: Desk = {
    ...{ source, directory, passwords, conditions, batches, now: 1_000_000 },
    async settle() {
      for (let turn = 0; turn < TURNS; turn++) {
        show(await source.poll(signal, show));
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    answers: () =>
      [...directory.entries()]
        .map((entry) => (entry.kind === "bound" ? entry : undefined))
        .map((entry) => `${entry?.address} ${entry?.instance} ${entry?.epoch}`)
        .sort(),
    key(address, name) {
      const entry = directory.find(address);
      return entry?.kind === "bound" ? lookUp(entry.document, name) : undefined;
    },
    held: () => conditions.list().map(({ code }) => code),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
  return desk;
}

/** A store that says what a test tells it to. */
export interface Scripted {
  readonly open: () => Promise<Store>;
  readonly acknowledged: Acknowledgement[];
  /** Of the store that is opened next. */
  id: string;
  /** How often it was opened. */
  readonly opened: () => number;
  /** What `ack` does; it fails where this throws. */
  onAck: () => boolean;
  /** The payload of a name, while there is one. */
  onPayload: (sha256: string) => Payload | undefined;
  /** What is there when it is asked for by name. */
  onGet: (id: string) => StoredRecord | undefined;
  /** While it cannot be opened: why. */
  broken: Error | undefined;
  say(...elements: readonly FeedElement[]): void;
  /** Ends the feed with an error. */
  fail(error: Error): void;
}

export function scripted(): Scripted {
  const queue: (FeedElement | Error)[] = [];
  const acknowledged: Acknowledgement[] = [];
  let wake = (): void => {};
  let opened = 0;
  async function* follow(signal: AbortSignal): AsyncGenerator<FeedElement> {
    signal.addEventListener("abort", () => wake());
    while (!signal.aborted) {
      const next = queue.shift();
      if (next instanceof Error) throw next;
      if (next !== undefined) yield next;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  }
  const script: Scripted = {
    acknowledged,
    id: "first",
    opened: () => opened,
    onAck: () => true,
    onGet: () => undefined,
    onPayload: () => undefined,
    broken: undefined,
    async open() {
      if (script.broken !== undefined) throw script.broken;
      opened++;
      const store: Partial<Store> = {
        id: script.id,
        follow,
        async ack(acknowledgement) {
          const result = script.onAck();
          acknowledged.push(acknowledgement);
          return result;
        },
        get: async ({ id }) => script.onGet(id),
        payload: async (sha256) => {
          const found = script.onPayload(sha256);
          return found && { ...found, kind: "script" };
        },
        close: async () => {},
      };
      return store as Store;
    },
    say(...elements) {
      queue.push(...elements);
      wake();
    },
    fail(error) {
      queue.push(error);
      wake();
    },
  };
  return script;
}

export const [A, B, C] = ["10.1.1.5", "10.1.1.6", "10.1.1.7"].map(parseIp) as [
  ReturnType<typeof parseIp>,
  ReturnType<typeof parseIp>,
  ReturnType<typeof parseIp>,
];
export const NETWORKS = [{ id: "204", cidrs: ["10.1.1.0/24"] }];

export function record(
  id: string,
  addresses: readonly string[],
  more: object = {},
): InstanceRecord {
  return parseRecord({
    ...{ network: "204", id, name: id, publicKeys: [], incarnation: 1, epoch: 1 },
    nics: [{ addresses, default: true }],
    keys: [["instance-id", id]],
    ...more,
  });
}

export const stored = (record: InstanceRecord, revision: number): StoredRecord => ({
  record,
  revision,
});

export function snapshot(revision: number, ...records: readonly StoredRecord[]): FeedElement {
  return { kind: "snapshot", records, networks: NETWORKS, revision };
}

export function changes(revision: number, ...changes: readonly RecordChange[]): FeedElement {
  return { kind: "changes", changes, revision };
}

export const put = (record: InstanceRecord, revision: number): RecordChange => {
  return { kind: "put", record, revision };
};
export const replaced = () => new StoreError("STORE_REPLACED", "another file");
