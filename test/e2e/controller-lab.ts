/**
 * `frontdesk controller` as a program of its own, beside a cloud that this process plays, and a
 * reader of the store that it writes.
 */

import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { populate } from "../../src/controller/testing.ts";
import type { InstanceRecord } from "../../src/model/record.ts";
import { type Condition, Conditions } from "../../src/observe/conditions.ts";
import { fill } from "../../src/source/cloudstack/example.ts";
import { FakeApi, KEYS } from "../../src/source/cloudstack/testing.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import { scratchFolder } from "./leftovers.ts";
import { type Program, start, until } from "./program.ts";
import { frontdesk } from "./router.ts";

const START_MS_MAX = 20_000;

export interface ControllerLab extends AsyncDisposable {
  readonly api: FakeApi;
  readonly folder: string;
  readonly keysFile: string;
  /** Starts the program; the one before must have ended. */
  launch(...more: string[]): Program;
  /** As `launch`, and waits until the store says what the cloud says. */
  start(...more: string[]): Promise<Program>;
  /** GET on the admin socket. */
  admin(path: string): Promise<{ readonly status: number; readonly body: string }>;
  conditions(): Promise<readonly Condition[]>;
  /** By id, as another program reads them. */
  records(): Promise<ReadonlyMap<string, InstanceRecord>>;
}

export async function openControllerLab(instances: number): Promise<ControllerLab> {
  const folder = scratchFolder("controller");
  const dir = folder.path;
  const api = await FakeApi.open();
  fill(api.cloud);
  populate(api, instances);
  const keysFile = join(dir, "keys.env");
  writeKeys(keysFile, KEYS.secretKey);
  const sealKey = join(dir, "seal.key");
  const key = randomBytes(32);
  writeFileSync(sealKey, key, { mode: 0o600 });
  mkdirSync(join(dir, "state"), { mode: 0o700 });
  const socket = join(dir, "admin.sock");
  const store = join(dir, "store.sqlite");
  let running: Program | undefined;

  const launch = (...more: string[]): Program => {
    const { argv, env } = frontdesk("bun", [
      ...["controller", "--source", `cloudstack:${api.url}`, "--credentials-file", keysFile],
      ...["--store", `sqlite:${store}`, "--seal-key", sealKey, "--state-dir", join(dir, "state")],
      ...["--admin-listen", `unix:${socket}`, ...more],
    ]);
    running = start(argv, { env });
    return running;
  };
  const admin = async (path: string): Promise<{ status: number; body: string }> => {
    const reply = await fetch(`http://controller${path}`, { unix: socket });
    return { status: reply.status, body: await reply.text() };
  };
  return {
    ...{ api, folder: dir, keysFile, launch, admin },
    async start(...more) {
      const program = launch(...more);
      await until("the controller to be ready", START_MS_MAX, async () => {
        return (await admin("/readyz").catch(() => undefined))?.status === 200;
      }).catch((error: Error) => {
        throw new Error(`${error.message}\n${program.output()}`);
      });
      return program;
    },
    conditions: async () => JSON.parse((await admin("/conditions")).body) as Condition[],
    async records() {
      const conditions = new Conditions(() => 0);
      const options = { sealKey: key, conditions, now: () => 0, role: "reader" as const };
      await using reader = await openSqlite(store, options);
      const found = new Map<string, InstanceRecord>();
      for (let after: InstanceRecord | undefined; ; ) {
        const page = await reader.list(after === undefined ? {} : { after });
        for (const { record } of page.records) found.set(record.id, record);
        after = page.records.at(-1)?.record;
        if (page.next === undefined) return found;
      }
    },
    async [Symbol.asyncDispose]() {
      await running?.[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

export function writeKeys(file: string, secretKey: string): void {
  const lines = [`FRONTDESK_API_KEY=${KEYS.apiKey}`, `FRONTDESK_SECRET_KEY=${secretKey}`];
  writeFileSync(file, `${lines.join("\n")}\n`);
  chmodSync(file, 0o600);
}
