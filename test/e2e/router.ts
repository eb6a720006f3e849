/**
 * The router under test, started as an operator starts it, on either rim.
 *
 * It is asked about itself over its admin socket, and talked to like any other server.
 */

import { request } from "node:http";
import { join } from "node:path";
import type { Place } from "./lab.ts";
import { type Done, type Program, run, start, until } from "./program.ts";

/** Which of the two HTTP rims answers; both must pass everything. */
export type Rim = "bun" | "node";
export const RIMS: readonly Rim[] = ["bun", "node"];

const CHECKOUT = join(import.meta.dirname, "../..");
const READY_MS_MAX = 10_000;
const ADMIN_MS_MAX = 5_000;

export interface RouterOptions {
  readonly rim: Rim;
  /** `databag:DIR` or `file:PATH`. */
  readonly source: string;
  readonly listen: readonly string[];
  readonly passwordListen?: readonly string[];
  /** A folder of its own; the admin socket lies in it. */
  readonly stateDir: string;
  /** Where it runs; on this machine's loopback unless it is said. */
  readonly place?: Place;
  readonly more?: readonly string[];
}

export interface Router extends AsyncDisposable {
  readonly program: Program;
  /** GET on the admin socket. */
  admin(path: string): Promise<{ readonly status: number; readonly body: string }>;
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
  const args = [
    ...["--source", options.source, "--state-dir", options.stateDir],
    ...["--admin-listen", `unix:${socket}`],
    ...options.listen.flatMap((at) => ["--listen", at]),
    ...(options.passwordListen ?? []).flatMap((at) => ["--password-listen", at]),
    ...(options.more ?? []),
  ];
  const { argv, env } = frontdesk(options.rim, ["router", ...args]);
  const program = options.place?.start(argv, { env }) ?? start(argv, { env });
  return {
    program,
    admin: (path) => ask(socket, path),
    apply(...files) {
      const apply = frontdesk(options.rim, ["apply", ...files, "--admin", `unix:${socket}`]);
      return run(apply.argv, { env: apply.env });
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/**
 * The command line of our program. `FRONTDESK_PROGRAM` names another build of it than this
 * checkout, `FRONTDESK_BUNDLE` the `.mjs` that a real Node.js then runs for the Node rim.
 */
export function frontdesk(
  rim: Rim,
  args: readonly string[],
): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  const bundle = process.env.FRONTDESK_BUNDLE;
  if (rim === "node" && bundle !== undefined) return { argv: ["node", bundle, ...args], env: {} };
  const program = process.env.FRONTDESK_PROGRAM ?? join(CHECKOUT, "bin/frontdesk");
  return { argv: [program, ...args], env: { FRONTDESK_RIM: rim } };
}

function ask(socketPath: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, timeout: ADMIN_MS_MAX }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => {
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() });
      });
      answer.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error("the admin socket does not answer")));
    sent.on("error", reject);
    sent.end();
  });
}
