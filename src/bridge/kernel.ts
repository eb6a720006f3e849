/**
 * How the upstream sees a guest's own IPv4 address: each guest has a source address of its own on
 * this machine, and one rule of nftables turns that into the guest's.
 *
 * All that is put into the kernel is that table, one that caps each guest's connections, and one
 * route where the upstream is another machine. They go when the bridge ends, and what a killed one
 * has left goes when the next begins. A source address is never used for a second guest, so no
 * connection changes its owner.
 */

import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { type Ip, parseIp } from "../model/address.ts";
import { ConfigError, ExecError } from "../model/errors.ts";
import { type Exec, exec as realExec } from "../platform/exec.ts";
import { must, openNft } from "../platform/nftables.ts";
import { GUARD, guardText } from "./guard.ts";
import { identityOf, isAlive } from "./process.ts";

export const TABLE = ["ip", "frontdesk_bridge"] as const;
const NAME = TABLE.join(" ");
const TABLES = [TABLE, GUARD];
/** Marks our route: routing protocols have the numbers below 200. */
const ROUTE_PROTOCOL = "206";
/** Guests of one run. A source address takes 200 bytes in the kernel. */
const GUESTS_MAX = 65_536;
/** Others may flush the ruleset. ms. */
const COMPARE_EVERY_MS = 10_000;
const CAP_NET_ADMIN = 12n;

export interface Target {
  readonly host: Ip;
  readonly port: number;
}

/** Where source addresses are taken from. */
interface Pool {
  readonly cidr: string;
  readonly first: number;
  readonly size: number;
  /** Whether a route makes it this machine's. */
  readonly isRouted: boolean;
}

/** Every address of it is this machine's already; for an upstream on this machine. */
const LOOPBACK: Pool = {
  ...{ cidr: "127.64.0.0/10", first: 0x7f400000, size: 1 << 22, isRouted: false },
};
/** Set aside for tests of network devices (RFC 2544), so nobody's network. */
const ROUTED: Pool = {
  ...{ cidr: "198.18.0.0/15", first: 0xc6120000, size: 1 << 17, isRouted: true },
};

export interface SourcesOptions {
  readonly upstreams: readonly Target[];
  /** What guests connect to. */
  readonly listen: readonly Target[];
  readonly onTrouble?: (why: string | undefined) => void;
  /** For tests. */
  readonly exec?: Exec;
}

export class Sources implements AsyncDisposable {
  readonly #options: SourcesOptions;
  readonly #exec: Exec;
  readonly #pool: Pool;
  /** The pool begins at a random place: what the kernel remembers of a former run differs. */
  readonly #offset: number;
  readonly #sources = new Map<Ip, { readonly source: Ip; loaded: Promise<void> }>();
  #waiting: { address: Ip; source: Ip; done: (error?: unknown) => void }[] = [];
  #turn: Promise<void> = Promise.resolve();
  #compare: NodeJS.Timeout | undefined;
  #isTroubled = false;

  constructor(options: SourcesOptions) {
    this.#options = options;
    this.#exec = options.exec ?? realExec;
    this.#pool = poolFor(options.upstreams);
    this.#offset = randomInt(this.#pool.size);
  }

