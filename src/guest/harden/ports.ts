/**
 * What `harden` needs of the world: programs, files, and where the service may be.
 *
 * Everything goes through one object, so that a test may show it another machine.
 */

import { existsSync, realpathSync } from "node:fs";
import { type Exec, exec } from "../../platform/exec.ts";
import { candidates } from "../candidates.ts";
import type { Endpoint } from "../endpoint.ts";
import { openSystem } from "../system.ts";
import { type Files, openFiles } from "./files.ts";

/** The resolver has so long to say what `data-server` is; a rule for it can follow later. */
const RESOLVE_MS_MAX = 2_000;

export interface HardenPorts {
  readonly exec: Exec;
  readonly files: Files;
  readonly isRoot: boolean;
  /** Whether systemd runs here now; else units are only enabled for the next boot. */
  readonly systemdRuns: boolean;
  /** The command line that is us, up to and with `harden`: for the unit. */
  readonly self: readonly string[];
  /** Where the metadata service may be, without asking it. */
  candidates(): Promise<readonly Endpoint[]>;
}

/** @param words those of the command line that lead here: `["guest", "harden"]` */
export function systemPorts(words: readonly string[]): HardenPorts {
  return {
    exec,
    files: openFiles(),
    isRoot: process.getuid?.() === 0,
    systemdRuns: existsSync("/run/systemd/system"),
    self: [...program(), ...words],
    candidates: () => {
      const system = { ...openSystem(), resolve };
      return candidates({ system }, AbortSignal.timeout(RESOLVE_MS_MAX));
    },
  };
}

/**
 * Asks the system's resolver in a process of its own, which can be ended. A look-up within this
 * process cannot: at boot, without a network, the program would stay for as long as it takes.
 */
async function resolve(name: string): Promise<readonly string[]> {
  try {
    const { stdout } = await exec(["getent", "ahosts", name], { timeoutMs: RESOLVE_MS_MAX });
    return [...new Set(stdout.split("\n").map((line) => line.split(" ")[0] ?? ""))];
  } catch {
    return []; // No answer, or no getent: what DHCP and the routes say must do.
  }
}

/** A compiled program is one file; else it is a runtime and a script. */
function program(): string[] {
  const script = process.argv[1];
  const isCompiled = script === undefined || script.startsWith("/$bunfs/") || !existsSync(script);
  const files = isCompiled ? [process.execPath] : [process.execPath, script];
  return files.map((file) => realpathSync(file));
}
