import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Ip } from "../../model/address.ts";
import { StoreError } from "../../model/errors.ts";
import { addressesOf, type InstanceRecord, type RecordName } from "../../model/record.ts";
import { MemoryStore } from "../../store/memory.ts";
import { Inventory } from "./inventory.ts";

const NETWORKS = ["a", "b"];

const CHANGE = fc.record({
  ours: fc.boolean(),
  asks: fc.boolean(),
  isPut: fc.boolean(),
  network: fc.constantFrom(...NETWORKS),
  id: fc.constantFrom("i-1", "i-2", "i-3"),
  hosts: fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 2 }),
});

test("an inventory is what the store holds, whoever writes it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(CHANGE, { maxLength: 30 }), async (changes) => {
      const store = new MemoryStore();
      const inventory = new Inventory(store);
      for (const { ours, asks, isPut, hosts, ...name } of changes) {
        const record = recordOf(name, hosts);
        try {
          if (isPut && ours) {
            const known = await store.get(name);
            await inventory.put(record, known?.revision ?? 0);
          } else if (isPut) await store.put(record);
          else if (ours) await inventory.delete(name);
          else await store.delete(name);
        } catch (error) {
          expect(error).toBeInstanceOf(StoreError); // The address is another's.
        }
        if (asks) await check(inventory, store);
      }
      await check(inventory, store);
    }),
    { numRuns: 200 },
  );
});

async function check(inventory: Inventory, store: MemoryStore): Promise<void> {
  const { records } = await store.list();
  const ids = [...new Set(records.map(({ record }) => record.id))].sort();
  const all = await inventory.all();
  expect(all.map(([first]) => first.record.id)).toEqual(ids);
  const label = ({ network, id }: RecordName): string => `${network} ${id}`;
  const held = new Map(all.flat().map((stored) => [label(stored.record), stored]));
  expect(held).toEqual(new Map(records.map((stored) => [label(stored.record), stored])));
  for (const network of NETWORKS) {
    const there = records.filter(({ record }) => record.network === network);
    const addresses = new Set<string>(there.flatMap(({ record }) => addressesOf(record)));
    expect(await inventory.addresses(network)).toEqual(addresses);
  }
}

function recordOf({ network, id }: RecordName, hosts: readonly number[]): InstanceRecord {
  return {
    ...{ network, id, name: id, keys: [], publicKeys: [], incarnation: 1, epoch: 1 },
    nics: [{ addresses: hosts.map((host) => `10.1.1.${host}` as Ip), default: true }],
  };
}
