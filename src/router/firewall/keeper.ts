/**
 * Keeps the router's firewall in step while it runs: the table, its sets of leases, and permanent
 * neighbours for the leases that are enforced.
 *
 * A lease that changes costs what it is, not what all are. Changes that come while nft runs are
 * one transaction afterwards. Where one fails, everything is compared anew, a little later.
 */

import type { Ip, Mac } from "../../model/address.ts";
import { type Exec, exec as realExec } from "../../platform/exec.ts";
import { type StartLines, startLines } from "../../platform/lines.ts";
import { applyPins, changePins, type PinChange } from "../../platform/neighbour-pins.ts";
import { askedElement, leaseLines } from "./lease-sets.ts";
import { render } from "./render.ts";
import {
  type EnforcedLease,
  enforcedLeases,
  type FindNetwork,
  type FirewallSettings,
  isEnforced,
  type Lease,
  networkFinder,
  pinDevices,
  pinsOf,
  placeOf,
} from "./settings.ts";
import { hasRules, nft, readTable, removeTable } from "./table.ts";
import type { Drop } from "./text.ts";

/** After a failure, before all is compared anew; doubled each time. ms. */
const AGAIN_MS_MIN = 1000;
const AGAIN_MS_MAX = 60_000;
/** Others may flush the ruleset, and a link that goes down takes neighbours with it. ms. */
const COMPARE_EVERY_MS = 60_000;

export interface FirewallPorts {
  /** What is wrong; `undefined` when all is as it should be. */
  readonly onTrouble?: (why: string | undefined) => void;
  /** For tests. */
  readonly exec?: Exec;
  readonly start?: StartLines;
}

/** The rules without the leases; these are told by `setLease`. */
export type FirewallRules = Omit<FirewallSettings, "leases">;

export class Firewall {
  readonly #ports: FirewallPorts;
  readonly #leases = new Map<string, Lease>();
  #rules: FirewallRules | undefined;
  /** Places whose lease is other than the kernel knows. */
  readonly #changed = new Map<string, Pick<Lease, "address" | "device">>();
  /** What the kernel was told of each enforced place. */
  readonly #told = new Map<string, Mac>();
  #allWanted = false;
  #compareWanted = false;
  #find: FindNetwork = () => undefined;
  #digest = "";
  #ruleCounts: ReadonlyMap<string, number> = new Map();
  #drops: Readonly<Record<Drop, number>> | undefined;
  #turn: Promise<void> = Promise.resolve();
  #isWaiting = false;
  #again: NodeJS.Timeout | undefined;
  #againMs = AGAIN_MS_MIN;
  readonly #compare: NodeJS.Timeout;
  #closed = false;

  constructor(ports: FirewallPorts = {}) {
    this.#ports = ports;
    this.#compare = setInterval(() => void this.refresh(), COMPARE_EVERY_MS);
  }

  /**
   * Takes other rules: at the start, and whenever networks or listeners change.
   *
   * @returns when they hold, or could not be made to. @throws {ConfigError} if they are wrong.
   */
  setRules(rules: FirewallRules): Promise<void> {
    const { digest, rules: counts } = render({ ...rules, leases: [] });
    this.#rules = rules;
    this.#find = networkFinder(rules.networks);
    this.#digest = digest;
    this.#ruleCounts = counts;
    this.#allWanted = true;
    return this.#soon();
  }

