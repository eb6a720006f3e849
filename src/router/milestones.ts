/**
 * The two lines of the log that say how a start goes: "router starting", and "router ready" when
 * guests are answered from a source that was read, on everything that was asked for.
 */

import type { Log } from "../observe/log.ts";
import { addressOf, type ListenTarget, type Plane } from "./listeners.ts";

type Wanted = "auto" | readonly ListenTarget[];

export interface Start {
  readonly version: string;
  readonly source: string;
  readonly stateDir: string;
  readonly listen: Wanted;
  readonly passwordListen: Wanted;
}

export interface Progress {
  readonly isReady: () => boolean;
  readonly bindings: () => number;
  /** What is open, with real ports. */
  readonly listening: () => readonly ListenTarget[];
}

export class Milestones {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #began: number;
  #progress: Progress | undefined;
  #isReadySaid = false;

  /** Says that it starts. */
  constructor(log: Log, now: () => number, start: Start) {
    this.#log = log;
    this.#now = now;
    this.#began = now();
    const { version, source, stateDir, listen, passwordListen } = start;
    const wanted = { listen: names(listen), passwordListen: names(passwordListen) };
    log.info({ version, source, stateDir, ...wanted }, "router starting");
  }

  /** Something may have become ready. Says so once. @param progress after each look at a source */
  look(progress?: Progress): void {
    this.#progress = progress ?? this.#progress;
    if (this.#isReadySaid || this.#progress?.isReady() !== true) return;
    this.#isReadySaid = true;
    this.#log.info(this.#facts(this.#progress), "router ready");
  }

  /** The first look at the source is over; guests are answered, ready or not. */
  loaded(): void {
    this.look();
    if (this.#isReadySaid || this.#progress === undefined) return;
    const facts = this.#facts(this.#progress);
    this.#log.warn(facts, "router answers, but is not ready; the conditions say why");
  }

  #facts({ bindings, listening }: Progress): Readonly<Record<string, unknown>> {
    const open = listening();
    const at = (plane: Plane) => names(open.filter((target) => target.plane === plane));
    const tookMs = this.#now() - this.#began;
    const ports = { listen: at("metadata"), passwordListen: at("password") };
    return { bindings: bindings(), tookMs, ...ports };
  }
}

function names(wanted: Wanted): "auto" | readonly string[] {
  return wanted === "auto" ? wanted : wanted.map(addressOf);
}
