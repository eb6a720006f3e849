/**
 * What `doctor` needs of the world: programs, files, a socket, the resolver, the service.
 *
 * Everything goes through one object, so that a test may show it another machine.
 */

import { type Exec, exec } from "../../platform/exec.ts";
import { type StartLines, startLines } from "../../platform/lines.ts";
import { type Client, openClient } from "../client.ts";
import type { Endpoint } from "../endpoint.ts";
import { openSystem, type System } from "../system.ts";
import type { Spoken } from "./facts.ts";
import { RESOLVE_MS } from "./limits.ts";

export interface Resolved {
  readonly addresses: readonly string[];
  readonly silent: boolean;
}

export interface Saying {
  readonly bytes: string;
  readonly timeoutMs: number;
  /** Our end's port; the system's choice where it is not said. */
  readonly localPort?: number;
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

const KINDS: Readonly<Record<string, Spoken["kind"]>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "refused",
  ETIMEDOUT: "timeout",
  ENETUNREACH: "unreachable",
  EHOSTUNREACH: "unreachable",
  ENETDOWN: "unreachable",
  EHOSTDOWN: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EINVAL: "unreachable",
  EACCES: "unreachable",
  EPERM: "unreachable",
};

async function speak(run: Exec, endpoint: Endpoint, saying: Saying): Promise<Spoken> {
  const spoken = await speakOnce(endpoint, saying);
  // Bun calls every failure a refusal; who is refused and who has no route need different advice.
  if (spoken.kind !== "refused" || process.versions.bun === undefined) return spoken;
  const code = await errorByBash(run, endpoint, saying.timeoutMs);
  return code === undefined ? spoken : { ...spoken, code, kind: KINDS[code] ?? spoken.kind };
}

/** `connect: Network is unreachable`, as bash says it. */
const BASH_WORDS: Readonly<Record<string, string>> = {
  "Connection refused": "ECONNREFUSED",
  "Network is unreachable": "ENETUNREACH",
  "No route to host": "EHOSTUNREACH",
  "Invalid argument": "EINVAL",
  "Permission denied": "EACCES",
  "Connection timed out": "ETIMEDOUT",
};

/** The system's own code, from a program that passes it on; `undefined` where there is no bash. */
async function errorByBash(
  run: Exec,
  { host, port }: Endpoint,
  timeoutMs: number,
): Promise<string | undefined> {
  try {
    const argv = ["bash", "-c", 'exec 3<>"/dev/tcp/$0/$1"', host, String(port)];
    const { stderr } = await run(argv, { timeoutMs });
    return Object.entries(BASH_WORDS).find(([words]) => stderr.includes(`connect: ${words}`))?.[1];
  } catch {
    return undefined;
  }
}

async function speakOnce(endpoint: Endpoint, saying: Saying): Promise<Spoken> {
  const { bytes, timeoutMs, localPort } = saying;
  const { connect } = await import("node:net");
  const started = Date.now();
  return await new Promise((resolve) => {
    let connected = false;
    const socket = connect({
      host: endpoint.host,
      port: endpoint.port,
      ...(localPort === undefined ? {} : { localPort }),
    });
    const end = (kind: Spoken["kind"], code: string, answered = false): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ kind, code, answered, ms: Date.now() - started });
    };
    const timer = setTimeout(() => {
      if (connected) end("open", "ETIMEDOUT");
      else end("timeout", "ETIMEDOUT");
    }, timeoutMs);
    socket.on("connect", () => {
      connected = true;
      if (bytes === "") end("open", "");
      else socket.write(bytes);
    });
    socket.on("data", () => end("open", "", true));
    socket.on("close", () => end(connected ? "open" : "failed", "ECLOSED", connected));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const code = error.code ?? "UNKNOWN";
      // A reset of a connection that stood is an answer too: something came back.
      if (connected) end("open", code, true);
      else end(KINDS[code] ?? "failed", code);
    });
  });
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
