/**
 * The file source: instances from one YAML file, for labs, tests and first minutes.
 *
 * The file is taken whole or not at all. One that is missing, half-written or wrong keeps the last
 * good state; the condition is raised once that has lasted. Every reading compares bytes first, and
 * only records that differ become changes.
 */

import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Ip } from "../../model/address.ts";
import type { NetworkId } from "../../model/binding.ts";
import type { Change, Endpoint, Epoch, Network } from "../../model/change.ts";
import { SourceError } from "../../model/errors.ts";
import { Slices } from "../slices.ts";
import type { Source, SourceContext } from "../source.ts";
import { Epochs } from "./epochs.ts";
import { FileProblem, readFile, signatureOf } from "./files.ts";
import { BAD_GRACE_MS, FILE_BYTES_MAX } from "./limits.ts";
import { keyOf, type Loaded, load, type Memory, NO_MEMORY } from "./load.ts";
import type { Claim } from "./record.ts";
import { UserDataFiles } from "./user-data.ts";
import { watch } from "./watch.ts";

/** Opens the file source. Reads nothing yet: the first `poll` does. */
export async function openFile(path: string, context: SourceContext): Promise<Source> {
  return new FileSource(resolve(path), context);
}

interface Held {
  readonly claim: Claim;
  readonly epoch: number;
}

interface Place {
  readonly network: NetworkId;
  readonly address: Ip;
}

/** What the file was when it was last read. */
interface Attempt {
  readonly bytes: Buffer;
  /** Why it was refused; absent where it was taken. */
  readonly error?: SourceError;
}

class FileSource implements Source {
  readonly #file: string;
  readonly #context: SourceContext;
  readonly #userData = new UserDataFiles();
  readonly #epochs = new Epochs();
  readonly #closed = new AbortController();
  #held: ReadonlyMap<string, Held> | undefined;
  /** Addresses that an earlier run answered at: told to the router as gone if the file has none. */
  readonly #restored = new Map<string, Place>();
  #networks: readonly Network[] = [];
  #memory: Memory = NO_MEMORY;
  #attempt: Attempt | undefined;
  /** What the file looked like when it was last read, or could not be. */
  #signature: string | undefined;
  #badSince: number | undefined;
  /** Whether that it is bad has become a condition. */
  #raised = false;

  constructor(file: string, context: SourceContext) {
    this.#file = file;
    this.#context = context;
  }

  async poll(signal: AbortSignal): Promise<readonly Change[]> {
    try {
      this.#signature = await signatureOf(this.#file);
      const { bytes, signature } = await readFile(this.#file, FILE_BYTES_MAX, signal);
      this.#signature = signature;
      const same = this.#attempt?.bytes.equals(bytes) === true;
      const userDataChanged = await this.#userData.changed(signal);
      if (same && !userDataChanged) {
        if (this.#attempt?.error !== undefined) throw this.#attempt.error;
        this.#good();
        return [];
      }
      // Until that is done, nothing is known about these bytes: it may be broken off.
      this.#attempt = undefined;
      const changes = await this.#take(bytes, signal);
      this.#good();
      return changes;
    } catch (error) {
      return this.#bad(this.#explain(error));
    }
  }

  again(address: Ip): readonly Change[] {
    // The address is claimed in one network at most.
    return this.#networks.flatMap(({ id }): Change[] => {
      const held = this.#held?.get(keyOf(id, address));
      if (held === undefined) return [];
      return [{ kind: "put", binding: { ...held.claim.content, epoch: held.epoch } }];
    });
  }

