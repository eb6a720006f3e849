/**
 * Programs of ours that run under this one: a router for each network namespace, because the kernel
 * knows an address only within one, and two networks may have the same addresses; or a controller.
 *
 * One that ends is started again, later and later, and a condition says why; the others do not
 * notice. A namespace that is not there yet is waited for in the same way.
 */

import { setPriority } from "node:os";
import type { Conditions } from "../observe/conditions.ts";
import type { Log } from "../observe/log.ts";
import { type Child, type StartChild, startChild } from "../platform/child.ts";

/** Between two starts of one that ends at once, doubled each time. ms. */
const AGAIN_MS_MIN = 500;
const AGAIN_MS_MAX = 30_000;
/** One that has run so long was well: the next one starts soon. ms. */
const WELL_MS = 60_000;
/** How a program ends that was called or configured wrongly. */
const USAGE = "with 2";
/** Beyond the time that it gives its guests. ms. */
const PATIENCE_MS = 2000;

export interface Supervised {
  /** The subject of its condition. */
  readonly name: string;
  readonly argv: readonly string[];
  /** For its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** As nice(1) counts, from its first moment: a program that loads needs a whole processor. */
  readonly niceness?: number;
}

/** The router of a namespace. */
export interface MemberSettings extends Supervised {
  /** The namespace's name, or `own` for the one that this program is in. */
  readonly name: string;
  readonly networks: readonly string[];
  /** Path of its admin socket. */
  readonly admin: string;
}

export interface SupervisorPorts {
  readonly conditions: Conditions;
  /** Holds while one does not run. @default "NAMESPACE_DOWN" */
  readonly code?: "NAMESPACE_DOWN" | "CONTROLLER_DOWN";
  readonly log: Log;
  /** One says that it was called wrongly, which another start would not mend. It is not started. */
  readonly onUsage?: () => void;
  /** For tests. */
  readonly start?: StartChild;
}

export class Supervisor {
  readonly #members: readonly Member[];

  /** Starts all of them. */
  constructor(members: readonly Supervised[], ports: SupervisorPorts) {
    this.#members = members.map((settings) => new Member(settings, ports));
  }

  /** What runs now, for people. */
  get status(): readonly { readonly name: string; readonly pid: number | undefined }[] {
    return this.#members.map(({ settings: { name }, pid }) => ({ name, pid }));
  }

  /** All of them look at their sources again. */
  reload(): void {
    for (const member of this.#members) member.signal("SIGHUP");
  }

  /** Lets each end in `graceMs`. */
  async close(graceMs: number): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close(graceMs + PATIENCE_MS)));
  }
}

class Member {
  readonly settings: Supervised;
  readonly #ports: SupervisorPorts;
  #child: Child | undefined;
  #againMs = AGAIN_MS_MIN;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(settings: Supervised, ports: SupervisorPorts) {
    this.settings = settings;
    this.#ports = ports;
    this.#start();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.signal(name);
  }

  async close(patienceMs: number): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined) return;
    child.signal("SIGTERM");
    const timer = setTimeout(() => child.signal("SIGKILL"), patienceMs);
    await child.ended.catch(() => {});
    clearTimeout(timer);
  }

  #start(): void {
    const { conditions, log, start = startChild, code = "NAMESPACE_DOWN", onUsage } = this.#ports;
    const { name, argv, niceness, env, ...more } = this.settings;
    const startedMs = performance.now();
    const child = start(argv, { ...env, FRONTDESK_SUPERVISED: "1" });
    this.#child = child;
    if (niceness !== undefined) lower(child.pid, niceness);
    log.info({ name, ...more, pid: child.pid }, "child started");
    const well = setTimeout(() => conditions.clear(code, name), AGAIN_MS_MIN * 4);
    const end = (why: string): void => {
      clearTimeout(well);
      this.#child = undefined;
      if (this.#closed) return;
      conditions.raise(code, name, why);
      const wasWell = performance.now() - startedMs > WELL_MS;
      const waitMs = wasWell ? AGAIN_MS_MIN : this.#againMs;
      this.#againMs = Math.min(waitMs * 2, AGAIN_MS_MAX);
      this.#timer = setTimeout(() => this.#start(), waitMs);
    };
    child.ended.then(
      ({ how, lastWords }) => {
        if (how === USAGE && onUsage !== undefined && !this.#closed) return onUsage();
        end(`it ended ${how}${lastWords && `: ${lastWords}`}`);
      },
      (error: Error) => end(error.message),
    );
  }
}

function lower(pid: number | undefined, niceness: number): void {
  try {
    // Its threads are not there yet, and have what it has then.
    if (pid !== undefined) setPriority(pid, niceness);
  } catch {
    // It has ended already.
  }
}
