/**
 * Connects over TCP and says what came of it: open, refused, unreachable or silent are different
 * causes, and are told apart on either runtime.
 */

import { connect } from "node:net";
import type { Exec } from "./exec.ts";

/** Where to. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** What came of a connection and of bytes that were sent over it. */
export interface Spoken {
  readonly kind: "open" | "refused" | "unreachable" | "timeout" | "failed";
  /** The system's code: `ECONNREFUSED`; empty for an open connection. */
  readonly code: string;
  /** Whether anything came back. */
  readonly answered: boolean;
  readonly ms: number;
}

export interface Saying {
  readonly bytes: string;
  readonly timeoutMs: number;
  /** Our end's port; the system's choice where it is not said. */
  readonly localPort?: number;
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

/** Connects, sends the bytes in one write, if any, and then waits for a first byte. */
export async function speak(run: Exec, endpoint: Place, saying: Saying): Promise<Spoken> {
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
  { host, port }: Place,
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

async function speakOnce(endpoint: Place, saying: Saying): Promise<Spoken> {
  const { bytes, timeoutMs, localPort } = saying;
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
