/**
 * The guests' listeners: opened at the start, then kept in step with what is wanted.
 *
 * Addresses come and go with tiers and VIPs. One that is not there yet is tried again every
 * second, and a condition says so; the others serve meanwhile.
 */

import { type Ip, tryParseListen } from "../model/address.ts";
import { ListenError } from "../model/errors.ts";
import type { Conditions } from "../observe/conditions.ts";
import type { Handler, Listener, Rim } from "./http/rim.ts";
import { type Refused, taken } from "./taken.ts";

export type Plane = "metadata" | "password";

export interface ListenTarget {
  readonly plane: Plane;
  readonly host: Ip;
  /** The device of a link-local address. */
  readonly zone?: string;
  /** 0 takes a free one. */
  readonly port: number;
}

/** How long an address that cannot be had is left alone. ms. */
const RETRY_AFTER_MS = 1000;

/** Bytes of a request's body. Guests send none; the password server reads a short form. */
const BODY_BYTES_MAX = 16 * 1024;

/** Answers nobody: a guest whose connection breaks asks again, when there is an answer. */
const silent: Handler = () => new Promise<never>(() => {});

export interface ListenersOptions {
  readonly rim: Rim;
  readonly handlers: Readonly<Record<Plane, Handler>>;
  /** Who answers on a link-local address, where guests are on that link. */
  readonly onLink?: (plane: Plane, device: string) => Handler;
  readonly conditions: Conditions;
  /** What to change where a port is taken; else that is the plane's flag. */
  readonly refused?: Refused;
}

export class Listeners {
  readonly #options: ListenersOptions;
  readonly #open = new Map<string, { target: ListenTarget; listener: Listener }>();
  #wanted: readonly ListenTarget[] = [];
  /** Names of those that are wanted and could not be opened. */
  readonly #failed = new Set<string>();
  #turn: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ListenersOptions) {
    this.#options = options;
  }

  /** What is open, with real ports. */
  get open(): readonly ListenTarget[] {
    return [...this.#open.values()].map(({ target, listener }) => ({
      ...target,
      port: "port" in listener.at ? listener.at.port : target.port,
    }));
  }

  /** Whether everything that is wanted is open. */
  get complete(): boolean {
    return (
      this.#wanted.length > 0 && this.#wanted.every((target) => this.#open.has(nameOf(target)))
    );
  }

  /** The addresses that are listened on, for the Host allow-list and the password server. */
  get hosts(): ReadonlySet<string> {
    return new Set([...this.#open.values()].map(({ target }) => target.host));
  }

  /** The same with their ports too, as a `Host` header names them. */
  get names(): readonly string[] {
    return [...this.hosts, ...this.open.map(addressOf)];
  }

  /** Opens what the operator named. @throws {ListenError} that names the holder of a taken port. */
  async require(targets: readonly ListenTarget[]): Promise<void> {
    this.#wanted = [...this.#wanted, ...targets];
    for (const target of targets) await this.#listen(target);
  }

  /** Opens for a moment what will be opened later, so that a taken port is said now. */
  async probe(targets: readonly ListenTarget[]): Promise<void> {
    for (const target of targets) {
      await this.#listen(target, silent);
      await this.#open.get(nameOf(target))?.listener.close(0);
      this.#open.delete(nameOf(target));
    }
  }

  /** Opens what is missing and closes what is no longer wanted; what fails is tried again. */
  follow(targets: readonly ListenTarget[]): Promise<void> {
    this.#wanted = targets;
    const turn = this.#turn.then(() => this.#reconcile());
    // Whoever asked hears of it; the next turn comes all the same.
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Lets requests under way end for `graceMs`, then closes everything. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#turn;
    await Promise.all([...this.#open.values()].map(({ listener }) => listener.close(graceMs)));
    this.#open.clear();
  }

  async #reconcile(): Promise<void> {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    const { conditions } = this.#options;
    const wanted = new Map(this.#wanted.map((target) => [nameOf(target), target]));
    for (const [name, { listener }] of this.#open) {
      if (wanted.has(name)) continue;
      this.#open.delete(name);
      void listener.close(RETRY_AFTER_MS); // Requests under way end by themselves.
    }
    for (const name of this.#failed) {
      if (wanted.has(name)) continue;
      this.#failed.delete(name);
      conditions.clear("LISTEN_FAILED", name);
    }
    for (const [name, target] of wanted) {
      if (this.#open.has(name)) continue;
      try {
        await this.#listen(target);
        this.#failed.delete(name);
        conditions.clear("LISTEN_FAILED", name);
      } catch (error) {
        if (!(error instanceof ListenError)) throw error;
        this.#failed.add(name);
        conditions.raise("LISTEN_FAILED", name, error.message);
      }
    }
    if (this.#failed.size === 0) return;
    const again = () => void this.follow(this.#wanted).catch(() => {});
    this.#retry = setTimeout(again, RETRY_AFTER_MS);
  }

  async #listen(target: ListenTarget, as?: Handler): Promise<void> {
    const { rim, handlers, onLink } = this.#options;
    const { host, zone, port, plane } = target;
    try {
      const listener = await rim.listen({
        at: { host: zone === undefined ? host : `${host}%${zone}`, port },
        handler: as ?? (zone === undefined ? undefined : onLink?.(plane, zone)) ?? handlers[plane],
        bodyBytesMax: BODY_BYTES_MAX,
      });
      this.#open.set(nameOf(target), { target, listener });
    } catch (error) {
      if (!(error instanceof ListenError) || error.code !== "ADDRESS_IN_USE") throw error;
      const own = [...this.#open.values()].find(({ target: other }) => isSame(other, target));
      if (own === undefined) throw taken(addressOf(target), port, this.#options.refused ?? plane);
      const flag = plane === "password" ? "--password-listen" : "--listen";
      const what = `${addressOf(target)} is this router's own already, for ${own.target.plane}`;
      throw new ListenError("ADDRESS_IN_USE", `${what}; choose another address with ${flag}`);
    }
  }
}

interface Place extends Pick<ListenTarget, "zone" | "port"> {
  readonly host: string;
}

/** As people write it; with the port that was asked for. */
export function addressOf({ host, zone, port }: Place): string {
  const at = zone === undefined ? host : `${host}%${zone}`;
  return host.includes(":") ? `[${at}]:${port}` : `${at}:${port}`;
}

function isSame(a: ListenTarget, b: ListenTarget): boolean {
  return a.host === b.host && a.port === b.port;
}

/** Tells listeners apart: on port 0 both planes have one address. */
function nameOf(target: ListenTarget): string {
  return `${addressOf(target)} (${target.plane})`;
}

/**
 * Parses `ADDR:PORT`, as `--listen` takes it; IPv6 stands in brackets.
 *
 * @returns `undefined` if it is anything else.
 */
export function parseListen(text: string, plane: Plane): ListenTarget | undefined {
  const at = tryParseListen(text);
  return at === undefined ? undefined : { plane, ...at };
}
