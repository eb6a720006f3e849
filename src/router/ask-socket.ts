/** Asks a router of ours over its admin listener. */

import { request } from "node:http";
import type { AskMember } from "./members-admin.ts";

/** A command may wait for its source and the disk; one that hangs must not hide the others. ms. */
const TIMEOUT_MS: Readonly<Record<string, number>> = { POST: 20_000, GET: 2_000 };

/** Metrics and conditions of one router have some kilobytes. */
const REPLY_BYTES_MAX = 16 << 20;

/** What the rejection says of a router that took the connection and was silent. */
export const SILENT = "it does not answer";

/** Where an admin listener is, as `node:http` takes it. */
export type AdminPlace =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number };

/** Rejects when nobody answers there. */
export const askSocket: AskMember = (socketPath, asked) => askAdmin({ socketPath }, asked);

/** The same for any admin listener. */
export function askAdmin(
  place: AdminPlace,
  { method, path, body }: Parameters<AskMember>[1],
): ReturnType<AskMember> {
  return new Promise((resolve, reject) => {
    const timeout = TIMEOUT_MS[method] ?? 2_000;
    const asked = request({ ...place, method, path, timeout }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > REPLY_BYTES_MAX) asked.destroy(new Error("it says too much"));
        else chunks.push(chunk);
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      );
    });
    asked.on("error", reject);
    asked.on("timeout", () => asked.destroy(new Error(SILENT)));
    asked.end(body);
  });
}
