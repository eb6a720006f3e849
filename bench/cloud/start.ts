/**
 * The cloud that a controller reads in these measurements, and what the controller says of itself.
 *
 * The cloud runs on the load's CPU only while nobody else wants it, so that it delays no guest.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { KEYS } from "../../src/source/cloudstack/testing.ts";
import { idly } from "../process.ts";
import { startAsked } from "../vr/script.ts";

const PROGRAM = join(import.meta.dirname, "cloud.ts");
const WAIT_MS_MAX = 120_000;
/** Between two questions how far a controller is: each costs it some. ms. */
const ASK_MS = 20;

export interface CloudServer extends Disposable {
  /** The words by which a controller finds it. */
  readonly argv: readonly string[];
  /** Gives so many instances another name. */
  rename(instances: number): Promise<void>;
}

/** @param options.home a directory that is there, for its keys; `bytes` of user data of each */
export async function startCloud(options: {
  home: string;
  instances: number;
  bytes: number;
}): Promise<CloudServer> {
  const { home, instances, bytes } = options;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const keys = join(home, "keys.env");
  const lines = [`FRONTDESK_API_KEY=${KEYS.apiKey}`, `FRONTDESK_SECRET_KEY=${KEYS.secretKey}`];
  writeFileSync(keys, `${lines.join("\n")}\n`, { mode: 0o600 });
  const argv = idly([process.execPath, PROGRAM, String(instances), String(bytes)]);
  const { ready, ask, end } = await startAsked("the cloud", argv);
  const { url } = ready as { readonly url: string };
  let names = 0;
  return {
    argv: ["--source", `cloudstack:${url}`, "--credentials-file", keys],
    rename: async (count) => {
      names++;
      await ask(`${count}\trenamed-${names}`);
    },
    [Symbol.dispose]: end,
  };
}

export interface Status {
  readonly looks: number;
  readonly lastMs: number;
  readonly written: number;
}

/** Waits until a controller has looked so often. @throws {Error} if `why` says that it cannot. */
export async function looked(
  socket: string,
  looks: number,
  why: () => string | undefined,
): Promise<Status> {
  const deadline = Date.now() + WAIT_MS_MAX;
  for (;;) {
    const status = await statusOf(socket);
    if (status !== undefined && status.looks >= looks) return status;
    const reason = Date.now() > deadline ? "the controller did not look in time" : why();
    if (reason !== undefined) throw new Error(reason);
    await sleep(ASK_MS);
  }
}

/** The controller's own word; nothing while it starts. */
function statusOf(socketPath: string): Promise<Status | undefined> {
  return new Promise((resolve) => {
    const request = get({ socketPath, path: "/status" }, async (response) => {
      let text = "";
      for await (const chunk of response) text += String(chunk);
      resolve(JSON.parse(text) as Status);
    });
    request.on("error", () => resolve(undefined));
  });
}
