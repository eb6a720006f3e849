/**
 * The router's listeners for bridges: who asks there is whom a trusted bridge says, in a PROXY
 * header of version 2, and the bridge has compared MAC addresses already.
 *
 * A bridge's word holds on these listeners only. An address that the source knows as a guest's is
 * never trusted, whatever range it lies in: a guest is nobody's bridge.
 */

import { type Cidr, contains, type Ip } from "../model/address.ts";
import type { Conditions } from "../observe/conditions.ts";
import { canonicalPeer, type Directory, type Entry } from "./directory.ts";
import type { ProxiedOptions, Refusal } from "./http/proxied.ts";
import type { Handler, Listener, ListenOptions, Rim } from "./http/rim.ts";
import type { Identified } from "./identity.ts";
import { addressOf, Listeners, type ListenTarget } from "./listeners.ts";
import { type MetadataPorts, metadataHandler } from "./metadata-server.ts";
import { type PasswordPorts, passwordHandler, type Recipient } from "./password-server.ts";

/** One group of listeners, and who is believed there. */
export interface ProxiedSettings {
  readonly listen: readonly ListenTarget[];
  readonly trusted: readonly Cidr[];
}

export interface ProxiedPorts {
  readonly rim: Rim;
  readonly directory: Pick<Directory, "find" | "networkOf">;
  readonly conditions: Conditions;
  /** What is known of an address while the source is read. */
  readonly hasten: (address: string) => Entry | undefined;
  /** As on the other listeners, but for who asks. */
  readonly metadata: Omit<MetadataPorts, "find">;
  readonly password: Omit<PasswordPorts, "identify" | "ownAddresses">;
  readonly recipient: (entry: Entry | undefined) => Recipient | undefined;
}

/** Guests of which it is remembered that they ask through a bridge, for `why`. */
const GUESTS_MAX = 4_096;

/** So long after the last connection that was refused, the condition is over. ms. */
const QUIET_MS = 10 * 60 * 1000;

const NO_ADDRESSES: ReadonlySet<string> = new Set();

const WORDS: Readonly<Record<Refusal, string>> = {
  untrusted: "is not trusted",
  header: "sent no PROXY header of version 2 with an address",
  late: "sent no whole PROXY header within two seconds",
  full: "has too many connections",
};

