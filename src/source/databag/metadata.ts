/**
 * Which metadata is in force at an address: what vmdata.json says; or what a command brought since;
 * or what the router was told last, where the databag has lost the entry or spoilt it.
 *
 * What the databag says is not kept. What is needed again is read again, and is what it was, or
 * nothing.
 */

import { type Ip, tryParseIp } from "../../model/address.ts";
import type { Binding, Origin } from "../../model/binding.ts";
import type { BagChange, Value } from "./bag.ts";
import { type Content, hashOf, parseContent, readContent } from "./entry.ts";
import type { Member } from "./members.ts";
import type { BindingNote, WithheldNote } from "./memory.ts";

/** What is kept of an entry of vmdata.json. */
export interface MetadataEntry {
  /** Absent where the entry is no instance's. */
  readonly instance?: string;
  /** Equal where a guest sees no difference. */
  readonly hash?: number | undefined;
  /** Why it is no instance's, as the end of a sentence. */
  readonly flaw?: string;
  /** Just parsed, and not used yet. */
  content?: Content | undefined;
}

/** Metadata that is in force in place of the databag's. */
interface Held {
  readonly why: "command" | "lost" | "spoilt" | "restored";
  /** Of the databag's entry that this is, or has overtaken; absent where that is not known. */
  readonly digest: string | undefined;
  readonly instance: string | undefined;
  readonly hash: number | undefined;
  /** Absent where the router has it, and where only its name is known. */
  readonly content?: Content | undefined;
  /** Whether it may be served: at least by the router, which was told of it. */
  readonly servable: boolean;
  /** Whether it came by a command. */
  readonly commanded: boolean;
  readonly flawed: boolean;
}

/** What is known of an address's metadata. */
export interface Facts {
  readonly instance: string | undefined;
  readonly servable: boolean;
  /** The databag has lost it: only the router has it. */
  readonly lost: boolean;
  readonly digest: string | undefined;
  readonly kind: Origin["kind"];
}

/** What the databag's change comes to. */
export interface News {
  readonly address: Ip;
  /** It is other metadata than before. */
  readonly arrived: boolean;
  /** A guest may see a difference. */
  readonly differs: boolean;
}

export interface MetadataPorts {
  /** What is kept of the databag's entry. */
  readonly entry: (address: Ip) => Member<MetadataEntry> | undefined;
  /** The entry's value, read again; `undefined` if the file is not what it was. */
  readonly again: (address: Ip) => unknown;
}

const NO_NEWS = { arrived: false, differs: false } as const;

export class Metadata {
  readonly #ports: MetadataPorts;
  readonly #held = new Map<Ip, Held>();
  readonly #lost = new Set<Ip>();

  constructor(ports: MetadataPorts) {
    this.#ports = ports;
  }

  /** How many entries the databag has lost that are served all the same. */
  get lost(): number {
    return this.#lost.size;
  }

