/**
 * All that the router knows, in memory: (network, address) -> what answers there.
 *
 * A batch of changes is applied at once, and one instance's document is replaced whole. The cost
 * of a change does not grow with the number of instances.
 */

import { type Ip, type Mac, tryParseIp } from "../model/address.ts";
import type { Binding, Body, NetworkId, Withheld, Writable } from "../model/binding.ts";
import type { Change, Network } from "../model/change.ts";
import { type Document, keysOf, render, Shapes } from "../protocol/document.ts";
import { type Overlap, Ranges } from "./ranges.ts";

/** A binding that answers. Its keys live in the document, so that they are there once. */
export interface Bound extends Omit<Binding, "keys" | "userData" | "payloads"> {
  readonly kind: "bound";
  readonly document: Document;
}

export type Entry = Bound | ({ readonly kind: "withheld" } & Withheld);

/** What a change did to an address, for whoever keeps things for an epoch. */
export interface DirectoryEvents {
  /** An epoch ended: what was kept for the ones before `epoch` is void. */
  epochBegan(network: NetworkId, address: Ip, epoch: number): void;
  /** A host name has more than one line and is cut, or no longer. */
  hostNameCut(network: NetworkId, address: Ip, cut: boolean): void;
  /** Who asked from an address that instances of several networks have; none: it is over. */
  contested?(address: Ip, networks: readonly NetworkId[]): void;
  /** Ranges that several networks have, all of them. */
  overlapping?(overlaps: readonly Overlap[]): void;
}

export class Directory {
  readonly #events: DirectoryEvents;
  readonly #shapes = new Shapes();
  readonly #entries = new Map<NetworkId, Map<Ip, Entry>>();
  #networks: readonly Network[] = [];
  #ranges = new Ranges([]);
  /** Where there are several networks: who an address is, once somebody has asked from it. */
  readonly #found = new Map<Ip, Entry>();
  readonly #contested = new Set<Ip>();
  /** Who has a MAC address; made when first asked for, because only IPv6 guests need it. */
  #byMac: Map<Mac, Set<Bound>> | undefined;
  /** Where a host name is cut. */
  readonly #cut = new Set<string>();
  #bound = 0;

  constructor(events: DirectoryEvents) {
    this.#events = events;
  }

  /** How many addresses answer. */
  get size(): number {
    return this.#bound;
  }

