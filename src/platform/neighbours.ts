/**
 * Who has which address, as the kernel saw it: the evidence that a guest is the one of its lease.
 *
 * The kernel resolves a guest's MAC address before it answers the first packet, so it is known
 * before a request is read. `ip monitor` brings the news, and is only a hint: whoever misses an
 * address, or doubts it, has it read again. Without a monitor nothing is remembered, because then
 * nobody would say when it is no longer true.
 *
 * There is no netlink socket in either runtime, so a program of iproute2 is started: 4 ms of CPU
 * for a look-up, half of it in the program; 1 s for a table of 100,000 rows.
 */

import type { Ip, Mac } from "../model/address.ts";
import { type Running, type StartLines, startLines } from "./lines.ts";
import { NeighbourHistory, type Trust } from "./neighbour-history.ts";
import {
  type Neighbour,
  type NeighbourLine,
  NeighbourTable,
  parseNeighbour,
} from "./neighbour-table.ts";

/** How long a look-up may take; then what is in memory is the answer. ms. */
const LOOK_UP_MS_MAX = 50;
/** Programs that look up start so far apart, so a flood of misses costs an eighth of a CPU. ms. */
const READ_EVERY_MS = 30;
/** Addresses that wait for a look-up. More at once are answered from memory. */
const WAITING_MAX = 1024;
/** Rows that are asked for one by one; for more the whole table is read. */
const ASKED_MAX = 256;
/** A reading of 100,000 rows takes 0.6 s. ms. */
const READING_MS_MAX = 10_000;
/** The first reading may be older than the monitor; this one is not. ms. */
const SECOND_READING_MS = 1000;
/** Heals what the monitor missed. ms. */
const READING_EVERY_MS = 60_000;
/** What happened while a reading was under way; beyond this it is read once more. */
const TOUCHED_MAX = 10_000;
/** Between two starts of the monitor, doubled each time. ms. */
const RESTART_MS_MIN = 200;
const RESTART_MS_MAX = 30_000;
/** A monitor that ends because we end too is told of no later than this. ms. */
const TROUBLE_MS = 300;
/** A monitor that has run so long was well: the next one starts soon. ms. */
const WELL_MS = 60_000;

/** Device names that `ip -batch` takes as one word. */
const DEVICE = /^[A-Za-z0-9_.:@+-]{1,15}$/;

export interface Neighbours extends AsyncDisposable {
  /**
   * The MAC address that `address` has, from memory. A link-local address is one only together
   * with a device; without one, devices must not disagree.
   */
  find(address: Ip, device?: string): Mac | undefined;
  /** The same with the device. */
  at(address: Ip, device?: string): Neighbour | undefined;
  /**
   * As `find`, asked of the kernel; together with all others that ask at this time. Takes 50 ms at
   * most and never rejects.
   */
  lookUp(address: Ip, device?: string): Promise<Mac | undefined>;
  /** The same with the device; `"late"` where the kernel has not said it in time. */
  lookUpAt(address: Ip, device?: string): Promise<Neighbour | "late" | undefined>;
  /**
   * Whether an address on a device has had its MAC address all the time; `fresh` also where nobody
   * would have told of another.
   */
  trust(address: Ip, device: string): Trust;
  /** Resolves when the table was read for the first time, or could not be. */
  readonly ready: Promise<void>;
  /** Rows in memory. */
  readonly size: number;
  close(): Promise<void>;
}

export interface NeighboursOptions {
  /** Where guests are: so a look-up asks for one row instead of the table. */
  readonly devices?: () => readonly string[];
  /** Told of each address whose MAC address is other than it was. */
  readonly onChange?: (address: Ip) => void;
  /**
   * Why nothing is remembered, and perhaps no evidence is to be had; `undefined` when there is
   * again. What was known before is forgotten, without a word to `onChange`.
   */
  readonly onTrouble?: (why: string | undefined) => void;
  /** For tests. */
  readonly start?: StartLines;
}

export function openNeighbours(options: NeighboursOptions = {}): Neighbours {
  return new KernelNeighbours(options);
}

interface Waiting {
  readonly address: Ip;
  readonly device: string | undefined;
  readonly answer: (row: Neighbour | undefined) => void;
}

class KernelNeighbours implements Neighbours {
  readonly #options: NeighboursOptions;
  readonly #start: StartLines;
  readonly #table: NeighbourTable;
  readonly #history = new NeighbourHistory();
  /** Look-ups that wait, by address and device: one for all who ask. */
  readonly #lookUps = new Map<string, Promise<Neighbour | "late" | undefined>>();
  readonly ready: Promise<void>;
  #isReady = (): void => {};
  #monitor: Running | undefined;
  #watchedSinceMs = 0;
  #restartMs = RESTART_MS_MIN;
  #waiting: Waiting[] = [];
  #wholeWanted = false;
  #reading: Running | undefined;
  #lastReadMs = 0;
  /** What the monitor said while a reading was under way: that is newer. */
  #touched = new Set<string>();
  /** Of whom a reading is under way, and what it found of them. */
  #wanted = new Set<Ip>();
  #found = new NeighbourTable();
  readonly #timers = new Set<NodeJS.Timeout>();
  #readTimer: NodeJS.Timeout | undefined;
  #trouble: string | undefined;
  #closed = false;

