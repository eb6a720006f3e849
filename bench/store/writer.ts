/**
 * The program that writes the store in this benchmark, as a controller does: it makes the instances,
 * and then changes one for each line `ADDRESS<tab>KEY<tab>VALUE` on standard input.
 *
 * Usage: writer.ts PATH KEYFILE COUNT. Prints when a change was begun and when it was kept.
 */

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { type InstanceRecord, userDataOf } from "../../src/model/record.ts";
import { parseRecord } from "../../src/model/record-parse.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { openStore } from "../../src/store/index.ts";
import { type Guest, makeGuest } from "../lab.ts";
import { wallMs } from "../process.ts";

const NETWORK = "bench";
const [, , path = "", keyFile = "", count = "0"] = process.argv;

function recordOf({ address, mac, name, keys, userData }: Guest): InstanceRecord {
  return parseRecord({
    ...{ network: NETWORK, id: address, name, keys, publicKeys: [], incarnation: 1, epoch: 1 },
    nics: [{ mac, addresses: [address], default: true }],
    userData: new TextEncoder().encode(userData),
  });
}

const store = await openStore(`sqlite:${path}`, {
  sealKey: readFileSync(keyFile),
  conditions: new Conditions(Date.now),
  now: Date.now,
  role: "writer",
});
await store.putNetworks([{ id: NETWORK, cidrs: ["127.0.0.0/8"] }]);
for (let index = 0; index < Number(count); index++) await store.put(recordOf(makeGuest(index)));
console.log("{}");

for await (const line of createInterface({ input: process.stdin })) {
  const [address = "", name = "", value = ""] = line.split("\t");
  const held = await store.get({ network: NETWORK, id: address });
  if (held === undefined) throw new Error(`no instance has ${address}`);
  const keys = held.record.keys.map((key) => (key[0] === name ? ([name, value] as const) : key));
  const userData = await userDataOf(held.record);
  const record = { ...held.record, keys, ...(userData !== undefined && { userData }) };
  const begunMs = wallMs();
  await store.put(record);
  console.log(JSON.stringify({ begunMs, endedMs: wallMs() }));
}
await store.close();
