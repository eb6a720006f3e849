/**
 * What the kernel is asked and told so that an address is whose it seems: the policies of the
 * networks, the neighbour table that identity is compared with, lease files, and the router's own
 * firewall. Each only where a network wants it.
 */

import type { HostsMode } from "../config/settings.ts";
import type { Cidr, Ip, Mac } from "../model/address.ts";
import type { NetworkId } from "../model/binding.ts";
import { type Change, type Network, placeOf } from "../model/change.ts";
import { ConfigError } from "../model/errors.ts";
import type { ConditionCode, Conditions } from "../observe/conditions.ts";
import type { Exec } from "../platform/exec.ts";
import type { StartLines } from "../platform/lines.ts";
import { type Neighbours, openNeighbours } from "../platform/neighbours.ts";
import type { Directory } from "./directory.ts";
import { Firewall, type FirewallRules } from "./firewall/keeper.ts";
import { GUEST_LIMITS, type HostPort, isEnforced, placeOf as keptAt } from "./firewall/settings.ts";
import type { Drop } from "./firewall/text.ts";
import { Gateways } from "./gateways.ts";
import { Identity, type IdentityPorts } from "./identity.ts";
import { LearnedAddresses, type LearnedAt } from "./learned.ts";
import { LeaseFiles } from "./lease-files.ts";
import type { ListenTarget } from "./listeners.ts";
import { comparesMac, type GivenNetwork, isLoopback, type Policy, policiesOf } from "./policies.ts";

const FIREWALL_SUBJECT = "table inet frontdesk";

export interface EvidenceSettings {
  readonly networks: readonly GivenNetwork[];
  /** Absent: the router keeps no firewall. */
  readonly firewall?: {
    readonly managementCidrs: readonly Cidr[];
    /** Absent where the admin listener is a unix socket. */
    readonly admin?: HostPort;
  };
}

export interface EvidencePorts extends Pick<IdentityPorts, "hasten"> {
  readonly directory: Directory;
  readonly conditions: Conditions;
  /** For tests: how programs are run, and which devices lie in a range. */
  readonly exec?: Exec;
  readonly start?: StartLines;
  readonly devices?: (cidrs: readonly Cidr[]) => readonly string[];
}

/** Addresses that are on their way into the firewall, or were refused just now. */
const KEEPING_MAX = 64;

/** So long a refusal holds: a guest may ask a thousand times a second. ms. */
const NOT_KEPT_MS = 1000;