  /** Takes back what an earlier run served. */
  restoreBinding(binding: Binding, note: BindingNote | undefined): void {
    const { address, instance, name, keys, userData, origin } = binding;
    this.#held.set(address, {
      ...{ why: "restored", instance, digest: note?.digest, flawed: note?.flawed ?? true },
      content: { instance, name, keys, ...(userData === undefined ? {} : { userData }) },
      ...{ hash: undefined, servable: true, commanded: origin.kind === "apply" },
    });
  }

  /** Takes back whose metadata an earlier run knew and did not serve. */
  restoreWithheld(address: Ip, note: WithheldNote | undefined): void {
    this.#held.set(address, {
      ...{ why: "restored", instance: note?.instance, digest: note?.digest, flawed: true },
      ...{ hash: undefined, servable: false, commanded: note?.commanded ?? false },
    });
  }

  /**
   * Makes what is kept of an entry of vmdata.json. What an earlier run has served is not parsed.
   *
   * @throws {SyntaxError} if the value is no JSON.
   */
  read({ key, digest, raw, refused }: Value): MetadataEntry {
    if (refused !== undefined) return { flaw: refused };
    const address = tryParseIp(key);
    if (address === undefined || address !== key) {
      JSON.parse(raw.toString());
      return key === "id" ? {} : { flaw: "is not at an address" };
    }
    const held = this.#held.get(address);
    if (held?.content !== undefined && held.digest === digest && !held.flawed) {
      return { instance: held.content.instance, hash: hashOf(held.content) };
    }
    const content = parseContent(raw, address);
    if (content === undefined) return { flaw: "is not a list of [folder, file, contents]" };
    return { instance: content.instance, hash: hashOf(content), content };
  }

  /**
   * Takes over what the databag says now. Yields what is news, and whenever others may run,
   * commands among them; it must be run to its end.
   *
   * @param isOvertaken whether a command is newer than what the databag says of an address
   */
  *update(
    changes: readonly BagChange<MetadataEntry>[],
    isOvertaken: (address: Ip) => boolean,
  ): Generator<News> {
    for (const change of changes) {
      const address = tryParseIp(change.key);
      if (address === undefined || address !== change.key) continue;
      yield { address, ...this.#take(address, change, isOvertaken(address)) };
    }
    // The first reading names all entries: of what an earlier run knew, the rest is not there.
    for (const [address, held] of this.#held) {
      if (held.why !== "restored") continue;
      if (held.commanded) this.#hold(address, { ...held, why: "command" });
      else this.#hold(address, { ...held, why: "lost", content: undefined });
    }
  }

  /** Takes over what a command says. @returns whether a guest sees a difference. */
  command(address: Ip, content: Content): boolean {
    const held = this.#held.get(address);
    const entry = this.#ports.entry(address);
    const before = held === undefined ? entry?.data.hash : held.hash;
    const hash = hashOf(content);
    const differs = before === undefined || before !== hash || held?.content === undefined;
    // What the databag says already needs no holding.
    if (held === undefined && before === hash) return false;
    const { instance, flaws } = content;
    this.#hold(address, {
      ...{ why: "command", digest: entry?.digest ?? "", instance, hash, content },
      ...{ servable: true, commanded: true, flawed: flaws !== undefined },
    });
    return differs;
  }

  /** What is known of an address; `undefined` if nothing. O(1), parses nothing. */
  facts(address: Ip): Facts | undefined {
    const held = this.#held.get(address);
    if (held !== undefined) {
      const { instance, digest, content, servable, commanded } = held;
      const lost = servable && content === undefined;
      return { instance, servable, lost, digest, kind: commanded ? "apply" : "databag" };
    }
    const entry = this.#ports.entry(address);
    if (entry?.data.instance === undefined) return undefined;
    const { instance } = entry.data;
    return { instance, servable: true, lost: false, digest: entry.digest, kind: "databag" };
  }

  /** What may be served at an address; `undefined` if it cannot be had now. */
  content(address: Ip): Content | undefined {
    const held = this.#held.get(address);
    if (held !== undefined) return held.content;
    const entry = this.#ports.entry(address)?.data;
    if (entry?.instance === undefined) return undefined;
    return entry.content ?? readContent(this.#ports.again(address), address);
  }

  /** What was parsed of the databag's entry and not used yet. */
  fresh(address: Ip): Content | undefined {
    return this.#held.has(address) ? undefined : this.#ports.entry(address)?.data.content;
  }

  /** Forgets what was parsed of the databag's entry, once it was used. */
  release(address: Ip): void {
    const entry = this.#ports.entry(address)?.data;
    if (entry?.content !== undefined) entry.content = undefined;
  }

  /** Keeps no more than the name of what the databag has lost, once its lease is gone too. */
  strip(address: Ip): void {
    const held = this.#held.get(address);
    if (held?.why === "lost") this.#hold(address, { ...held, servable: false });
  }

  #take(
    address: Ip,
    { before, after }: BagChange<MetadataEntry>,
    overtaken: boolean,
  ): Omit<News, "address"> {
    const held = this.#held.get(address);
    if (after?.data.instance === undefined) {
      if (held === undefined && before?.data.instance !== undefined) {
        const { instance, hash } = before.data;
        this.#hold(address, {
          ...{
            why: after === undefined ? "lost" : "spoilt",
            digest: before.digest,
            instance,
            hash,
          },
          ...{ servable: true, commanded: false, flawed: false },
        });
      }
      return NO_NEWS;
    }
    if (held === undefined) return newsOf(before?.data.hash, after.data.hash);
    if (held.commanded && (overtaken || held.digest === after.digest)) {
      this.#hold(address, { ...held, why: "command", digest: after.digest });
      return NO_NEWS;
    }
    this.#held.delete(address);
    this.#lost.delete(address);
    if (held.digest === after.digest) return NO_NEWS;
    const hash = held.hash ?? (held.content && hashOf(held.content));
    // Of metadata that an earlier run withheld, the digest is known, or nothing.
    if (hash === undefined) return { arrived: held.digest !== undefined, differs: true };
    return newsOf(hash, after.data.hash);
  }

  #hold(address: Ip, held: Held): void {
    this.#held.set(address, held);
    if (held.why === "lost" && held.servable) this.#lost.add(address);
    else this.#lost.delete(address);
  }
}

function newsOf(before: number | undefined, after: number | undefined): Omit<News, "address"> {
  const differs = before === undefined || before !== after;
  return { arrived: differs, differs };
}
