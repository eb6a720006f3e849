/** What the suites about stores share: records, stores to run on, and a follower that listens. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Network } from "../../src/model/change.ts";
import type { RecordChange } from "../../src/model/feed.ts";
import { type InstanceRecord, userDataOf } from "../../src/model/record.ts";
import { parseRecord } from "../../src/model/record-parse.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { openStore } from "../../src/store/index.ts";
import { MemoryStore } from "../../src/store/memory.ts";
import type { Store, StoreOptions } from "../../src/store/store.ts";

export const SEAL_KEY = new Uint8Array(32).fill(7);

export function optionsOf(changed: Partial<StoreOptions> = {}): StoreOptions {
  const conditions = new Conditions(() => 0);
  return { sealKey: SEAL_KEY, conditions, now: () => 0, role: "writer", ...changed };
}

export function scratch(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "frontdesk-store-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export function record(changed: object = {}): InstanceRecord {
  return parseRecord({
    network: "204",
    id: "i-1",
    name: "web-01",
    nics: [{ addresses: ["10.1.1.1"], default: true }],
    keys: [["instance-id", "i-1"]],
    publicKeys: [],
    incarnation: 1,
    epoch: 1,
    ...changed,
  });
}

export const nic = (...addresses: string[]) => ({ addresses, default: true });

/** A record whose user data is bytes, wherever the store has them. */
export async function whole(record: InstanceRecord): Promise<object> {
  const userData = await userDataOf(record);
  return { ...record, ...(userData !== undefined && { userData: Buffer.from(userData) }) };
}

/** What a follower knows after what it was told so far. */
export interface Listener extends AsyncDisposable {
  readonly known: ReadonlyMap<string, InstanceRecord>;
  readonly networks: readonly Network[];
  /** Every element, as `put i-1 3`, `secret i-1 4`, `snapshot 2`. */
  readonly heard: readonly string[];
  readonly failed: Promise<unknown>;
  /** Resolves when the follower has come to a revision. */
  reaches(revision: number): Promise<void>;
}

export function listen(store: Store): Listener {
  const end = new AbortController();
  const known = new Map<string, InstanceRecord>();
  const heard: string[] = [];
  let networks: readonly Network[] = [];
  const arrivals: { revision: number; resolve: () => void }[] = [];
  let reached = -1;
  const told = (revision: number): void => {
    if (revision <= reached) heard.push(`backwards from ${reached} to ${revision}`);
    reached = revision;
    for (const { resolve } of arrivals.filter((one) => one.revision <= revision)) resolve();
  };
  const listening = (async () => {
    for await (const element of store.follow(end.signal)) {
      if (element.kind === "snapshot") {
        known.clear();
        for (const { record } of element.records) known.set(keyOf(record), record);
        heard.push(`snapshot ${element.records.length}`);
      } else {
        for (const change of element.changes) heard.push(apply(known, change));
        const ids = element.networks?.map(({ id }) => id);
        if (ids !== undefined) heard.push(`networks ${ids}`);
      }
      networks = element.networks ?? networks;
      told(element.revision);
    }
  })();
  return {
    known,
    get networks() {
      return networks;
    },
    heard,
    failed: listening.then(
      () => undefined,
      (error: unknown) => error,
    ),
    reaches: (revision) =>
      new Promise((resolve) => {
        if (reached >= revision) resolve();
        else arrivals.push({ revision, resolve });
      }),
    async [Symbol.asyncDispose]() {
      end.abort();
      await listening.catch(() => {});
    },
  };
}

export const keyOf = ({ network, id }: { network: string; id: string }) => `${network} ${id}`;

function apply(known: Map<string, InstanceRecord>, change: RecordChange): string {
  if (change.kind === "put") {
    known.set(keyOf(change.record), change.record);
    return `put ${change.record.id} ${change.revision}`;
  }
  const before = known.get(keyOf(change));
  if (change.kind === "delete") known.delete(keyOf(change));
  else if (before !== undefined) {
    const { password: _, ...bare } = before;
    const { password } = change;
    known.set(keyOf(change), { ...bare, ...(password !== undefined && { password }) });
  }
  return `${change.kind} ${change.id} ${change.revision}`;
}

/** The stores that the contract holds for. */
export const STORES: Readonly<Record<string, (folder: string) => Promise<Store>>> = {
  memory: async () => new MemoryStore(),
  sqlite: (folder) => openStore(`sqlite:${join(folder, "store.sqlite")}`, optionsOf()),
};
