/**
 * What was told of each address, and what is to be told next.
 *
 * Looks at addresses whose lease, metadata or network may be others, by the rules of `bindings.ts`,
 * and turns what differs into changes. Each look is one synchronous step, so that a command may
 * come between any two, and the changes of one address stay in their order.
 */

import type { Ip } from "../../model/address.ts";
import type { Binding, NetworkId, Withheld, Writable } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import type { Conditions } from "../../observe/conditions.ts";
import type { Slices } from "../slices.ts";
import { AddressReports } from "./address-reports.ts";
import { type Bond, look, type Seen } from "./bindings.ts";
import { type Leases, nameHash } from "./leases.ts";
import { ADDRESSES_MAX, PASSWORD_LEAD_MS } from "./limits.ts";
import {
  APPLY_ORIGIN,
  BAG_ORIGIN,
  type Remembered,
  writeBindingNote,
  writeWithheldNote,
} from "./memory.ts";
import type { Facts, Metadata } from "./metadata.ts";
import type { Networks } from "./networks.ts";
import { DIFFERS, type Pending, pendingOf, TOUCHED } from "./pending.ts";

interface Known {
  readonly bond: Bond;
  /** The network that the last change said; absent where the router knows nothing. */
  network: NetworkId | undefined;
  /** What the last change said. */
  told: Bond | undefined;
  /** What was noted beside it. Of a binding, what depends on its content is left out. */
  note: string | undefined;
}

export interface Password {
  readonly address: Ip;
  readonly password: string | undefined;
  readonly via: string;
  readonly standing: boolean;
  /** It came just now; others were found at the start. */
  readonly fresh: boolean;
}

export interface AnswersPorts {
  readonly leases: Leases;
  readonly metadata: Metadata;
  readonly networks: Networks;
  readonly conditions: Conditions;
  readonly now: () => number;
  /** Whether leases can be read now. */
  readonly leasesFresh: () => boolean;
  /** Whether the leases were written after the metadata. */
  readonly leasesLater: () => boolean;
}

export class Answers {
  readonly #ports: AnswersPorts;
  readonly #reports: AddressReports;
  readonly #known = new Map<Ip, Known>();
  readonly #pending = new Map<Ip, Pending>();
  /** Addresses whose metadata could not be read again when it was needed. */
  readonly #unreadable = new Map<Ip, Pending>();
  /** What is to be told, in the order in which it happened to each address. */
  readonly #outbox = new Map<Ip, Change[]>();
  /** Epochs that an earlier run kept passwords for: none is begun again. */
  readonly #kept = new Map<Ip, number>();
  /** Passwords that came a moment ago: the metadata that follows says whose they are. */
  readonly #recent = new Map<Ip, { readonly password: Password; readonly at: number }>();

  constructor(ports: AnswersPorts) {
    this.#ports = ports;
    this.#reports = new AddressReports(ports.conditions, ports.now);
  }

  /** When the next metadata will be late. */
  get nextLate(): number | undefined {
    return this.#reports.nextLate();
  }

  /** How many addresses something is known of. */
  get size(): number {
    return this.#known.size;
  }

  /** Whether nothing is known, and nothing of an earlier run. */
  get isFresh(): boolean {
    return this.#known.size === 0 && this.#kept.size === 0;
  }

  /** Whether an address is to be looked at. */
  isPending(address: Ip): boolean {
    return this.#pending.has(address);
  }

  knows(address: Ip): boolean {
    return this.#known.has(address);
  }

  /** An earlier run kept a password for this epoch of an address. Before any `restore`. */
  keepEpoch(address: Ip, epoch: number): void {
    this.#kept.set(address, Math.max(epoch, this.#kept.get(address) ?? 0));
  }

  /** Takes back what an earlier run told of an address. */
  restore({ address, network, bond, note }: Remembered): void {
    const kept = this.#kept.get(address) ?? 0;
    // Of a binding with that epoch nothing is remembered, so whoever is there now is another.
    const now = kept > bond.epoch ? { ...bond, epoch: kept + 1 } : bond;
    this.#known.set(address, { network, bond: now, told: bond, note });
    this.mark(address);
  }

  /** The first look at an address. */
  #begin(address: Ip, seen: Seen): Bond {
    const bond = look(undefined, seen, this.#ports.now());
    const kept = this.#kept.get(address);
    return kept === undefined ? bond : { ...bond, epoch: kept + 1 };
  }

  /** Something happened to an address: it will be looked at. */
  mark(address: Ip, { arrived, differs }: Pending = TOUCHED): void {
    const pending = this.#pending.get(address);
    const hasArrived = arrived || pending?.arrived === true;
    this.#pending.set(address, pendingOf(hasArrived, differs || pending?.differs === true));
  }

