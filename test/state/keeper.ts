/**
 * A router's memory of passwords, made to be killed: guests get passwords and acknowledge them
 * until the end comes. Says each thing before it begins and when it is promised, at once.
 *
 * Usage: keeper.ts DIR GUESTS, and on standard input the acknowledged passwords as JSON
 */

import { readFileSync, writeSync } from "node:fs";
import { parseIp } from "../../src/model/address.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { Passwords } from "../../src/router/passwords.ts";
import { openState } from "../../src/router/state/state.ts";

const NETWORK = "204";
const EPOCH = 1;
const [, , dir = "", count = "0"] = process.argv;
const guests = Array.from({ length: Number(count) }, (_, guest) => guest);
const known = JSON.parse(readFileSync(0, "utf8")) as readonly {
  readonly guest: number;
  readonly number: number;
  readonly isDone: boolean;
}[];

const conditions = new Conditions(Date.now);
const say = (...words: readonly (string | number)[]) => writeSync(1, `${words.join(" ")}\n`);
const addressOf = (guest: number) => parseIp(`10.1.1.${guest + 1}`);
const passwordOf = (guest: number, number: number) => `pw-${guest}-${number}`;

const state = await openState({
  dir,
  realm: "router",
  conditions,
  now: Date.now,
  snapshotFirstMs: 5,
  snapshotIntervalMs: 10,
});
const passwords = new Passwords({
  journal: (entries) => state.append(entries),
  digestKey: state.digestKey,
  now: Date.now,
  conditions,
});
passwords.restore(state.recovered.passwords);
state.provideSnapshot(function* () {
  for (const record of passwords.entries()) yield { kind: "password", record } as const;
});
if (state.setAside) say("set-aside");
for (const guest of guests) {
  say("pending", guest, passwords.pending(NETWORK, addressOf(guest), EPOCH) ?? "-");
}

/** A reset that has been done comes once more, by another way. */
async function repeat(guest: number, number: number): Promise<void> {
  await offer(guest, number);
  if (passwords.send(NETWORK, addressOf(guest), EPOCH) !== undefined) say("again", guest, number);
}

function offer(guest: number, number: number): Promise<void> {
  return passwords.offer({
    kind: "password",
    network: NETWORK,
    address: addressOf(guest),
    epoch: EPOCH,
    password: passwordOf(guest, number),
    via: "test",
    standing: false,
  });
}

async function live(guest: number, from: number): Promise<never> {
  for (let number = from; ; number++) {
    say("offer", guest, number);
    await offer(guest, number);
    say("offered", guest, number);
    if (Math.random() < 0.3) await new Promise((resolve) => setTimeout(resolve, 3));
    passwords.send(NETWORK, addressOf(guest), EPOCH);
    say("acknowledge", guest, number);
    await passwords.acknowledge(NETWORK, addressOf(guest), EPOCH);
    say("acknowledged", guest, number);
  }
}

for (const { guest, number, isDone } of known) if (isDone) await repeat(guest, number);
say("ready");
await Promise.all(
  guests.map((guest) => live(guest, (known.find((one) => one.guest === guest)?.number ?? 0) + 1)),
);