  /** The networks as the source knows them, for addresses of which nothing else is known. */
  setNetworks(networks: readonly Network[]): void {
    if (networks === this.#networks) return; // Told after every look.
    this.#networks = networks;
    this.#ranges = new Ranges(networks);
    this.#found.clear();
    for (const address of this.#contested) this.#contest(address, []);
    this.#events.overlapping?.(this.#ranges.overlaps());
  }

  /** Applies a batch. Synchronous, so that no request sees half of it. Password changes pass by. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === "put") this.#put(change.binding);
      else if (change.kind === "withhold") this.#withhold(change.withheld);
      else if (change.kind === "delete") this.#replace(change.network, change.address, undefined);
    }
  }

  /**
   * What is known of a peer, by the address that the kernel reports. Where there are several
   * networks, it is of the one whose range holds the address. An address that several have says
   * nothing of who asks: nobody is answered there.
   */
  find(peer: string): Entry | undefined {
    const address = canonicalPeer(peer);
    if (address === undefined) return undefined;
    if (this.#entries.size > 1 || this.#networks.length > 1) {
      return this.#found.get(address) ?? this.#findAmong(address);
    }
    const [entries] = this.#entries.values();
    return entries?.get(address);
  }

  /** Answers user data from elsewhere, if it is still what the address has. */
  moveUserData(binding: Binding, to: Body): void {
    const { network, address, userData } = binding;
    const entry = this.at(network, address);
    if (entry?.kind !== "bound" || entry.document.userData !== userData) return;
    const document = { ...entry.document, userData: to };
    const moved = { ...entry, document };
    this.#entries.get(network)?.set(address, moved);
    this.#found.delete(address);
    if (this.#byMac !== undefined) this.#moveMac(entry, moved);
  }

  /** What is known at an address of a network. */
  at(network: NetworkId, address: Ip): Entry | undefined {
    return this.#entries.get(network)?.get(address);
  }

  /** The bindings of a MAC address, in the order in which they came. */
  withMac(mac: Mac): Iterable<Bound> {
    if (this.#byMac === undefined) {
      this.#byMac = new Map();
      for (const entry of this.entries()) this.#indexMac(entry);
    }
    return this.#byMac.get(mac) ?? [];
  }

  /** The network whose range holds an address; the first one where several do. */
  networkOf(address: Ip): NetworkId | undefined {
    return this.#ranges.of(address)[0];
  }

  *entries(): Generator<Entry> {
    for (const entries of this.#entries.values()) yield* entries.values();
  }

  #findAmong(address: Ip): Entry | undefined {
    const owners = this.#ranges.of(address);
    const networks = owners.length > 0 ? owners : this.#unranged(address);
    const [network, ...others] = networks;
    if (network === undefined) return undefined;
    let entry = this.at(network, address);
    if (others.length > 0) {
      entry = { kind: "withheld", network, address, epoch: 0, reason: "conflict", since: 0 };
      if (owners.length === 0) this.#contest(address, networks);
    }
    if (networks.some((id) => this.at(id, address) !== undefined) && entry !== undefined) {
      this.#found.set(address, entry); // As many as there are entries, at most.
    }
    return entry;
  }

  /** The networks that have an entry at an address, and no range that could say whose it is. */
  #unranged(address: Ip): NetworkId[] {
    const found: NetworkId[] = [];
    for (const [network, entries] of this.#entries) {
      if (entries.has(address) && !this.#ranges.knows(network, address)) found.push(network);
    }
    return found;
  }

  #contest(address: Ip, networks: readonly NetworkId[]): void {
    if (networks.length > 0) this.#contested.add(address);
    else if (!this.#contested.delete(address)) return;
    this.#events.contested?.(address, networks);
  }

  #put(binding: Binding): void {
    const { network, address, mac, epoch, instance, name, origin, note } = binding;
    const { keys, userData, payloads } = binding;
    const { document: rendered, hostNameCut } = render(keys, userData, this.#shapes);
    const document = payloads === undefined ? rendered : { ...rendered, payloads };
    // Written out, because there is one for each address: a copy with `...` is twice the size.
    const kind = "bound";
    const bound = { kind, network, address, epoch, instance, name, origin, document } as const;
    const entry: Writable<Bound> = bound;
    if (mac !== undefined) entry.mac = mac;
    if (note !== undefined) entry.note = note;
    if (binding.sealed === true) entry.sealed = true;
    this.#replace(network, address, entry);
    if (hostNameCut) this.#tellCut(network, address, true);
  }

  #withhold(withheld: Withheld): void {
    this.#replace(withheld.network, withheld.address, { kind: "withheld", ...withheld });
  }

  #tellCut(network: NetworkId, address: Ip, cut: boolean): void {
    const name = `${network} ${address}`;
    if (cut === this.#cut.has(name)) return;
    if (cut) this.#cut.add(name);
    else this.#cut.delete(name);
    this.#events.hostNameCut(network, address, cut);
  }

  #moveMac(from: Entry | undefined, to: Entry | undefined): void {
    if (from?.kind === "bound" && from.mac !== undefined) {
      const others = this.#byMac?.get(from.mac);
      others?.delete(from);
      if (others?.size === 0) this.#byMac?.delete(from.mac);
    }
    if (to !== undefined) this.#indexMac(to);
  }

  #indexMac(entry: Entry): void {
    if (entry.kind !== "bound" || entry.mac === undefined) return;
    const known = this.#byMac?.get(entry.mac);
    if (known === undefined) this.#byMac?.set(entry.mac, new Set([entry]));
    else known.add(entry);
  }

  #replace(network: NetworkId, address: Ip, entry: Entry | undefined): void {
    if (this.#cut.size > 0) this.#tellCut(network, address, false);
    if (this.#found.size > 0) this.#found.delete(address);
    if (this.#contested.size > 0) this.#contest(address, []);
    let entries = this.#entries.get(network);
    if (entries === undefined) {
      entries = new Map();
      this.#entries.set(network, entries);
    }
    const former = entries.get(address);
    if (former?.kind === "bound") this.#bound--;
    if (this.#byMac !== undefined) this.#moveMac(former, entry);
    if (entry === undefined) entries.delete(address);
    else entries.set(address, entry);
    if (entry?.kind === "bound") this.#bound++;
    if (entries.size === 0) this.#entries.delete(network);
    const epoch = entry?.epoch ?? (former === undefined ? 0 : former.epoch + 1);
    if (former !== undefined && epoch > former.epoch) {
      this.#events.epochBegan(network, address, epoch);
    }
  }
}

/** The change that makes an entry what it is. */
export function changeOf(entry: Entry): Change {
  if (entry.kind === "bound") return { kind: "put", binding: toBinding(entry) };
  const { kind, ...withheld } = entry;
  return { kind: "withhold", withheld };
}

/** A bound entry as a source made it. */
function toBinding({ kind, document, ...rest }: Bound): Binding {
  const { userData, payloads } = document;
  const binding: Writable<Binding> = { ...rest, keys: keysOf(document) };
  if (userData !== undefined) binding.userData = userData;
  if (payloads !== undefined) binding.payloads = payloads;
  return binding;
}

/**
 * A peer's address as it is spelled within this program. `::ffff:10.1.1.5` is 10.1.1.5; a zone says
 * on which link, and is not part of the address.
 */
export function canonicalPeer(peer: string): Ip | undefined {
  if (!peer.includes(":")) return peer as Ip; // IPv4 comes from the kernel in one spelling.
  if (peer.startsWith("::ffff:") && peer.includes(".")) return peer.slice(7) as Ip;
  return tryParseIp(peer.split("%", 1)[0]);
}
