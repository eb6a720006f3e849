/** Asks another router of ours over its admin socket. */

import { request } from "node:http";
import type { AskMember } from "./members-admin.ts";

/** A command may wait for its source and the disk; one that hangs must not hide the others. ms. */
const TIMEOUT_MS: Readonly<Record<string, number>> = { POST: 20_000, GET: 2_000 };

/** Metrics and conditions of one router have some kilobytes. */
const REPLY_BYTES_MAX = 16 << 20;

/** Rejects when nobody answers there. */
export const askSocket: AskMember = (socketPath, { method, path, body }) =>
  new Promise((resolve, reject) => {
    const asked = request(
      { socketPath, method, path, timeout: TIMEOUT_MS[method] ?? 2_000 },
      (response) => {
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
      },
    );
    asked.on("error", reject);
    asked.on("timeout", () => asked.destroy(new Error("it does not answer")));
    asked.end(body);
  });
