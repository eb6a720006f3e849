/**
 * Payloads of a store's records on their way to the router's own disk: all of it is there before a
 * guest is shown any.
 *
 * What cannot be had (the disk is full, the store has lost it) is left out, so that the instance is
 * answered all the same; a condition says so, and it is tried again.
 */

import type { Body, StoredBody } from "../../model/binding.ts";
import { StoreError } from "../../model/errors.ts";
import { isAtHand, type Payload, type PayloadRef } from "../../model/payload.ts";
import type { InstanceRecord, RecordName } from "../../model/record.ts";
import type { Conditions } from "../../observe/conditions.ts";
import { label } from "../../store/decide.ts";
import type { Store } from "../../store/store.ts";
import { PAYLOAD_RETRY_MS, PAYLOADS_KNOWN_MAX, PAYLOADS_TRUSTED_MS } from "./limits.ts";

/** The router's own disk. */
export interface Disk {
  /** `undefined` where that cannot be. */
  readonly keepBody: (bytes: Uint8Array) => Promise<Body | undefined>;
  /** A body that is there already, which stays for a while from now on. */
  readonly keptBody: (ref: { length: number; hash: string }) => StoredBody | undefined;
}

export interface PayloadsOptions {
  readonly disk: Disk;
  readonly conditions: Conditions;
  /** It is time to try again. */
  readonly onDue: () => void;
  readonly retryMs?: number;
}

/** One that many instances share, as each of them has it. */
interface Known {
  readonly payload: Payload;
  /** By the clock of the process. ms. */
  seenAt: number;
}

export class Payloads {
  readonly #options: PayloadsOptions;
  readonly #known = new Map<string, Known>();
  /** Records that are shown without one, by their labels. */
  readonly #lacking = new Map<string, RecordName>();
  #timer: NodeJS.Timeout | undefined;
  #isDue = false;

  constructor(options: PayloadsOptions) {
    this.#options = options;
  }

  /**
   * The record with those of its payloads that the disk has by now.
   *
   * @throws {StoreError} if the store cannot be asked.
   */
  async take(record: InstanceRecord, store: Store): Promise<InstanceRecord> {
    const payloads: Payload[] = [];
    let reason: string | undefined;
    for (const ref of record.payloads ?? []) {
      const found = await this.#find(ref, store);
      if (typeof found === "string") reason ??= `${ref.sha256.slice(0, 12)}…: ${found}`;
      else payloads.push(found);
    }
    this.#tell(record, reason);
    return record.payloads === undefined ? record : { ...record, payloads };
  }

  /** Whether the record is shown without a payload that it named. */
  isLacking(name: RecordName): boolean {
    return this.#lacking.size > 0 && this.#lacking.has(label(name));
  }

  /** The record is gone. */
  forget(name: RecordName): void {
    if (this.isLacking(name)) this.#tell(name, undefined);
  }

  /** A body is lost on the disk: nothing is taken to be there. */
  distrust(): void {
    this.#known.clear();
  }

  /** What is to be read again now. */
  due(): readonly RecordName[] {
    if (!this.#isDue) return [];
    this.#isDue = false;
    if (this.#lacking.size > 0) this.#arm(); // Whatever comes of this attempt.
    return [...this.#lacking.values()];
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#lacking.clear();
  }

  /** Or why it is not there. */
  async #find(ref: PayloadRef, store: Store): Promise<Payload | string> {
    const known = this.#known.get(ref.sha256);
    if (known !== undefined && this.#isThere(known)) return known.payload;
    this.#known.delete(ref.sha256);
    try {
      const payload = isAtHand(ref) ? ref : await store.payload(ref.sha256);
      if (payload?.bytes !== ref.bytes) return "the store does not have it";
      const parts: Body[] = [];
      for (const part of payload.parts) {
        const kept = await this.#keep(part);
        if (kept === undefined) return "the router's disk has no room for it";
        parts.push(kept);
      }
      const { sha256, bytes } = ref;
      const taken = { sha256, bytes, parts };
      this.#remember({ payload: taken, seenAt: performance.now() });
      return taken;
    } catch (error) {
      const code = error instanceof StoreError ? error.code : undefined;
      if (code === "STORE_PAYLOAD_UNKNOWN") return "the store does not have it";
      if (code === "STORE_UNREADABLE") return "it does not open in the store";
      throw error;
    }
  }

  async #keep(part: Body): Promise<Body | undefined> {
    const { disk } = this.#options;
    if (part instanceof Uint8Array) return disk.keepBody(part);
    return disk.keptBody(part) ?? disk.keepBody(await part.read());
  }

  /** Files that were there a moment ago are, so that ten thousand records ask once. */
  #isThere(known: Known): boolean {
    const now = performance.now();
    if (now - known.seenAt < PAYLOADS_TRUSTED_MS) return true;
    const { keptBody } = this.#options.disk;
    const isThere = known.payload.parts.every(
      (part) => !(part instanceof Uint8Array) && keptBody(part) !== undefined,
    );
    if (isThere) known.seenAt = now;
    return isThere;
  }

  #remember(known: Known): void {
    const [oldest] = this.#known.keys();
    if (this.#known.size >= PAYLOADS_KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(known.payload.sha256, known);
  }

  #tell({ network, id }: RecordName, reason: string | undefined): void {
    const { conditions } = this.#options;
    const subject = label({ network, id });
    if (reason === undefined) {
      if (this.#lacking.delete(subject)) conditions.clear("PAYLOAD_LACKING", subject);
      return;
    }
    this.#lacking.set(subject, { network, id });
    conditions.raise("PAYLOAD_LACKING", subject, reason);
    this.#arm();
  }

  #arm(): void {
    const { onDue, retryMs = PAYLOAD_RETRY_MS } = this.#options;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#isDue = true;
      onDue();
    }, retryMs).unref();
  }
}