  /** Something happened that concerns every address. */
  markAll(): void {
    for (const address of this.#known.keys()) this.mark(address);
  }

  /**
   * Looks at all addresses to which something happened. May be broken off and taken up again.
   *
   * @param show is given what is to be told so far, whenever others may run
   */
  async lookAtAll(slices: Slices, show?: (changes: readonly Change[]) => void): Promise<void> {
    for (const [address, pending] of this.#unreadable) this.mark(address, pending);
    this.#unreadable.clear();
    for (const address of this.#pending.keys()) {
      if (slices.due()) {
        if (this.#outbox.size > 0) show?.(this.drain());
        await slices.rest();
      }
      this.look(address);
    }
    const { now } = this.#ports;
    this.#reports.raiseLate();
    for (const [address, { at }] of this.#recent) {
      if (now() - at > PASSWORD_LEAD_MS) this.#recent.delete(address);
    }
  }

  /** Looks at one address. O(1) in the number of instances. */
  look(address: Ip): void {
    const pending = this.#pending.get(address);
    this.#pending.delete(address);
    const { leases, metadata, networks, now } = this.#ports;
    const known = this.#known.get(address);
    const lease = leases.get(address);
    const facts = metadata.facts(address);
    if (known === undefined && lease === undefined && facts === undefined) return;
    if (known === undefined && !this.#hasRoom(address)) return;
    const seen = this.#seen(address, facts, pending);
    const bond = known === undefined ? this.#begin(address, seen) : look(known.bond, seen, now());
    const network = networks.of(address, known?.network);
    this.#tell(address, { bond, network, facts, differs: pending?.differs === true });
    metadata.release(address);
    if (known !== undefined) this.#carry(address, known.bond, bond);
  }

  /** What is in force at an address is to be told as if it were new. */
  again(address: Ip): void {
    // What the databag has lost only the router had.
    if (!this.#known.has(address) || this.#ports.metadata.facts(address)?.lost !== false) return;
    this.mark(address, DIFFERS);
    this.look(address);
  }

  /** A password for whoever has the address now, or will have it once the metadata is here. */
  offer(offered: Password): void {
    const { address, password, via, standing } = offered;
    const { networks, now } = this.#ports;
    const network = networks.of(address, this.#known.get(address)?.network);
    if (network === undefined) {
      this.#reports.outside(address, "a password");
      return;
    }
    const known = this.#reserve(address, network);
    if (known === undefined) return;
    const { epoch } = known.bond;
    this.#say(address, { kind: "password", network, address, epoch, password, via, standing });
    if (offered.fresh) this.#recent.set(address, { password: offered, at: now() });
  }

  /** Takes out what is to be told, of some addresses or of all. */
  drain(addresses?: readonly Ip[]): Change[] {
    const drained: Change[] = [];
    for (const address of addresses ?? this.#outbox.keys()) {
      for (const change of this.#outbox.get(address) ?? []) drained.push(change);
      if (addresses !== undefined) this.#outbox.delete(address);
    }
    if (addresses === undefined) this.#outbox.clear();
    return drained;
  }

  #seen(address: Ip, facts: Facts | undefined, pending: Pending | undefined): Seen {
    const { leases, leasesFresh } = this.#ports;
    return {
      lease: leases.get(address),
      leasesKnown: leases.known,
      leasesFresh: leasesFresh() || leases.commandedOver(address) !== undefined,
      instance: facts?.instance,
      servable: facts?.servable === true,
      arrived: pending?.arrived === true,
      doubtful: this.#isDoubtful(address),
    };
  }

  /** Instances of one name are taken for one: then lease and metadata belong together. */
  #isDoubtful(address: Ip): boolean {
    const { leases, metadata, leasesLater } = this.#ports;
    if (!leasesLater()) return false;
    const name = metadata.fresh(address)?.name;
    return name === undefined || leases.get(address)?.name !== nameHash(name);
  }

  /** Tells the router what is new to it. */
  #tell(
    address: Ip,
    what: {
      bond: Bond;
      network: NetworkId | undefined;
      facts: Facts | undefined;
      differs: boolean;
    },
  ): void {
    const { network, facts, differs } = what;
    let { bond } = what;
    const former = this.#known.get(address);
    const isMoved = former?.network !== undefined && former.network !== network;
    if (isMoved) {
      this.#say(address, { kind: "delete", network: former.network as NetworkId, address });
      bond = { ...bond, epoch: bond.epoch + 1 }; // What was deleted has ended.
    }
    const { told, note, network: toldNetwork } = isMoved || !former ? NOTHING_TOLD : former;
    const known: Known = { bond, network: toldNetwork, told, note };
    this.#known.set(address, known);
    this.#reports.watch(address, bond);
    const isOutside = network === undefined && facts?.servable === true;
    this.#reports.outside(address, isOutside ? "metadata" : undefined);
    if (network === undefined) return;

    if (bond.verdict === "serve") this.#put(known, { address, network, facts, differs });
    // Nobody asks about an address that has a lease and never had metadata.
    else if (bond.instance !== undefined || known.told !== undefined) {
      this.#withhold(known, { address, network, facts });
    }
  }

  #put(
    known: Known,
    to: { address: Ip; network: NetworkId; facts: Facts | undefined; differs: boolean },
  ): void {
    const { address, network, facts, differs } = to;
    const { bond } = known;
    const leaseOver = this.#ports.leases.commandedOver(address);
    if (!differs && isTold(known, leaseOver)) {
      const fresh = this.#ports.metadata.fresh(address);
      if (fresh !== undefined) this.#reports.flaws(address, fresh);
      return;
    }
    const content = this.#ports.metadata.content(address);
    if (facts === undefined) return;
    if (content === undefined && facts.lost) {
      // Only the router had it, for a binding that has ended.
      const lost: Known = { ...known, bond: { ...bond, verdict: "awaiting-metadata" } };
      this.#known.set(address, lost);
      this.#withhold(lost, { address, network, facts });
      return;
    }
    if (content === undefined) {
      // The file is being written. What it says then will be read, and this looked at again.
      this.#unreadable.set(address, { arrived: false, differs });
      return;
    }
    Object.assign(known, { network, told: bond, note: leaseOver });
    this.#reports.flaws(address, content);
    const { instance, name, keys, userData, flaws } = content;
    const flawed = flaws !== undefined;
    const note = writeBindingNote({ digest: facts.digest ?? "", flawed, leaseOver });
    const origin = facts.kind === "apply" ? APPLY_ORIGIN : BAG_ORIGIN;
    const { epoch, mac } = bond;
    const told = { network, address, epoch, instance, name, keys, origin, note };
    const binding: Writable<Binding> = told;
    if (mac !== undefined) binding.mac = mac;
    if (userData !== undefined) binding.userData = userData;
    this.#say(address, { kind: "put", binding });
  }

  #withhold(known: Known, to: { address: Ip; network: NetworkId; facts: Facts | undefined }): void {
    const { address, network, facts } = to;
    const { bond } = known;
    const { verdict: reason, epoch, mac, since } = bond;
    if (reason === "serve") return;
    if (reason !== "awaiting-metadata") this.#ports.metadata.strip(address);
    const note = this.#note(address, bond, facts);
    if (isTold(known, note)) return;
    Object.assign(known, { network, told: bond, note });
    this.#reports.flaws(address, undefined);
    const withheld: Withheld = {
      ...{ network, address, reason, epoch, since, note },
      ...(mac === undefined ? {} : { mac }),
    };
    this.#say(address, { kind: "withhold", withheld });
  }

  #note(address: Ip, { instance, past }: Bond, facts: Facts | undefined): string {
    const leaseOver = this.#ports.leases.commandedOver(address);
    return writeWithheldNote({
      ...(instance === undefined ? {} : { instance }),
      ...(facts?.digest === undefined ? {} : { digest: facts.digest }),
      ...(facts?.kind === "apply" ? { commanded: true } : {}),
      ...(leaseOver === undefined ? {} : { leaseOver }),
      ...(past === undefined ? {} : { past }),
    });
  }

  /**
   * Another instance's metadata behind the same MAC, or where no MAC is known, begins an epoch that
   * its password came just before.
   */
  #carry(address: Ip, before: Bond, { epoch, mac }: Bond): void {
    const recent = this.#recent.get(address);
    if (recent === undefined) return;
    const isLead = this.#ports.now() - recent.at <= PASSWORD_LEAD_MS;
    if (epoch === before.epoch || mac !== before.mac || !isLead) return;
    this.#recent.delete(address);
    this.offer({ ...recent.password, standing: false, fresh: false });
  }

