/**
 * The embedded default: one SQLite file, which one program writes and others follow.
 *
 * WAL, so that readers and the writer do not wait for each other, and STRICT tables. What a promise
 * has said survives SIGKILL, because the kernel has it by then; a power loss may cost the last
 * writes, but for passwords, acknowledgements and seals, unless the store is opened as the truth.
 * What guests may read stands in the file only enciphered.
 */

import { basename, dirname, resolve } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { Network } from "../model/change.ts";
import { StoreError } from "../model/errors.ts";
import type { Acknowledgement, FeedElement } from "../model/feed.ts";
import type { Payload, PayloadKind, StoredPayload } from "../model/payload.ts";
import type { InstanceRecord, RecordName, StoredRecord } from "../model/record.ts";
import { parseNetworks, parseRecord } from "../model/record-parse.ts";
import { watchFiles } from "../platform/watch.ts";
import {
  checkRevision,
  decideAck,
  decidePut,
  type Held,
  isSameBody,
  label,
  pageSize,
  remembered,
  stored,
} from "./decide.ts";
import { written } from "./documents.ts";
import { Followers } from "./followers.ts";
import { LOOK_AGAIN_MS, LOOK_MS, SLICE_RECORDS } from "./limits.ts";
import { Commits } from "./sqlite/commits.ts";
import { asStoreError, type Database, openDatabase, transact } from "./sqlite/database.ts";
import { inodeOf, type Opened, openFile } from "./sqlite/file.ts";
import { View } from "./sqlite/follow.ts";
import {
  dropPayload,
  findPayload,
  listPayloads,
  openPart,
  type PayloadTables,
  payloadWrite,
} from "./sqlite/payloads.ts";
import { openBody, openRow, type RecordRow } from "./sqlite/rows.ts";
import { prepare, type Statements } from "./sqlite/statements.ts";
import { deleteRow, putRow } from "./sqlite/write.ts";
import type { FollowOptions, ListQuery, Page, Store, StoreOptions } from "./store.ts";

/** @throws {StoreError} */
export async function openSqlite(path: string, options: StoreOptions): Promise<Store> {
  // `:memory:` and `file:` mean something to SQLite; here they are names of files.
  const absolute = resolve(path);
  return new SqliteStore(absolute, options, openFile(absolute, options));
}

class SqliteStore implements Store {
  /** The file itself; what it was called may be a link. */
  readonly #path: string;
  readonly #name: string;
  readonly #options: StoreOptions;
  readonly #opened: Opened;
  readonly #statements: Statements;
  readonly #commits: Commits;
  readonly #followers = new Followers();
  /** Connections of followers: closed with the store, also those that nobody goes on reading. */
  readonly #views = new Set<Database>();
  readonly #end = new AbortController();
  /** Which file it is: another one may take its name. */
  readonly #inode: number;
  #isWatching = false;
  #closing: Promise<void> | undefined;