  async *changes(signal: AbortSignal): AsyncIterable<void> {
    const stop = new AbortController();
    const end = (): void => stop.abort();
    const causes = [signal, this.#closed.signal];
    if (causes.some(({ aborted }) => aborted)) return;
    for (const cause of causes) cause.addEventListener("abort", end, { once: true });
    try {
      const options = {
        files: () => [[this.#file, this.#signature] as const, ...this.#userData.asRead()],
        // What is bad now must be looked at once more, so that the condition is raised in time.
        again: () => this.#badSince !== undefined && !this.#raised,
      };
      for await (const _ of watch(options, stop.signal)) yield;
    } finally {
      for (const cause of causes) cause.removeEventListener("abort", end);
    }
  }

  networks(): readonly Network[] {
    return this.#networks;
  }

  /** A file says nothing of the router's own addresses. */
  endpoints(): readonly Endpoint[] {
    return [];
  }

  restore(changes: readonly Change[], epochs: Iterable<Epoch> = []): void {
    for (const change of changes) {
      if (change.kind === "password") continue;
      const { network, address } =
        change.kind === "put"
          ? change.binding
          : change.kind === "delete"
            ? change
            : change.withheld;
      const key = keyOf(network, address);
      if (change.kind === "delete") {
        this.#restored.delete(key);
        continue;
      }
      this.#restored.set(key, { network, address });
      if (change.kind === "put")
        this.#epochs.set(key, change.binding.epoch, change.binding.instance);
      else this.#epochs.set(key, change.withheld.epoch, undefined);
    }
    for (const { network, address, epoch } of epochs) {
      this.#epochs.reached(keyOf(network, address), epoch);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
  }

  /** Takes over what the file says, or leaves everything as it was. */
  async #take(bytes: Buffer, signal: AbortSignal): Promise<readonly Change[]> {
    const slices = new Slices(signal);
    let loaded: Loaded;
    try {
      loaded = await load(bytes, {
        file: this.#file,
        network: this.#context.network,
        memory: this.#memory,
        slices,
        readUserData: (path) => this.#userData.read(path, signal),
      });
    } catch (error) {
      if (error instanceof SourceError) this.#attempt = { bytes, error };
      throw error;
    }
    const held = new Map<string, Held>();
    const changes: Change[] = [];
    const before = this.#before();
    for (const [key, claim] of loaded.claims) {
      if (slices.due()) await slices.rest();
      const epoch = this.#epochs.next(key, claim.content.instance, claim.epochMin);
      held.set(key, { claim, epoch });
      changes.push(...difference(this.#held?.get(key), { claim, epoch }));
    }
    // Nothing waits from here on: whoever asks sees the state before, or all of the state after.
    for (const [key, { network, address }] of before) {
      if (held.has(key)) continue;
      changes.push({ kind: "delete", network, address });
      this.#epochs.end(key);
    }
    for (const [key, { claim, epoch }] of held)
      this.#epochs.set(key, epoch, claim.content.instance);
    this.#epochs.forget(held);
    this.#userData.keepUsed();
    this.#restored.clear();
    this.#held = held;
    this.#networks = loaded.networks;
    this.#memory = loaded.memory;
    this.#attempt = { bytes };
    return changes;
  }

  /** What was answered before, by this run or an earlier one. */
  #before(): ReadonlyMap<string, Place> {
    const before = new Map(this.#restored);
    for (const [key, { claim }] of this.#held ?? []) before.set(key, claim.content);
    return before;
  }

  #explain(error: unknown): SourceError {
    if (error instanceof SourceError) return error;
    if (error instanceof FileProblem) {
      return new SourceError(error.code, error.message, { file: this.#file });
    }
    throw error; // Aborted, or a bug.
  }

  #bad(error: SourceError): readonly Change[] {
    if (this.#held === undefined) throw error;
    const { conditions, now } = this.#context;
    this.#badSince ??= now();
    if (now() - this.#badSince < BAD_GRACE_MS) return [];
    this.#raised = true;
    conditions.raise(error.code, this.#file, error.message);
    const other = error.code === "SOURCE_MALFORMED" ? "SOURCE_UNREADABLE" : "SOURCE_MALFORMED";
    conditions.clear(other, this.#file);
    return [];
  }

  #good(): void {
    this.#badSince = undefined;
    this.#raised = false;
    this.#context.conditions.clear("SOURCE_MALFORMED", this.#file);
    this.#context.conditions.clear("SOURCE_UNREADABLE", this.#file);
  }
}

/** What leads from what was held at an address to what is held now. */
function difference(before: Held | undefined, now: Held): Change[] {
  const { claim, epoch } = now;
  if (before?.claim === claim && before.epoch === epoch) return [];
  const { network, address } = claim.content;
  const changes: Change[] = [];
  const sameEpoch = before?.epoch === epoch;
  if (!sameEpoch || !isDeepStrictEqual(before?.claim.content, claim.content)) {
    changes.push({ kind: "put", binding: { ...claim.content, epoch } });
  }
  const { password } = claim;
  // A new epoch has no password yet, so there only one that is stated is news.
  if (password !== (sameEpoch ? before?.claim.password : undefined)) {
    const statement = { password, via: "file", standing: true, of: claim.content.instance };
    changes.push({ kind: "password", network, address, epoch, ...statement });
  }
  return changes;
}