  /**
   * An address has this MAC from now on; `undefined`: nobody has it.
   *
   * @param device where it was learnt, for an address without a lease
   * @returns as `setRules`.
   */
  setLease(address: Ip, mac: Mac | undefined, device?: string): Promise<void> {
    const at = { address, ...(device !== undefined && { device }) };
    const place = placeOf(at);
    if (this.#leases.get(place)?.mac === mac) return this.#turn;
    if (mac === undefined) this.#leases.delete(place);
    else this.#leases.set(place, { ...at, mac });
    this.#changed.set(place, at);
    return this.#soon();
  }

  /** Whether a connection from there has come from this MAC address in the last minute. */
  async hasAsked(
    { address, device }: Required<Pick<Lease, "address" | "device">>,
    mac: Mac,
  ): Promise<boolean> {
    try {
      await nft(askedElement({ address, mac }, device), this.#exec);
      return true;
    } catch {
      return false; // Not there; or nft is not, which a condition says.
    }
  }

  /** Whether the kernel was told that a place is this MAC address', and nothing failed since. */
  keeps(at: Pick<Lease, "address" | "device">, mac: Mac): boolean {
    return !this.#allWanted && !this.#closed && this.#told.get(placeOf(at)) === mac;
  }

  /** Compares anew: as when a link was down, which takes permanent neighbours with it. */
  refresh(): Promise<void> {
    this.#compareWanted = true;
    return this.#soon();
  }

  /** Packets that the table had dropped when it was compared last; `undefined` before that. */
  get drops(): Readonly<Record<Drop, number>> | undefined {
    return this.#drops;
  }

  /** Brings `drops` up to date. Never rejects. */
  async readDrops(): Promise<void> {
    try {
      this.#drops = (await readTable(this.#exec, { terse: true }))?.drops ?? this.#drops;
    } catch {} // The next comparison says what is wrong.
  }

  /** Takes our permanent neighbours away, and the table too if that is wanted. */
  async close({ removeTable: remove = false } = {}): Promise<void> {
    this.#closed = true;
    clearInterval(this.#compare);
    clearTimeout(this.#again);
    await this.#turn;
    if (this.#rules === undefined) return;
    try {
      await applyPins([], this.#start);
      if (remove) await removeTable(this.#exec);
    } catch (error) {
      // What cannot be told to the kernel any more keeps nobody from ending.
      this.#ports.onTrouble?.((error as Error).message);
    }
  }

  get #exec(): Exec {
    return this.#ports.exec ?? realExec;
  }

  get #start(): StartLines {
    return this.#ports.start ?? startLines;
  }

  #soon(): Promise<void> {
    if (this.#isWaiting || this.#closed || this.#rules === undefined) return this.#turn;
    this.#isWaiting = true;
    this.#turn = this.#turn.then(() => this.#work());
    return this.#turn;
  }

  /** Never rejects. */
  async #work(): Promise<void> {
    this.#isWaiting = false;
    const rules = this.#rules;
    if (rules === undefined || this.#closed) return;
    clearTimeout(this.#again);
    try {
      if (this.#compareWanted) await this.#compareAll(rules);
      if (this.#allWanted) await this.#applyAll(rules);
      else await this.#applyChanges();
      this.#againMs = AGAIN_MS_MIN;
      this.#ports.onTrouble?.(undefined);
    } catch (error) {
      this.#compareWanted = true;
      this.#ports.onTrouble?.((error as Error).message);
      this.#again = setTimeout(() => void this.#soon(), this.#againMs);
      this.#againMs = Math.min(this.#againMs * 2, AGAIN_MS_MAX);
    }
  }

  /** Whether the table is there with all its rules: its elements nobody changes but we. */
  async #compareAll(rules: FirewallRules): Promise<void> {
    this.#compareWanted = false;
    const present = await readTable(this.#exec, { terse: true });
    this.#drops = present?.drops ?? this.#drops;
    if (hasRules(present, { digest: this.#digest, rules: this.#ruleCounts })) {
      await applyPins(pinsOf(this.#enforced(rules)), this.#start);
    } else this.#allWanted = true;
  }

  async #applyAll(rules: FirewallRules): Promise<void> {
    this.#allWanted = false;
    this.#changed.clear();
    const enforced = this.#enforced(rules);
    this.#told.clear();
    for (const lease of enforced) this.#told.set(placeOf(lease), lease.mac);
    await this.#transact(render({ ...rules, leases: enforced }).text);
    await applyPins(pinsOf(enforced), this.#start);
  }

  #enforced({ networks }: FirewallRules): readonly EnforcedLease[] {
    return enforcedLeases({ networks, leases: [...this.#leases.values()] });
  }

  async #applyChanges(): Promise<void> {
    const gone: Lease[] = [];
    const come: Lease[] = [];
    const pins: PinChange[] = [];
    for (const [place, at] of this.#changed) {
      const network = this.#find(at.address, at.device);
      if (network === undefined || !isEnforced(network)) continue;
      const before = this.#told.get(place);
      const mac = this.#leases.get(place)?.mac;
      if (before === mac) continue;
      if (before !== undefined) gone.push({ ...at, mac: before });
      if (mac !== undefined) come.push({ ...at, mac });
      for (const device of pinDevices(at, network)) {
        pins.push({ address: at.address, device, mac });
      }
      if (mac === undefined) this.#told.delete(place);
      else this.#told.set(place, mac);
    }
    this.#changed.clear();
    if (pins.length === 0 && gone.length + come.length === 0) return;
    await this.#transact(leaseLines(gone, come));
    await changePins(pins, this.#start);
  }

  /** A table of which we do not know what is in it is replaced; neighbours alone are no reason. */
  async #transact(text: string): Promise<void> {
    try {
      await nft(["-f", "-"], this.#exec, text);
    } catch (error) {
      this.#allWanted = true;
      throw error;
    }
  }
}
