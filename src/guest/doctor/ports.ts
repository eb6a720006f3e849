/**
 * What `doctor` needs of the world: programs, files, a socket, the resolver, the service.
 *
 * Everything goes through one object, so that a test may show it another machine.
 */

import { type Exec, exec } from "../../platform/exec.ts";
import { type StartLines, startLines } from "../../platform/lines.ts";
import { type Saying, type Spoken, speak } from "../../platform/speak.ts";
import { type Client, openClient } from "../client.ts";
import type { Endpoint } from "../endpoint.ts";
import { openSystem, type System } from "../system.ts";
import { RESOLVE_MS } from "./limits.ts";

export interface Resolved {
  readonly addresses: readonly string[];
  readonly silent: boolean;
}

export interface DoctorPorts {
  readonly exec: Exec;
  readonly lines: StartLines;
  readonly system: System;
  readonly isRoot: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  now(): number;
  sleep(ms: number): Promise<void>;
  open(endpoint: Endpoint): Client;
  /** Connects, sends the bytes in one write, if any, and then waits for a first byte. */
  speak(endpoint: Endpoint, saying: Saying): Promise<Spoken>;
  resolve(name: string): Promise<Resolved>;
}

export function systemPorts(): DoctorPorts {
  return {
    exec,
    lines: startLines,
    system: openSystem(),
    isRoot: process.getuid?.() === 0,
    env: process.env,
    now: Date.now,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    open: openClient,
    speak: (endpoint, saying) => speak(exec, endpoint, saying),
    resolve: (name) => resolveBy(exec, name),
  };
}

/** `getent` found nothing. */
const NOT_FOUND = 2;

/**
 * Asks as clients do, through getaddrinfo, in a process that can be ended; addresses that this
 * instance has no use for are shown too, because some clients take the first one unseen.
 */
async function resolveBy(run: Exec, name: string): Promise<Resolved> {
  for (const flags of [["--no-addrconfig"], []]) {
    try {
      const argv = ["getent", ...flags, "ahosts", name];
      const { code, stdout } = await run(argv, { timeoutMs: RESOLVE_MS });
      if (code === 0) {
        const addresses = stdout.split("\n").map((line) => line.split(/\s/)[0] ?? "");
        return { addresses: [...new Set(addresses.filter((one) => one !== ""))], silent: false };
      }
      if (code === NOT_FOUND) return { addresses: [], silent: false };
    } catch (error) {
      const silent = (error as { code?: unknown }).code === "PROGRAM_TIMEOUT";
      const never = new AbortController().signal;
      return { addresses: silent ? [] : await openSystem().resolve(name, never), silent };
    }
  }
  return { addresses: [], silent: false };
}