export class Proxied {
  readonly #ports: ProxiedPorts;
  readonly #groups: readonly {
    readonly listeners: Listeners;
    readonly settings: ProxiedSettings;
  }[];
  /** By which bridge a guest asked last. */
  readonly #bridges = new Map<Ip, string>();
  readonly #refused = new Map<Refusal, number>();
  readonly #quiet = new Map<string, NodeJS.Timeout>();

  constructor(settings: readonly ProxiedSettings[], ports: ProxiedPorts) {
    this.#ports = ports;
    const { conditions, directory, hasten } = ports;
    const handlers = {
      metadata: this.#noting(
        metadataHandler({
          ...ports.metadata,
          find: (peer) => directory.find(peer) ?? hasten(peer),
        }),
      ),
      password: this.#noting(
        passwordHandler({
          ...ports.password,
          identify: async (peer) => ports.recipient(directory.find(peer)),
          // A password is handed in by the router's own commands, and those need no bridge.
          ownAddresses: () => NO_ADDRESSES,
        }),
      ),
    };
    this.#groups = settings.map((settings) => {
      const rim = { ...ports.rim, listen: (how: ListenOptions) => this.#listen(how, settings) };
      return {
        settings,
        listeners: new Listeners({ rim, conditions, handlers, refused: "proxied" }),
      };
    });
  }

  /** What is open, with real ports. */
  get open(): readonly ListenTarget[] {
    return this.#groups.flatMap(({ listeners }) => listeners.open);
  }

  /** What a `Host` header may say here too: a bridge names the address that it asks. */
  get names(): readonly string[] {
    return this.#groups.flatMap(({ listeners }) => listeners.names);
  }

  /** Whether everything that is wanted is open. */
  get complete(): boolean {
    return this.#groups.every(({ listeners }) => listeners.complete);
  }

  /** Connections that were closed without an answer, by reason. */
  get refused(): Iterable<readonly [Refusal, number]> {
    return this.#refused;
  }

  /** Opens those for metadata. @throws {ListenError} if one cannot be, or a port is taken. */
  async require(): Promise<void> {
    for (const { listeners, settings } of this.#groups) {
      await listeners.require(settings.listen.filter(({ plane }) => plane === "metadata"));
      // Opened for a moment, so that a taken port is said now.
      await listeners.probe(settings.listen.filter(({ plane }) => plane === "password"));
    }
  }

  /** @param arePasswordsKnown before that, "there is none" would be believed */
  async follow(arePasswordsKnown: boolean): Promise<void> {
    for (const { listeners, settings } of this.#groups) {
      const isWanted = ({ plane }: ListenTarget): boolean =>
        arePasswordsKnown || plane === "metadata";
      await listeners.follow(settings.listen.filter(isWanted));
    }
  }

  /** Who an address is that asks through a bridge, and which; `undefined` for others. */
  explain(address: Ip): Identified | undefined {
    const bridge = this.#bridges.get(address);
    if (bridge === undefined) return undefined;
    const evidence = `it asks through the bridge at ${bridge}, which has compared its MAC address`;
    return { entry: this.#ports.directory.find(address), evidence };
  }

  async close(graceMs: number): Promise<void> {
    for (const timer of this.#quiet.values()) clearTimeout(timer);
    await Promise.all(this.#groups.map(({ listeners }) => listeners.close(graceMs)));
  }

  async #listen(how: ListenOptions, { trusted }: ProxiedSettings): Promise<Listener> {
    const { at, ...rest } = how;
    if (!("host" in at)) throw new TypeError("a bridge does not ask on a unix socket");
    // Loads node:http, which Bun's own rim does without.
    const { listenProxied } = await import("./http/proxied.ts");
    const options: ProxiedOptions = {
      ...{ at, ...rest },
      isTrusted: (peer) => this.#isTrusted(peer, trusted),
      onRefusal: (refusal, peer) => this.#refuse(addressOf(at), refusal, peer),
    };
    return listenProxied(options);
  }

  /** Among guests only one that is named alone: any guest may take another address of theirs. */
  #isTrusted(peer: Ip, trusted: readonly Cidr[]): boolean {
    const { directory } = this.#ports;
    if (directory.find(peer) !== undefined) return false;
    const ranges = trusted.filter((range) => contains(range, peer));
    const isAlone = ranges.some(({ first, last }) => first === last);
    return isAlone || (ranges.length > 0 && directory.networkOf(peer) === undefined);
  }

  #noting(handler: Handler): Handler {
    return (request) => {
      const guest = canonicalPeer(request.peer ?? "");
      if (guest !== undefined && request.via !== undefined) this.#note(guest, request.via);
      return handler(request);
    };
  }

  #note(guest: Ip, bridge: string): void {
    if (this.#bridges.get(guest) === bridge) return;
    const oldest = this.#bridges.keys().next().value;
    if (this.#bridges.size >= GUESTS_MAX && oldest !== undefined) this.#bridges.delete(oldest);
    this.#bridges.set(guest, bridge);
  }

  #refuse(listener: string, refusal: Refusal, peer: Ip | undefined): void {
    this.#refused.set(refusal, (this.#refused.get(refusal) ?? 0) + 1);
    const subject = `${listener}: ${refusal}`;
    const timer = this.#quiet.get(subject);
    if (timer !== undefined) {
      timer.refresh();
      return;
    }
    const { conditions } = this.#ports;
    conditions.raise("PROXY_REFUSED", subject, `${peer ?? "a peer"} ${WORDS[refusal]}`);
    const over = setTimeout(() => {
      this.#quiet.delete(subject);
      conditions.clear("PROXY_REFUSED", subject);
    }, QUIET_MS);
    this.#quiet.set(subject, over.unref());
  }
}
