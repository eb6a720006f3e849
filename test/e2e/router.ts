/**
 * The router under test, started as an operator starts it, on either rim.
 *
 * It is asked about itself over its admin socket, and talked to like any other server.
 */

import { existsSync, globSync, statSync } from "node:fs";
import { type RequestOptions, request } from "node:http";
import { join } from "node:path";
import type { Place } from "./lab.ts";
import { type Done, type Program, run, start, until } from "./program.ts";

/** Which of the two HTTP rims answers; both must pass everything. */
export type Rim = "bun" | "node";
export const RIMS: readonly Rim[] = ["bun", "node"];

const CHECKOUT = join(import.meta.dirname, "../..");
const BUNDLE = join(CHECKOUT, "dist/frontdesk.mjs");
const READY_MS_MAX = 20_000;
const ADMIN_MS_MAX = 5_000;

export interface RouterOptions {
  readonly rim: Rim;
  /** `databag:DIR` or `file:PATH`, or a store: `sqlite:PATH`. */
  readonly source: string;
  readonly listen: readonly string[];
  readonly passwordListen?: readonly string[];
  /** Of a store: the only one that is served. */
  readonly network?: string;
  /** A folder of its own; the admin socket lies in it. */
  readonly stateDir: string;
  /** Where it runs; on this machine's loopback unless it is said. */
  readonly place?: Place;
  readonly more?: readonly string[];
  /** Runs it in another way: with a limit, under another program. */
  readonly command?: (argv: readonly string[]) => readonly string[];
}

export interface AdminReply {
  readonly status: number;
  readonly body: string;
}

export interface Router extends AsyncDisposable {
  readonly program: Program;
  /** GET on the admin socket. */
  admin(path: string): Promise<AdminReply>;
  /** POST on the admin socket: what `frontdesk apply` does for each file. */
  post(path: string, body: string): Promise<AdminReply>;
  /** Runs `frontdesk apply`. */
  apply(...files: readonly string[]): Promise<Done>;
}

/** Starts a router and waits until it is ready. Rejects with its words when it ends instead. */
export async function startRouter(options: RouterOptions): Promise<Router> {
  const router = launchRouter(options);
  try {
    await until("the router to be ready", READY_MS_MAX, async () => {
      const left = await Promise.race([router.program.ended, undefined]);
      if (left !== undefined) throw new Error(`the router ended with ${left.code}`);
      return (await router.admin("/readyz").catch(() => undefined))?.status === 200;
    });
  } catch (error) {
    await router[Symbol.asyncDispose]();
    throw new Error(`${(error as Error).message}\n${router.program.output()}`);
  }
  return router;
}

/** Starts a router and does not wait: for tests of what it does instead of serving. */
export function launchRouter(options: RouterOptions): Router {
  const socket = join(options.stateDir, "admin.sock");
  const isStore = options.source.startsWith("sqlite:");
  const args = [
    ...[isStore ? "--store" : "--source", options.source],
    ...(options.network === undefined ? [] : ["--network", options.network]),
    ...["--state-dir", options.stateDir],
    ...["--admin-listen", `unix:${socket}`],
    ...options.listen.flatMap((at) => ["--listen", at]),
    ...(options.passwordListen ?? []).flatMap((at) => ["--password-listen", at]),
    ...(options.more ?? []),
  ];
  const { argv: plain, env } = frontdesk(options.rim, ["router", ...args], isStore);
  const argv = options.command?.(plain) ?? plain;
  const program = options.place?.start(argv, { env }) ?? start(argv, { env });
  return {
    program,
    admin: (path) => ask({ socketPath: socket, path, method: "GET" }, ""),
    post: (path, body) => ask({ socketPath: socket, path, method: "POST" }, body),
    apply(...files) {
      const apply = frontdesk(options.rim, ["apply", ...files, "--admin", `unix:${socket}`]);
      return run(apply.argv, { env: apply.env });
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/**
 * The command line of our program. The Node rim runs as it is shipped, the bundle on the oldest
 * Node.js at hand, where the bundle is newer than the source; else on Bun. `FRONTDESK_PROGRAM` names
 * another build than this checkout.
 *
 * @param needsSqlite then it runs on Bun: the oldest Node.js at hand has no SQLite
 */
export function frontdesk(
  rim: Rim,
  args: readonly string[],
  needsSqlite = false,
): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  const program = process.env.FRONTDESK_PROGRAM ?? join(CHECKOUT, "bin/frontdesk");
  const shipped = rim === "node" && !needsSqlite && process.env.FRONTDESK_PROGRAM === undefined;
  const argv = shipped && bundleIsCurrent() ? [oldestNode(), BUNDLE] : [program];
  return { argv: [...argv, ...args], env: { FRONTDESK_RIM: rim } };
}

let current: boolean | undefined;

/** Whether `npm run build` was run after the last change; it is not asked twice. */
function bundleIsCurrent(): boolean {
  if (current !== undefined) return current;
  const built = statSync(BUNDLE, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const files = globSync(join(CHECKOUT, "src/**/*.ts")).filter((path) => !/\.test\./.test(path));
  current = files.every((path) => statSync(path).mtimeMs <= built);
  return current;
}

/** Debian 12's Node.js 18 where the set-up fetched it. */
function oldestNode(): string {
  const fetched = join(CHECKOUT, ".cache/node18/node");
  return existsSync(fetched) ? fetched : "node";
}

function ask(options: RequestOptions, body: string): Promise<AdminReply> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, timeout: ADMIN_MS_MAX }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => {
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() });
      });
      answer.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error("the admin socket does not answer")));
    sent.on("error", reject);
    sent.end(body);
  });
}
