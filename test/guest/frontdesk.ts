/**
 * Frontdesk's own router from this source, with one instance at 127.0.0.1, whose records a test
 * changes as it likes; and the guest's tools, from the source or as the small file.
 */

import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { freePort } from "../e2e/loopback.ts";
import { type Done, run } from "../e2e/program.ts";
import { type Router, startRouter } from "../e2e/router.ts";

const CHECKOUT = join(import.meta.dirname, "../..");
export const GUEST: readonly string[] = [process.execPath, join(CHECKOUT, "src/guest/main.ts")];

export interface Instance {
  readonly keys: Readonly<Record<string, string | null>>;
  readonly userData?: string;
  readonly name?: string;
}

export interface Desk extends AsyncDisposable {
  readonly url: string;
  readonly router: Router;
  /** Replaces the instance. The router sees it soon, not at once. */
  write(instance: Instance): void;
}

/** Starts a router; `folder` is its own. */
export async function openDesk(folder: string, instance: Instance): Promise<Desk> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "instances.yaml");
  const write = ({ keys, userData, name = "web-01" }: Instance): void => {
    const id = "11aa22bb-33cc-44dd-95ee-66ff77008899";
    const record = { id, name, zone: "zone-ber-1", address: "127.0.0.1", keys };
    const all = { instances: [userData === undefined ? record : { ...record, userData }] };
    writeFileSync(`${file}.new`, stringify(all));
    renameSync(`${file}.new`, file);
  };
  write(instance);
  // At the same time, so that they are two.
  const [port, passwordPort] = await Promise.all([freePort("127.0.0.1"), freePort("127.0.0.1")]);
  const router = await startRouter({
    rim: "bun",
    source: `file:${file}`,
    listen: [`127.0.0.1:${port}`],
    // Its usual one may be another program's.
    passwordListen: [`127.0.0.1:${passwordPort}`],
    stateDir: join(folder, "state"),
  });
  return {
    url: `http://127.0.0.1:${port}`,
    router,
    write,
    [Symbol.asyncDispose]: () => router[Symbol.asyncDispose](),
  };
}

/** Runs one guest command from the source, against this service. */
export function guest(
  url: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Done> {
  return run([...GUEST, ...args], { env: { FRONTDESK_ENDPOINT: url, ...env } });
}