  constructor(options: NeighboursOptions) {
    this.#options = options;
    this.#start = options.start ?? startLines;
    this.#table = new NeighbourTable(options);
    this.ready = new Promise((resolve) => {
      this.#isReady = resolve;
    });
    this.#watch();
    this.#every();
  }

  get size(): number {
    return this.#table.size;
  }

  find(address: Ip, device?: string): Mac | undefined {
    return this.#table.find(address, device);
  }

  at(address: Ip, device?: string): Neighbour | undefined {
    return this.#table.at(address, device);
  }

  trust(address: Ip, device: string): Trust {
    if (this.#monitor === undefined) return "fresh";
    return this.#history.trust(address, device, performance.now());
  }

  async lookUp(address: Ip, device?: string): Promise<Mac | undefined> {
    const row = await this.lookUpAt(address, device);
    return row === "late" ? undefined : row?.mac;
  }

  lookUpAt(address: Ip, device?: string): Promise<Neighbour | "late" | undefined> {
    const name = `${address} ${device ?? ""}`;
    const asked = this.#lookUps.get(name) ?? this.#lookUp(address, device);
    this.#lookUps.set(name, asked);
    return asked.finally(() => this.#lookUps.delete(name));
  }

  #lookUp(address: Ip, device: string | undefined): Promise<Neighbour | "late" | undefined> {
    if (this.#closed || this.#waiting.length >= WAITING_MAX) {
      return Promise.resolve(this.at(address, device) ?? "late");
    }
    return new Promise((resolve) => {
      const late = setTimeout(() => resolve(this.at(address, device) ?? "late"), LOOK_UP_MS_MAX);
      const answer = (row: Neighbour | undefined): void => {
        clearTimeout(late);
        resolve(row);
      };
      this.#waiting.push({ address, device, answer });
      this.#readSoon();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    clearTimeout(this.#readTimer);
    const running = [this.#monitor, this.#reading];
    for (const program of running) program?.stop();
    await Promise.all(running.map((program) => program?.ended.catch(() => {})));
    for (const { address, device, answer } of this.#waiting) answer(this.at(address, device));
    this.#isReady();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #watch(): void {
    const startedMs = performance.now();
    this.#watchedSinceMs = startedMs;
    const monitor = this.#start(["ip", "-o", "monitor", "neigh"], {
      onLine: (line) => this.#heard(line),
      // "No buffer space available": news were lost.
      onComplaint: () => {
        this.#history.missed(performance.now());
        this.#readWhole();
      },
    });
    this.#monitor = monitor;
    this.#readWhole();
    this.#later(SECOND_READING_MS, () => this.#readWhole());
    const end = (why: string): void => {
      this.#monitor = undefined;
      if (this.#closed) return;
      this.#table.clear();
      this.#history.missed(performance.now());
      // A stop of all at once, as systemd's, is no trouble.
      this.#later(TROUBLE_MS, () => this.#monitor === undefined && this.#tell(why));
      const wasWell = performance.now() - startedMs > WELL_MS;
      const waitMs = wasWell ? RESTART_MS_MIN : this.#restartMs;
      this.#restartMs = Math.min(waitMs * 2, RESTART_MS_MAX);
      this.#later(waitMs, () => this.#watch());
    };
    monitor.ended.then(
      ({ code, complaint }) => end(`ip monitor ended with ${code}${complaint && `: ${complaint}`}`),
      (error: Error) => end(error.message),
    );
  }

  #heard(line: string): void {
    const row = parseNeighbour(line);
    if (row === undefined || this.#monitor === undefined) return;
    if (this.#reading !== undefined) this.#touched.add(`${row.address} ${row.device}`);
    this.#put(row, this.#table);
  }

  #put(row: NeighbourLine, table: NeighbourTable): void {
    const { address, device, mac } = row;
    if (mac !== undefined) this.#history.note(address, device, mac, performance.now());
    table.put(row);
    if (this.#wanted.has(row.address)) this.#found.put(row);
  }

  #readWhole(): void {
    this.#wholeWanted = true;
    this.#readSoon();
  }

  #readSoon(): void {
    if (this.#reading !== undefined || this.#readTimer !== undefined || this.#closed) return;
    const waitMs = this.#lastReadMs + READ_EVERY_MS - performance.now();
    if (waitMs <= 0) void this.#read();
    else this.#readTimer = setTimeout(() => void this.#read(), waitMs);
  }

  /** Reads what is wanted by now. Never rejects. */
  async #read(): Promise<void> {
    this.#readTimer = undefined;
    this.#lastReadMs = performance.now();
    const waiting = this.#waiting;
    this.#waiting = [];
    const asked = this.#wholeWanted ? undefined : this.#asked(waiting);
    this.#wholeWanted = false;
    this.#touched.clear();
    // Of a look-up without a monitor nothing stays.
    const answers = this.#monitor === undefined ? new NeighbourTable() : this.#table;
    this.#wanted = new Set(waiting.map(({ address }) => address));
    this.#found = new NeighbourTable({ addressesPerMacMax: WAITING_MAX });
    const ok = await (asked === undefined ? this.#readAll(answers) : this.#ask(asked, answers));
    this.#reading = undefined;
    if (this.#touched.size > TOUCHED_MAX) this.#wholeWanted = true;
    for (const { address, device, answer } of waiting) {
      answer(this.#answer(answers, address, device));
    }
    this.#wanted.clear();
    // One that ends at once is no monitor: the trouble is over when it has lived for a while.
    const isWatched = performance.now() - this.#watchedSinceMs >= SECOND_READING_MS;
    if (ok && isWatched && this.#monitor !== undefined) this.#tell(undefined);
    if (asked === undefined) this.#isReady();
    if (this.#waiting.length > 0 || this.#wholeWanted) this.#readSoon();
  }

  /**
   * What was found for one who waited: the table may have pushed it out again already, for another
   * address of the same guest. What it knows besides must not disagree.
   */
  #answer(answers: NeighbourTable, address: Ip, device?: string): Neighbour | undefined {
    const known = answers.at(address, device);
    if (!this.#found.has(address)) return known;
    const found = this.#found.at(address, device);
    if (device !== undefined || !answers.has(address)) return found;
    return known?.mac === found?.mac ? found : undefined;
  }

  /** The lines that ask for single rows; `undefined` where the whole table is as cheap. */
  #asked(waiting: readonly Waiting[]): ReadonlyMap<string, Ip> | undefined {
    const devices = this.#options.devices?.() ?? [];
    const asked = new Map<string, Ip>();
    for (const { address, device } of waiting) {
      const places = device === undefined ? devices : [device];
      if (places.length === 0) return undefined;
      for (const place of places) {
        if (!DEVICE.test(place)) return undefined;
        asked.set(`${address} ${place}`, address);
      }
      if (asked.size > ASKED_MAX) return undefined;
    }
    return asked;
  }

  async #ask(asked: ReadonlyMap<string, Ip>, answers: NeighbourTable): Promise<boolean> {
    const missing = new Map(asked);
    const input = [...asked.keys()].map((key) => `neigh get ${key.replace(" ", " dev ")}\n`);
    const ok = await this.#run(["ip", "-o", "-force", "-batch", "-"], answers, {
      input: input.join(""),
      onRow: (key) => missing.delete(key),
    });
    for (const [key, address] of ok ? missing : []) {
      const device = key.slice(address.length + 1);
      if (!this.#touched.has(key)) this.#put({ address, device, permanent: false }, answers);
    }
    return ok;
  }

  async #readAll(answers: NeighbourTable): Promise<boolean> {
    answers.beginReading();
    const ok = await this.#run(["ip", "-o", "neigh", "show"], answers);
    if (ok) answers.endReading();
    return ok;
  }

  async #run(
    argv: readonly string[],
    answers: NeighbourTable,
    { input = "", onRow = (_key: string): unknown => undefined } = {},
  ): Promise<boolean> {
    const reading = this.#start(argv, {
      input,
      onLine: (line) => {
        const row = parseNeighbour(line);
        if (row === undefined) return;
        const key = `${row.address} ${row.device}`;
        onRow(key);
        if (!this.#touched.has(key)) this.#put(row, answers);
      },
    });
    this.#reading = reading;
    const stuck = setTimeout(() => reading.stop(), READING_MS_MAX);
    try {
      const { code, complaint } = await reading.ended;
      // A batch in which a row was not found ends with 1.
      if (code === 0 || (code === 1 && input !== "")) return true;
      this.#tell(`ip ended with ${code}${complaint && `: ${complaint}`}`);
    } catch (error) {
      this.#tell((error as Error).message);
    } finally {
      clearTimeout(stuck);
    }
    return false;
  }

  #every(): void {
    this.#later(READING_EVERY_MS, () => {
      this.#readWhole();
      this.#every();
    });
  }

  #later(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#closed) work();
    }, ms);
    this.#timers.add(timer);
  }

  #tell(why: string | undefined): void {
    if (why === this.#trouble || this.#closed) return;
    this.#trouble = why;
    this.#options.onTrouble?.(why);
  }
}
