/** Asks another router of ours over its admin socket. */

import { request } from "node:http";
import type { AskMember } from "./members-admin.ts";

/** A command may wait for its source and the disk. ms. */
const TIMEOUT_MS = 20_000;

/** Rejects when nobody answers there. */
export const askSocket: AskMember = (socketPath, { method, path, body }) =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      );
    });
    asked.on("error", reject);
    asked.on("timeout", () => asked.destroy(new Error("it does not answer")));
    asked.end(body);
  });