  /** Begins an epoch for an address that has a password and nothing else yet. */
  #reserve(address: Ip, network: NetworkId): Known | undefined {
    const known = this.#known.get(address);
    if (known?.told !== undefined) return known;
    if (known === undefined && !this.#hasRoom(address)) return undefined;
    const facts = this.#ports.metadata.facts(address);
    const bond = known?.bond ?? this.#begin(address, this.#seen(address, facts, undefined));
    const reserved: Known = { bond, ...NOTHING_TOLD };
    this.#known.set(address, reserved);
    // Told, so that a later run knows that this epoch has begun.
    this.#withhold(reserved, { address, network, facts });
    return reserved;
  }

  #hasRoom(address: Ip): boolean {
    if (this.#known.size < ADDRESSES_MAX) return true;
    const detail = `more than ${ADDRESSES_MAX} addresses, ${address} among them`;
    this.#ports.conditions.raise("SOURCE_MALFORMED", "vmdata.json addresses", detail);
    return false;
  }

  #say(address: Ip, change: Change): void {
    const changes = this.#outbox.get(address);
    if (changes === undefined) this.#outbox.set(address, [change]);
    else changes.push(change);
  }
}

const NOTHING_TOLD = { network: undefined, told: undefined, note: undefined } as const;

/** Whether the last change said this already. */
function isTold({ bond, told, note }: Known, noteNow: string | undefined): boolean {
  if (told === undefined || note !== noteNow) return false;
  const { verdict, epoch, mac, instance } = told;
  const isSame = verdict === bond.verdict && epoch === bond.epoch && mac === bond.mac;
  return isSame && (instance === bond.instance || verdict !== "serve");
}
