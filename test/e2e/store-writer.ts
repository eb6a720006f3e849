/**
 * The program that writes the store which routers follow, told what to do line by line.
 *
 * Usage: store-writer.ts PATH KEYFILE. Each line of standard input is a list in JSON: the name of a
 * method and its arguments; each is answered by a line when it is promised. User data is text here.
 */

import { readFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Network } from "../../src/model/change.ts";
import type { RecordName } from "../../src/model/record.ts";
import { parseRecord } from "../../src/model/record-parse.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { openStore } from "../../src/store/index.ts";

const [, , path = "", keyFile = ""] = process.argv;
const say = (value: unknown): void => {
  writeSync(1, `${JSON.stringify(value)}\n`);
};

await using store = await openStore(`sqlite:${path}`, {
  sealKey: readFileSync(keyFile),
  conditions: new Conditions(Date.now, ({ code }) => say({ condition: code })),
  now: Date.now,
  role: "writer",
});
say({ opened: true });

function recordOf({ userData, ...given }: { userData?: string }): ReturnType<typeof parseRecord> {
  const bytes = userData === undefined ? {} : { userData: new TextEncoder().encode(userData) };
  return parseRecord({ ...given, ...bytes });
}

/** Puts the same records over and over, each with the number of the round. */
async function storm(records: readonly object[], rounds: number): Promise<number> {
  for (let round = 1; round <= rounds; round++) {
    for (const given of records) {
      const keys = [["round", String(round)]];
      await store.put(recordOf({ ...given, keys } as object));
      say({ written: round });
    }
  }
  return rounds;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...args] = JSON.parse(line) as [string, ...unknown[]];
  if (method === "put") say({ epoch: (await store.put(recordOf(args[0] as object))).record.epoch });
  else if (method === "payload") {
    say({ ...(await store.putPayload(new TextEncoder().encode(String(args[0])), "file")) });
  } else if (method === "delete") say({ revision: await store.delete(args[0] as RecordName) });
  else if (method === "networks") say({ done: await store.putNetworks(args[0] as Network[]) });
  else if (method === "password") {
    const held = await store.get(args[0] as RecordName);
    say({ password: held?.record.password?.id ?? "none" });
  } else if (method === "storm") say({ done: await storm(args[0] as object[], Number(args[1])) });
}
