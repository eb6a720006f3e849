/**
 * Asks a running router over its admin listener.
 */

import { Agent, request } from "node:http";
import { AdminError, CommandError, UsageError } from "../model/errors.ts";
import { parseAdmin } from "./addresses.ts";

/** A router answers at once; one that does not within this is stuck. ms. */
const TIMEOUT_MS = 30_000;

export interface AdminClient extends Disposable {
  get(path: string): Promise<unknown>;
  post(path: string, body: string): Promise<unknown>;
  close(): void;
}

/** @param admin `unix:PATH` or `ADDR:PORT` */
export function openAdminClient(admin: string): AdminClient {
  const at = parseAdmin(admin);
  const where = "unix" in at ? { socketPath: at.unix } : { host: at.host, port: at.port };
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async (method: string, path: string, body?: string): Promise<unknown> => {
    const { status, text } = await exchange({ ...where, agent, method, path }, admin, body);
    const answer = parse(text, admin);
    const { error } = answer as { error?: { code?: string; message?: string } };
    // A router that is not ready says so with 503, and answers what it was asked.
    if (error === undefined && (status < 400 || status === 503)) return answer;
    const { code = "", message = `status ${status}` } = error ?? {};
    if (code === "COMMAND_INVALID") throw new CommandError(message);
    if (code === "USAGE") throw new UsageError(message);
    throw new AdminError(message);
  };
  return {
    get: (path) => ask("GET", path),
    post: (path, body) => ask("POST", path, body),
    close: () => agent.destroy(),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function parse(text: string, admin: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new AdminError(`what answers at ${admin} is not a Frontdesk router`);
  }
}

function exchange(
  options: object,
  admin: string,
  body: string | undefined,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const exchange = request({ ...options, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", (error) => reject(unreachable(admin, error)));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      );
    });
    exchange.on("error", (error) => reject(unreachable(admin, error)));
    exchange.on("timeout", () => exchange.destroy(new Error("it does not answer")));
    exchange.end(body);
  });
}

function unreachable(admin: string, error: NodeJS.ErrnoException): AdminError {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: "there is no such socket: is a router running, with that --state-dir?",
    ECONNREFUSED: "nothing listens there: is the router running?",
    EACCES: "permission denied: run this as the router's user",
  };
  return new AdminError(
    `cannot ask the router at ${admin}: ${reasons[error.code ?? ""] ?? error.message}`,
  );
}