  constructor(name: string, options: StoreOptions, opened: Opened) {
    this.#path = opened.path;
    this.#name = name;
    this.#options = options;
    this.#opened = opened;
    this.#statements = prepare(opened.database);
    this.#inode = inodeOf(name);
    this.#commits = new Commits({
      ...{ database: opened.database, path: opened.path, check: opened.checkSchema },
      isTruth: options.isTruth === true,
      onEnd: () => this.#followers.tell(),
    });
  }

  get id(): string {
    return this.#opened.seal.storeId;
  }

  async get(name: RecordName): Promise<StoredRecord | undefined> {
    this.#checkOpen();
    const row = this.#read(() => this.#statements.record(name.network, name.id));
    const held = row && this.#openRow(row);
    return held && stored(held);
  }

  async put(given: InstanceRecord, options: { expect?: number } = {}): Promise<StoredRecord> {
    this.#checkWriter();
    const record = await this.#withBytes(parseRecord(given));
    // Nobody says these again: no source has a password, or knows what an operator has closed.
    const isPrecious = record.password !== undefined || record.sealedIncarnation !== undefined;
    return this.#change(record, isPrecious, () => {
      const row = this.#statements.record(record.network, record.id);
      const held = row && this.#openRow(row);
      checkRevision(record, held?.revision ?? 0, options);
      const head = this.#statements.head();
      // A row that is damaged says no more than its epoch, which has ended.
      const epochFloor = Math.max(head.epochFloor, row && !held ? row.epoch : 0);
      const decision = decidePut(held, record, epochFloor);
      if (decision === undefined) return stored(held as Held);
      const { seal } = this.#opened;
      return putRow({ statements: this.#statements, seal, head, row, held, decision });
    });
  }

  async delete(name: RecordName, options: { expect?: number } = {}): Promise<number | undefined> {
    this.#checkWriter();
    return this.#change(name, false, () => {
      const row = this.#statements.record(name.network, name.id);
      const held = row && this.#openRow(row);
      checkRevision(name, held?.revision ?? 0, options);
      return row && deleteRow(this.#statements, row);
    });
  }

  async list({ network, after, limit }: ListQuery = {}): Promise<Page> {
    this.#checkOpen();
    const count = pageSize(limit);
    const { rows, revision } = this.#read(() => {
      const { recordsAfter, recordsOfNetworkAfter, head } = this.#statements;
      const rows =
        network === undefined
          ? recordsAfter(after?.network ?? "", after?.id ?? "", count + 1)
          : recordsOfNetworkAfter(network, startIn(network, after), count + 1);
      return { rows, revision: head().revision };
    });
    const records: StoredRecord[] = [];
    for (const [index, row] of rows.slice(0, count).entries()) {
      const held = this.#openRow(row);
      if (held !== undefined) records.push(stored(held));
      if (index % SLICE_RECORDS === SLICE_RECORDS - 1) await turn();
    }
    const last = rows.length > count ? rows[count - 1] : undefined;
    const next = last && { network: last.network, id: last.id };
    return { records, revision, ...(next !== undefined && { next }) };
  }

  async *follow(signal: AbortSignal, options: FollowOptions = {}): AsyncGenerator<FeedElement> {
    this.#checkOpen();
    this.#watch();
    const database = openDatabase(this.#path);
    const following = this.#followers.begin(signal);
    this.#views.add(database);
    try {
      const { conditions } = this.#options;
      const onRemoved = (name: RecordName): void => {
        conditions.clear("STORE_RECORD_DAMAGED", label(name));
      };
      const openRow = (row: RecordRow): Held | undefined => this.#openRow(row);
      const view = new View({ database, path: this.#path, openRow, onRemoved, ...options });
      while (!following.signal.aborted) {
        this.#checkPlace();
        const element = await view.next(following.signal);
        if (element !== undefined) yield element;
        await following.changed();
        await turn(); // What was written in the same turn comes together.
      }
    } catch (error) {
      // Closed while it was reading.
      if (!this.#end.signal.aborted) throw asStoreError(error, this.#path);
    } finally {
      following.end();
      if (this.#views.delete(database)) database.close();
    }
  }

  async ack(acknowledgement: Acknowledgement): Promise<boolean> {
    this.#checkOpen();
    const { network, instance, secretId } = acknowledgement;
    return this.#commits.write(true, () => {
      const row = this.#statements.record(network, instance);
      const held = row && this.#openRow(row);
      const meaning = decideAck(held, acknowledgement);
      if (meaning === "take" && held !== undefined) {
        const { revision, epochFloor, rememberedFrom } = this.#statements.head();
        this.#statements.setHead(revision + 1, epochFloor, rememberedFrom);
        const acknowledged = JSON.stringify(remembered(held, secretId));
        this.#statements.takeSecret(acknowledged, revision + 1, network, instance);
      }
      return meaning !== "unknown";
    });
  }

  async networks(): Promise<readonly Network[]> {
    this.#checkOpen();
    const row = this.#read(() => this.#statements.networks());
    return parseNetworks(JSON.parse(row?.networks ?? "[]"));
  }

  async putNetworks(networks: readonly Network[]): Promise<void> {
    this.#checkWriter();
    const text = JSON.stringify(parseNetworks(networks));
    await this.#commits.write(false, () => {
      if (this.#statements.networks()?.networks === text) return;
      const revision = this.#statements.head().revision + 1;
      this.#statements.setNetworks(text, revision, revision);
    });
  }

  async documents(kind: string): Promise<ReadonlyMap<string, unknown>> {
    this.#checkOpen();
    const { seal } = this.#opened;
    const rows = this.#read(() => this.#statements.documents(kind));
    return new Map(
      rows.flatMap(({ id, sealed }) => {
        const text = seal.open(sealed, documentPlace(kind, id))?.toString();
        return text === undefined ? [] : [[id, JSON.parse(text)]];
      }),
    );
  }

  async putDocuments(kind: string, documents: Iterable<readonly [string, unknown]>): Promise<void> {
    this.#checkWriter();
    const { seal } = this.#opened;
    const rows = written(documents);
    await this.#commits.write(false, () => {
      for (const [id, text] of rows) {
        if (text === undefined) this.#statements.dropDocument(kind, id);
        else {
          const sealed = seal.seal(Buffer.from(text), documentPlace(kind, id));
          this.#statements.putDocument(kind, id, sealed);
        }
      }
    });
  }

  async putPayload(
    content: Uint8Array,
    kind: PayloadKind,
  ): Promise<StoredPayload & { isNew: boolean }> {
    this.#checkWriter();
    return this.#commits.write(false, payloadWrite(this.#tables, content, kind));
  }

  async payload(sha256: string): Promise<(Payload & StoredPayload) | undefined> {
    this.#checkOpen();
    const read = async (name: Uint8Array, part: number): Promise<Uint8Array> => {
      this.#checkOpen();
      return this.#read(() => openPart(this.#tables, name, part));
    };
    return this.#read(() => findPayload(this.#tables, sha256, read));
  }

  async payloads(): Promise<readonly StoredPayload[]> {
    this.#checkOpen();
    return this.#read(() => listPayloads(this.#tables));
  }

  async deletePayload(sha256: string): Promise<boolean> {
    this.#checkWriter();
    return this.#commits.write(false, () => dropPayload(this.#tables, sha256));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#end.abort();
    this.#followers.close();
    for (const view of this.#views) view.close();
    this.#views.clear();
    await this.#commits.close();
    this.#opened.close();
  }

  get #tables(): PayloadTables {
    return { statements: this.#statements, seal: this.#opened.seal };
  }

  /** User data of another record or of an older revision is read, that of this one stays there. */
  async #withBytes(record: InstanceRecord): Promise<InstanceRecord> {
    const { userData } = record;
    if (userData === undefined || userData instanceof Uint8Array) return record;
    const held = await this.get(record);
    const kept = held?.record.userData;
    return isSameBody(kept, userData)
      ? { ...record, userData: kept }
      : { ...record, userData: await userData.read() };
  }

  /** Writes one record, which is damaged no more afterwards. */
  async #change<T>(name: RecordName, isPrecious: boolean, work: () => T): Promise<T> {
    const result = await this.#commits.write(isPrecious, work);
    this.#options.conditions.clear("STORE_RECORD_DAMAGED", label(name));
    return result;
  }

  #openRow(row: RecordRow): Held | undefined {
    const { conditions } = this.#options;
    const held = openRow(row, this.#opened.seal, (name) => this.#readBody(name));
    if (held === undefined) conditions.raise("STORE_RECORD_DAMAGED", label(row));
    else if (conditions.count("STORE_RECORD_DAMAGED") > 0) {
      conditions.clear("STORE_RECORD_DAMAGED", label(row));
    }
    return held;
  }

  async #readBody(name: Uint8Array): Promise<Uint8Array> {
    this.#checkOpen();
    const row = this.#read(() => this.#statements.body(name));
    if (row !== undefined) return openBody(name, row.sealed, this.#opened.seal);
    throw new StoreError(
      "STORE_BODY_GONE",
      "the user data was replaced meanwhile; read its record again",
    );
  }

  /**
   * Hears of what other programs write, from the first follower on. A write stands in the log
   * before the disk has it, and is in force after that. No event says when: followers look again.
   */
  #watch(): void {
    if (this.#isWatching) return;
    this.#isWatching = true;
    let timer: NodeJS.Timeout | undefined;
    const tell = (looks: number): void => {
      this.#followers.tell();
      clearTimeout(timer);
      timer = setTimeout(() => tell(looks + 1), LOOK_AGAIN_MS[looks] ?? LOOK_MS);
      timer.unref();
    };
    const watching = async (): Promise<void> => {
      const log = `${basename(this.#path)}-wal`;
      for await (const _ of watchFiles(dirname(this.#path), [log], this.#end.signal)) tell(0);
      clearTimeout(timer);
    };
    void watching(); // It ends with the store, and does not reject.
  }

  #checkPlace(): void {
    if (inodeOf(this.#name) === this.#inode) return;
    const advice = "open it anew";
    throw new StoreError("STORE_REPLACED", `${this.#name} is another file by now; ${advice}`);
  }

  /** Reads the file as it is at one moment. */
  #read<T>(work: () => T): T {
    const { database, checkSchema } = this.#opened;
    try {
      return transact(database, "DEFERRED", () => {
        checkSchema();
        return work();
      });
    } catch (error) {
      throw asStoreError(error, this.#path);
    }
  }

  #checkOpen(): void {
    if (this.#end.signal.aborted) throw new StoreError("STORE_CLOSED", "the store is closed");
  }

  #checkWriter(): void {
    this.#checkOpen();
    if (this.#options.role === "writer") return;
    throw new StoreError("STORE_READ_ONLY", "the store was opened by a reader");
  }
}

function documentPlace(kind: string, id: string): string {
  return `document\0${kind}\0${id}`;
}

/** Where a page of one network begins. */
function startIn(network: string, after: RecordName | undefined): string {
  return after?.network === network ? after.id : "";
}