export class Evidence {
  readonly identity: Identity;
  readonly #settings: EvidenceSettings;
  readonly #ports: EvidencePorts;
  readonly #firewall: Firewall | undefined;
  readonly #leaseFiles: LeaseFiles | undefined;
  #neighbours: Neighbours | undefined;
  #networks: readonly Network[] = [];
  #listening: readonly ListenTarget[] = [];
  #policies: readonly Policy[] = [];
  readonly #hosts = new Map<NetworkId, HostsMode>();
  /** Learnt addresses that are on their way into the firewall. */
  readonly #keeping = new Map<string, Promise<boolean>>();
  readonly #learned = new LearnedAddresses(({ address, device }) => {
    void this.#firewall?.setLease(address, undefined, device);
  });
  readonly #gateways: Gateways;
  #closed = false;
  /** What was done last, so that nothing is done again. */
  #done = "";

  constructor(settings: EvidenceSettings, ports: EvidencePorts) {
    this.#settings = settings;
    this.#ports = ports;
    const { directory, conditions, hasten, exec, start } = ports;
    this.#gateways = new Gateways(exec);
    const files = settings.networks.flatMap(({ leaseFiles }) => leaseFiles);
    if (files.length > 0) {
      this.#leaseFiles = new LeaseFiles(files, {
        conditions,
        onChange: (addresses) => this.#leasesChanged(addresses),
      });
    }
    const leaseFiles = this.#leaseFiles;
    this.identity = new Identity({
      ...{ directory, conditions },
      neighbours: () => this.#neighbours,
      keep: (address: Ip, mac: Mac, device: string) => this.#keep({ address, device }, mac),
      guarded: () => this.#firewall !== undefined && !this.#hasFirewallTrouble(),
      ...(hasten && { hasten }),
      ...(leaseFiles && { leased: (address: Ip) => leaseFiles.get(address) }),
    });
    if (settings.networks.length > 0) this.#apply();
    if (settings.firewall !== undefined) {
      this.#firewall = new Firewall({
        ...(exec && { exec }),
        ...(start && { start }),
        onTrouble: this.#tells("FIREWALL_FAILED", FIREWALL_SUBJECT),
      });
    }
    for (const { address } of this.#firewall ? directory.entries() : []) this.#setLease(address);
  }

  /** The policy of each network, as it is in force. */
  get policies(): readonly Policy[] {
    return this.#policies;
  }

  /** For people, and for commands that want to know what holds here. */
  status(): { readonly policies: readonly object[]; readonly firewall: "kept" | "none" } {
    const policies = this.#policies.map(({ cidrs, ...policy }) => ({
      ...policy,
      cidrs: cidrs.map(({ text }) => text),
    }));
    return { policies, firewall: this.#firewall === undefined ? "none" : "kept" };
  }

  /** Compares the firewall with what it should be, now and not only in a minute. Never rejects. */
  async refresh(): Promise<void> {
    await this.#firewall?.refresh();
  }

  /** Asks the kernel what the firewall has dropped until now. Never rejects. */
  async readDrops(): Promise<void> {
    await this.#firewall?.readDrops();
  }

  /** What to do about foreign Host headers in a network, where it says so itself. */
  hostsOf(network: NetworkId | undefined): HostsMode | undefined {
    return network === undefined ? undefined : this.#hosts.get(network);
  }

  /** Packets that the firewall has dropped. */
  get drops(): Readonly<Record<Drop, number>> | undefined {
    return this.#firewall?.drops;
  }

  /** The networks, or what is listened on, may be others now. */
  follow(networks: readonly Network[], listening: readonly ListenTarget[]): void {
    this.#networks = networks;
    this.#listening = listening;
    this.#learned.sweep(performance.now());
    this.#apply();
  }

  /** These changes are visible to guests. */
  tell(changes: readonly Change[]): void {
    this.identity.leasesChanged();
    if (this.#firewall === undefined) return;
    for (const change of changes) this.#setLease(placeOf(change).address);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.identity.close();
    this.#leaseFiles?.close();
    await Promise.all([this.#neighbours?.close(), this.#firewall?.close({ removeTable: true })]);
  }

  #apply(): void {
    if (this.#closed) return;
    const { conditions, devices, start } = this.#ports;
    this.#policies = policiesOf(this.#settings.networks, this.#networks, devices);
    const done = JSON.stringify([this.#policies, this.#listening], (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    );
    if (done === this.#done) return;
    this.#done = done;
    if (this.#neighbours === undefined && this.#wantsNeighbours()) {
      this.#neighbours = openNeighbours({
        ...(start && { start }),
        devices: () => [...new Set(this.#policies.flatMap(({ devices }) => devices))],
        onChange: (address) => this.identity.neighbourChanged(address),
        onTrouble: this.#tells("NEIGHBOURS_UNREADABLE", "neighbour table"),
      });
    }
    this.identity.setPolicies(this.#policies);
    this.#warn();
    this.#hosts.clear();
    for (const { id, hosts } of this.#policies) if (hosts !== undefined) this.#hosts.set(id, hosts);
    const rules = this.#rules();
    if (rules === undefined) return;
    try {
      void this.#firewall?.setRules(rules);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      conditions.raise("FIREWALL_FAILED", FIREWALL_SUBJECT, error.message);
    }
  }

  /** The kernel drops what comes from it with another MAC address, and pins the reply's way. */
  #keep(at: LearnedAt, mac: Mac): boolean | Promise<boolean> {
    const firewall = this.#firewall;
    if (firewall === undefined) return false;
    const isKept = (): boolean => firewall.keeps(at, mac) && !this.#hasFirewallTrouble();
    // A lease of which the source knows nothing is in the firewall already.
    const leased = this.#leaseFiles?.get(at.address);
    if (leased !== undefined) return leased === mac && !this.#hasFirewallTrouble();
    const now = performance.now();
    if (this.#learned.isKnown(at, mac, now) && isKept()) return true;
    const name = `${keptAt(at)} ${mac}`;
    const known = this.#keeping.get(name);
    if (known !== undefined) return known;
    if (this.#keeping.size >= KEEPING_MAX) return Promise.resolve(false);
    const keeping = this.#learn(at, mac, firewall).then(() => isKept());
    this.#keeping.set(name, keeping);
    void keeping.then((kept) => {
      const timer = setTimeout(() => this.#keeping.delete(name), kept ? 0 : NOT_KEPT_MS);
      timer.unref();
    });
    return keeping;
  }

  /** What the neighbour table says is not enough: a packet must have come from there. */
  async #learn(at: LearnedAt, mac: Mac, firewall: Firewall): Promise<void> {
    if ((await this.#gateways.has(at.address)) || !(await firewall.hasAsked(at, mac))) return;
    // A lease may have come meanwhile.
    const isLeased = this.#leaseFiles?.get(at.address) ?? this.#ports.directory.find(at.address);
    const now = performance.now();
    const isLearned = this.#learned.isKnown(at, mac, now);
    if (isLeased !== undefined || !(isLearned || this.#learned.add(at, mac, now))) return;
    await firewall.setLease(at.address, mac, at.device);
  }

  #hasFirewallTrouble(): boolean {
    return this.#ports.conditions.list().some(({ code }) => code === "FIREWALL_FAILED");
  }

  /**
   * Of a network that enforces without a firewall, because the kernel believes a lie some
   * milliseconds before it can tell us; and of one that the source does not know.
   */
  #warn(): void {
    const { conditions } = this.#ports;
    const known = new Set(this.#networks.map(({ id }) => id));
    const isKnown = this.#networks.some(({ cidrs }) => cidrs.length > 0);
    const warned = new Set<string>();
    for (const policy of this.#policies) {
      const { id } = policy;
      if (isEnforced(policy) && this.#settings.firewall === undefined) {
        conditions.raise("ENFORCE_WITHOUT_FIREWALL", id);
        warned.add(`ENFORCE_WITHOUT_FIREWALL ${id}`);
      }
      if (isKnown && !known.has(id)) {
        conditions.raise("NETWORK_UNMATCHED", id, policy.cidrs.map(({ text }) => text).join(" "));
        warned.add(`NETWORK_UNMATCHED ${id}`);
      }
    }
    for (const { code, subject } of conditions.list()) {
      const isOurs = code === "ENFORCE_WITHOUT_FIREWALL" || code === "NETWORK_UNMATCHED";
      if (isOurs && !warned.has(`${code} ${subject}`)) conditions.clear(code, subject);
    }
  }

  /** A laptop's guests are on loopback, where nobody has a MAC address. */
  #wantsNeighbours(): boolean {
    if (process.platform !== "linux") return false;
    // Before it is known what is listened on, a guest may ask already.
    if (this.#policies.some(isEnforced)) return true;
    const isReachable = this.#listening.some(({ host }) => !isLoopback(host));
    return isReachable && this.#policies.some(comparesMac);
  }

  /** `undefined` while there is nothing to protect, or it is not known from whom. */
  #rules(): FirewallRules | undefined {
    const { firewall } = this.#settings;
    const networks = this.#policies.filter(({ cidrs }) => cidrs.length > 0);
    const at = (plane: string): HostPort[] =>
      this.#listening
        .filter((each) => each.plane === plane)
        .map(({ host, port }) => ({ host, port }));
    if (firewall === undefined || networks.length === 0 || this.#listening.length === 0) {
      return undefined;
    }
    return {
      ...{ networks, listen: at("metadata"), passwordListen: at("password") },
      ...(firewall.admin && { admin: firewall.admin }),
      managementCidrs: firewall.managementCidrs,
      guests: GUEST_LIMITS,
    };
  }

  #leasesChanged(addresses: readonly Ip[]): void {
    this.identity.leasesChanged();
    if (this.#firewall !== undefined) for (const address of addresses) this.#setLease(address);
  }

  /** An address whose metadata is awaited has its new lease already. */
  #setLease(address: Ip): void {
    const entry = this.#ports.directory.find(address);
    const isLeased = entry?.kind === "bound" || entry?.reason === "awaiting-metadata";
    const mac = (isLeased ? entry.mac : undefined) ?? this.#leaseFiles?.get(address);
    // A lease says more than what was learnt, also one that names no MAC address.
    if (entry !== undefined || mac !== undefined) this.#learned.forget(address);
    void this.#firewall?.setLease(address, mac);
  }

  /** Keeps a condition true to why it holds; `undefined`: it is over. */
  #tells(code: ConditionCode, subject: string): (why: string | undefined) => void {
    const { conditions } = this.#ports;
    return (why) => {
      if (why === undefined) conditions.clear(code, subject);
      else conditions.raise(code, subject, why);
    };
  }
}