  /** What is given to nft at the start, without guests. */
  get text(): string {
    const { upstreams, listen } = this.#options;
    return tableText(upstreams, this.#pool) + guardText(listen);
  }

  /** The command that makes the pool this machine's, where that is needed. */
  get route(): string | undefined {
    return this.#pool.isRouted ? ["ip", ...ROUTE_ADD].join(" ") : undefined;
  }

  /** @throws {ConfigError} where it is not permitted, or another bridge runs. */
  async open(): Promise<void> {
    refuseWithoutCapability();
    const nft = openNft(this.#exec);
    const missing = await nft.missing();
    if (missing !== undefined) throw new ConfigError(`${missing}; install the package nftables`);
    const holder = /comment "frontdesk bridge (\d+) (\d+)"/.exec((await nft.list(TABLE)) ?? "");
    if (holder !== null && isAlive(Number(holder[1]), holder[2] ?? "")) {
      throw new ConfigError(`another bridge runs here: process ${holder[1]}`);
    }
    await this.#removeRoute();
    if (this.#pool.isRouted) await this.#addRoute();
    try {
      await nft.load(this.text);
    } catch (error) {
      await this.#removeRoute();
      throw error;
    }
    this.#compare = setInterval(() => void this.#restore(), COMPARE_EVERY_MS);
  }

  /**
   * The address to ask from on behalf of the guest that has `address`.
   *
   * @throws {ExecError} if the kernel cannot be told.
   */
  async sourceOf(address: Ip): Promise<Ip> {
    let known = this.#sources.get(address);
    if (known === undefined) {
      if (this.#sources.size >= GUESTS_MAX) {
        throw new ExecError("PROGRAM_FAILED", "too many guests for one run of the bridge");
      }
      const place = (this.#offset + this.#sources.size) % this.#pool.size;
      const source = addressOf(this.#pool.first + place);
      known = { source, loaded: this.#load(address, source) };
      this.#sources.set(address, known);
    }
    const entry = known;
    try {
      await entry.loaded;
    } catch {
      entry.loaded = this.#load(address, entry.source); // Tried again for whoever asks next.
      await entry.loaded;
    }
    return entry.source;
  }

  async close(): Promise<void> {
    clearInterval(this.#compare);
    await this.#turn;
    for (const table of TABLES) await this.#exec(["nft", "delete", "table", ...table]);
    await this.#removeRoute();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Those that come while nft runs are one transaction afterwards. */
  #load(address: Ip, source: Ip): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: unknown): void => (error === undefined ? resolve() : reject(error));
      this.#waiting.push({ address, source, done });
      if (this.#waiting.length === 1) this.#turn = this.#turn.then(() => this.#flush());
    });
  }

  async #flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      await openNft(this.#exec).load(elementsText(waiting));
      for (const { done } of waiting) done();
    } catch (error) {
      for (const { done } of waiting) done(error);
      await this.#restore();
    }
  }

  /** Makes the table anew where somebody has taken it away. Never rejects. */
  async #restore(): Promise<void> {
    const nft = openNft(this.#exec);
    try {
      const present = await nft.tables();
      if (TABLES.every((table) => present.includes(table.join(" ")))) {
        return this.#tell(undefined);
      }
      const known = [...this.#sources].map(([address, { source }]) => ({ address, source }));
      await nft.load(this.text + elementsText(known));
      this.#tell("the table was gone, and was made again");
    } catch (error) {
      this.#tell((error as Error).message);
    }
  }

  /** What is wrong; `undefined`, once, when nothing is any more. */
  #tell(why: string | undefined): void {
    if (why !== undefined || this.#isTroubled) this.#options.onTrouble?.(why);
    this.#isTroubled = why !== undefined;
  }

  async #addRoute(): Promise<void> {
    const { cidr } = this.#pool;
    const shown = await this.#exec(["ip", "-4", "route", "show", "table", "all", "root", cidr]);
    if (must("ip", shown).stdout.trim() !== "") {
      throw new ConfigError(`${cidr} is in use on this machine, and the bridge needs it`);
    }
    must("ip", await this.#exec(["ip", ...ROUTE_ADD]));
  }

  async #removeRoute(): Promise<void> {
    await this.#exec(["ip", "route", "del", ...ROUTE]);
  }
}

const ROUTE = ["local", ROUTED.cidr, "dev", "lo", "proto", ROUTE_PROTOCOL, "table", "local"];
const ROUTE_ADD = ["route", "add", ...ROUTE];

function poolFor(upstreams: readonly Target[]): Pool {
  const own = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address),
  );
  const isHere = ({ host }: Target): boolean => host.startsWith("127.") || own.includes(host);
  return upstreams.every(isHere) ? LOOPBACK : ROUTED;
}

/** Only this program's own connections, and only to the upstream, are looked at. */
function tableText(upstreams: readonly Target[], { cidr }: Pool): string {
  const targets = upstreams.map(({ host, port }) => `${host} . ${port}`).join(", ");
  const match = `ip saddr ${cidr} ip daddr . tcp dport { ${targets} }`;
  return `table ${NAME}
delete table ${NAME}
table ${NAME} {
	comment "frontdesk bridge ${identityOf(process.pid)}"
	map guests {
		type ipv4_addr : ipv4_addr
		size ${GUESTS_MAX}
	}
	chain sources {
		type nat hook postrouting priority srcnat - 10; policy accept;
		${match} meta skuid ${process.geteuid?.() ?? 0} snat to ip saddr map @guests
		${match} counter drop
	}
}
`;
}

function elementsText(guests: readonly { address: Ip; source: Ip }[]): string {
  if (guests.length === 0) return "";
  const elements = guests.map(({ address, source }) => `${source} : ${address}`).join(", ");
  return `add element ${NAME} guests { ${elements} }\n`;
}

function addressOf(number: number): Ip {
  return parseIp([24, 16, 8, 0].map((bits) => (number >>> bits) & 0xff).join("."));
}

/** nft's own words for it would be "Operation not permitted", once for each line. */
function refuseWithoutCapability(): void {
  let status: string;
  try {
    status = readFileSync("/proc/self/status", "latin1");
  } catch {
    throw new ConfigError("the bridge needs Linux");
  }
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  if ((effective & (1n << CAP_NET_ADMIN)) !== 0n) return;
  throw new ConfigError("the bridge needs CAP_NET_ADMIN: start it as root, or give it that");
}
