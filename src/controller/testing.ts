/**
 * For the tests of this folder: a cloud that answers as CloudStack does, a store, and what looks at
 * the one for the other.
 */

import { Conditions } from "../observe/conditions.ts";
import { type Api, CloudStackClient } from "../source/cloudstack/client.ts";
import { fill, instance, nic } from "../source/cloudstack/example.ts";
import { FakeApi, KEYS } from "../source/cloudstack/testing.ts";
import { MemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { Reconciler } from "./reconcile.ts";
import { Troubles } from "./troubles.ts";

export const SUBJECT = "the cloud";

type Await = (command: string) => Promise<unknown>;

export interface Lab extends AsyncDisposable {
  readonly api: FakeApi;
  readonly store: Store;
  readonly conditions: Conditions;
  readonly troubles: Troubles;
  readonly look: Reconciler;
  /** Milliseconds; tests move it. */
  time: number;
  /** One more, that knows nothing but what the store has. Each question is between the two. */
  another(before?: Await, after?: Await): Reconciler;
  /** `CODE subject` of each condition. */
  raised(): string[];
}

/** A request of the tests is given up after this. ms. */
const REQUEST_MS_MAX = 1000;

export async function openLab(options: { store?: Store; instances?: number } = {}): Promise<Lab> {
  const api = await FakeApi.open();
  fill(api.cloud);
  populate(api, options.instances ?? 3);
  const store = options.store ?? new MemoryStore();
  const client = new CloudStackClient({
    ...{ endpoint: api.url, credentials: KEYS, requestMsMax: REQUEST_MS_MAX },
  });
  const conditions = new Conditions(() => 0);
  const troubles = new Troubles(conditions, SUBJECT);
  const lab: { time: number } = { time: 1_000_000 };
  const now = (): number => lab.time;
  const another: Lab["another"] = (before = async () => {}, after = async () => {}) => {
    const read: Api["read"] = async (command, params, signal) => {
      await before(command);
      const answer = await client.read(command, params, signal);
      await after(command);
      return answer;
    };
    const apiAlone = client;
    return new Reconciler({
      api: { read },
      apiAlone,
      apiKey: () => KEYS.apiKey,
      store,
      troubles,
      now,
    });
  };
  return Object.assign(lab, {
    ...{ api, store, conditions, troubles, look: another(), another },
    raised: () => conditions.list().map(({ code, subject }) => `${code} ${subject}`),
    async [Symbol.asyncDispose]() {
      client[Symbol.dispose]();
      await api[Symbol.asyncDispose]();
      await store.close();
    },
  });
}

/** Instances i-1 … i-n, each with an address of its own and a root disk. */
export function populate({ cloud }: FakeApi, count: number): void {
  cloud.instances = [];
  cloud.volumes = [];
  for (let n = 1; n <= count; n++) {
    const id = `i-${n}`;
    cloud.instances.push(instance(id, { nic: [nic("net-isolated", addressOf(n))] }));
    cloud.volumes.push({ id: `disk-${n}`, virtualmachineid: id, state: "Ready", type: "ROOT" });
  }
}

export function addressOf(n: number): string {
  return `10.1.${1 + (n >> 8)}.${n & 255}`;
}

/** Changes fields of an instance of the cloud. */
export function change({ cloud }: FakeApi, id: string, more: object): void {
  cloud.instances = cloud.instances.map((one) => (one.id === id ? { ...one, ...more } : one));
}

export function destroy({ cloud }: FakeApi, ...ids: string[]): void {
  cloud.instances = cloud.instances.filter(({ id }) => !ids.includes(String(id)));
}

/** `network/id name addresses` of every record, in order. */
export async function kept(store: Store): Promise<string[]> {
  const { records } = await store.list();
  return records.map(({ record: { network, id, name, nics } }) => {
    const addresses = nics.flatMap((one) => one.addresses).join(",");
    return `${network}/${id} ${name} ${addresses}`;
  });
}
