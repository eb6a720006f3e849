/**
 * A store, its writer in a process of its own, and a router that follows it, all on loopback.
 */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect } from "../clients/wire.ts";
import { onEnd, scratchFolder } from "./leftovers.ts";
import { freePort } from "./loopback.ts";
import { until } from "./program.ts";
import { launchRouter, type Rim, type Router, type RouterOptions, startRouter } from "./router.ts";

export const NETWORK = "204";
export const ROUTER = "127.77.0.1";
/** Several times what a loaded machine takes. */
const PATIENCE_MS = 15_000;

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | undefined;
}

export interface Scene extends AsyncDisposable {
  readonly folder: string;
  /** The store's file. */
  readonly path: string;
  writer(): Promise<Writer>;
  /** Starts a router and waits until it is ready. */
  router(more?: Partial<RouterOptions>): Promise<Router>;
  /** Starts a router and does not wait. */
  launch(more?: Partial<RouterOptions>): Router;
  get(guest: string, path?: string): Promise<Answer>;
  /** One request of the password dialogue. */
  password(guest: string, request: "send_my_password" | "saved_password"): Promise<string>;
  /** Asks until the body is this. */
  answers(guest: string, body: string, path?: string): Promise<void>;
  becomes(guest: string, status: number): Promise<void>;
  /** Until a condition holds, or is over. */
  holds(router: Router, code: string, holds?: boolean): Promise<void>;
}

export async function openScene(rim: Rim): Promise<Scene> {
  const scratch = scratchFolder("store");
  const folder = scratch.path;
  const path = join(folder, "store.sqlite");
  const keyFile = join(folder, "store.key");
  writeFileSync(keyFile, Buffer.alloc(32, 9), { mode: 0o600 });
  const port = await freePort(ROUTER);
  const passwordPort = await freePort(ROUTER);
  const options: RouterOptions = {
    rim,
    source: `sqlite:${path}`,
    listen: [`${ROUTER}:${port}`],
    passwordListen: [`${ROUTER}:${passwordPort}`],
    stateDir: join(folder, "state"),
    more: ["--seal-key", keyFile],
  };
  const get = async (
    guest: string,
    path = "/latest/meta-data/instance-id",
    at = port,
    headers = "",
  ): Promise<Answer> => {
    using wire = await connect({ host: ROUTER, port: at, from: guest });
    const text = `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}Connection: close\r\n\r\n`;
    const { status, body, headers: given } = await wire.exchange(text);
    const retryAfter = given.find(([name]) => name === "retry-after")?.[1];
    return { status, body: body.toString(), retryAfter };
  };
  const writers: Writer[] = [];
  return {
    folder,
    path,
    async writer() {
      const writer = await startWriter(path, keyFile);
      writers.push(writer);
      return writer;
    },
    router: (more) => startRouter({ ...options, ...more }),
    launch: (more) => launchRouter({ ...options, ...more }),
    get: (guest, path) => get(guest, path),
    async password(guest, request) {
      const header = `DomU_Request: ${request}\r\n`;
      return (await get(guest, "/", passwordPort, header)).body.trim();
    },
    answers: (guest, body, path) =>
      until(`${guest} to be told ${body}`, PATIENCE_MS, async () => {
        return (await get(guest, path).catch(() => undefined))?.body === body;
      }),
    becomes: (guest, status) =>
      until(`${guest} to be answered ${status}`, PATIENCE_MS, async () => {
        return (await get(guest).catch(() => undefined))?.status === status;
      }),
    holds: (router, code, holds = true) =>
      until(`${code} to ${holds ? "hold" : "be over"}`, PATIENCE_MS, async () => {
        const reply = await router.admin("/conditions").catch(() => undefined);
        const list = JSON.parse(reply?.body ?? "[]") as { readonly code: string }[];
        return list.some((condition) => condition.code === code) === holds;
      }),
    async [Symbol.asyncDispose]() {
      for (const writer of writers) await writer.kill();
      scratch[Symbol.dispose]();
    },
  };
}

export interface Writer {
  /** Resolves with what the writer says when it is promised. */
  ask(method: string, ...args: readonly unknown[]): Promise<Readonly<Record<string, unknown>>>;
  /** Everything it has said. */
  readonly said: readonly Readonly<Record<string, unknown>>[];
  /** SIGKILL, also in the middle of a write. */
  kill(): Promise<void>;
}

async function startWriter(path: string, keyFile: string): Promise<Writer> {
  const program = join(import.meta.dirname, "store-writer.ts");
  const child: ChildProcessWithoutNullStreams = spawn(process.execPath, [program, path, keyFile]);
  onEnd(() => child.kill("SIGKILL"));
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk;
  });
  child.stdin.on("error", () => {}); // It may be killed while it is told something.
  const ended = once(child, "close");
  const said: Readonly<Record<string, unknown>>[] = [];
  const waiting: ((line: Readonly<Record<string, unknown>>) => void)[] = [];
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = JSON.parse(text) as Readonly<Record<string, unknown>>;
    said.push(line);
    if (!("condition" in line) && !("written" in line)) waiting.shift()?.(line);
  });
  const next = (): Promise<Readonly<Record<string, unknown>>> =>
    Promise.race([
      new Promise<Readonly<Record<string, unknown>>>((resolve) => waiting.push(resolve)),
      ended.then(() => Promise.reject(new Error(`the writer has ended: ${errors}`))),
    ]);
  await next();
  return {
    said,
    ask(method, ...args) {
      const answer = next();
      child.stdin.write(`${JSON.stringify([method, ...args])}\n`);
      return answer;
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** A record with one NIC. */
export function instance(id: string, address: string, more: object = {}): object {
  return {
    ...{ network: NETWORK, id, name: id, publicKeys: [], incarnation: 1, epoch: 1 },
    nics: [{ addresses: [address], default: true }],
    keys: [["instance-id", id]],
    ...more,
  };
}

/** Takes a store away with all that belongs to it, or puts it back. */
export function moveStore(from: string, to: string): void {
  for (const suffix of ["-wal", "-shm", ""]) {
    if (existsSync(from + suffix)) renameSync(from + suffix, to + suffix);
  }
}
