/**
 * What the suites about rims share: the runtimes, a server on each of them, and requests byte by
 * byte. The server is bundled for Node.js once; Node 18 is there where `scripts/test.mjs` could
 * fetch it.
 */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
const NODE18 = join(ROOT, ".cache/node18/node");
const scratch = mkdtempSync(join(tmpdir(), "frontdesk-rim-"));
const bundle = join(scratch, "server.mjs");

export interface Runtime {
  readonly name: string;
  readonly rim: string;
  readonly command: string[];
  readonly missing: boolean;
}

export const RUNTIMES: readonly Runtime[] = [
  {
    name: "bun",
    rim: "bun",
    command: [process.execPath, join(ROOT, "test/rim/server.ts")],
    missing: false,
  },
  { name: "node", rim: "node", command: ["node", bundle], missing: false },
  { name: "node 18", rim: "node", command: [NODE18, bundle], missing: !existsSync(NODE18) },
];

/** Makes what Node.js runs. */
export async function bundleServer(): Promise<void> {
  const built = await Bun.build({
    entrypoints: [join(ROOT, "test/rim/server.ts")],
    target: "node",
    naming: "server.mjs",
    outdir: scratch,
  });
  if (!built.success) throw new Error(built.logs.join("\n"));
}

export function removeBundle(): void {
  rmSync(scratch, { recursive: true, force: true });
}

export interface Answer {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** How many reads it took to get it all. */
  readonly segments: number;
}

export interface Server {
  readonly pid: number;
  readonly port: number;
  /** Where each connection begins with a PROXY header; 127.0.0.1 alone is trusted. */
  readonly proxiedPort: number;
  ask(request: string): Promise<Answer>;
  askUnix(request: string): Promise<Answer>;
  /** Sends bytes and reads until the server closes, or is silent for half a second. */
  raw(bytes: string): Promise<{ text: string; closed: boolean }>;
  signal(name: NodeJS.Signals): void;
  /** What it has written to its standard error until its end. */
  complaints(): Promise<string>;
  stop(): Promise<number>;
}

export async function start({ command, rim }: Runtime): Promise<Server> {
  const unix = join(mkdtempSync(join(scratch, "socket-")), "s");
  const child = Bun.spawn([...command, rim, "0", unix], { stdout: "pipe", stderr: "pipe" });
  const reader = child.stdout.getReader();
  const line = new TextDecoder().decode((await reader.read()).value);
  const [port = 0, proxiedPort = 0] = line.split(" ").slice(1).map(Number);
  if (!(port > 0)) throw new Error(`the server did not start: ${line}`);
  const at = { host: "127.0.0.1", port };
  return {
    ...{ pid: child.pid, port, proxiedPort },
    ask: async (request) => parse(await exchange(at, request, true)),
    askUnix: async (request) => parse(await exchange({ path: unix }, request, true)),
    raw: async (bytes) => {
      const { chunks, closed } = await exchange(at, bytes, false);
      return { text: Buffer.concat(chunks).toString("latin1"), closed };
    },
    signal: (name) => child.kill(name),
    complaints: () => new Response(child.stderr).text(),
    stop: async () => {
      child.kill("SIGTERM");
      return child.exited;
    },
  };
}

type Where = { host: string; port: number } | { path: string };

function exchange(
  where: Where,
  bytes: string,
  once: boolean,
): Promise<{ chunks: Buffer[]; closed: boolean }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const head = bytes.startsWith("HEAD ");
    const socket = connect(where as { host: string; port: number });
    const end = (closed: boolean) => {
      socket.destroy();
      resolve({ chunks, closed });
    };
    let timer = setTimeout(() => end(false), 3000);
    socket.on("connect", () => socket.write(Buffer.from(bytes, "latin1")));
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (once && !head && complete(Buffer.concat(chunks))) end(false);
      clearTimeout(timer);
      timer = setTimeout(() => end(false), 1500);
    });
    socket.on("end", () => end(true));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET" || error.code === "EPIPE") end(true);
      else reject(error);
    });
  });
}

function complete(bytes: Buffer): boolean {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString("latin1", 0, end));
  return bytes.length >= end + 4 + Number(length?.[1] ?? 0);
}

function parse({ chunks }: { chunks: Buffer[] }): Answer {
  const bytes = Buffer.concat(chunks);
  const end = bytes.indexOf("\r\n\r\n");
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const fields = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return {
    status: Number(first.split(" ")[1]),
    fields,
    body: bytes.subarray(end + 4),
    segments: chunks.length,
  };
}
