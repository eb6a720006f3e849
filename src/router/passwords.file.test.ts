/**
 * Passwords that a file of instances states, from the file to the guest: source, directory and
 * ledger together, over edits and restarts.
 */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ledger, MINUTE } from "../../test/state/ledger.ts";
import { scratch } from "../../test/state/samples.ts";
import type { Change } from "../model/change.ts";
import { openFile } from "../source/file/file.ts";
import type { Source } from "../source/source.ts";
import { changeOf, Directory } from "./directory.ts";

const SIGNAL = new AbortController().signal;
const GUEST = "127.0.0.11";

async function router(path: string) {
  const desk = ledger();
  const { conditions } = desk;
  let directory: Directory;
  let source: Source;
  const start = async (known: readonly Change[]): Promise<void> => {
    directory = new Directory({
      epochBegan: (...what) => desk.passwords.epochBegan(...what),
      hostNameCut: () => {},
    });
    directory.apply(known);
    source = await openFile(path, { conditions, now: () => desk.time, firstStart: false });
    source.restore(known, desk.passwords.entries());
  };
  await start([]);
  return {
    desk,
    /** Saves the file, and lets the router look. */
    async save(text: string): Promise<void> {
      writeFileSync(path, `instances: [${text}]\n`);
      const changes = await source.poll(SIGNAL);
      directory.apply(changes);
      for (const change of changes) {
        if (change.kind === "password") await desk.passwords.offer(change);
      }
    },
    async restart(): Promise<void> {
      const known = [...directory.entries()].map(changeOf);
      await source[Symbol.asyncDispose]();
      desk.restart();
      await start(known);
    },
    /** The guest asks for its password, and says that it has it. */
    async boot(): Promise<string | undefined> {
      const entry = directory.find(GUEST);
      if (entry === undefined) return undefined;
      const { network, address, epoch } = entry;
      const password = desk.passwords.send(network, address, epoch);
      if (password !== undefined) await desk.passwords.acknowledge(network, address, epoch);
      return password;
    },
  };
}

const record = (id: string, password: string): string =>
  `{id: ${id}, name: n, address: ${GUEST}, password: ${password}}`;

/** The guest is not started. */
const NOT_ASKED = "not asked";

const cases: Readonly<
  Record<string, readonly (readonly [text: string, boots: string | undefined])[]>
> = {
  "an instance that was gone and has a new password gets it": [
    [record("a", "one"), "one"],
    ["", undefined],
    [record("a", "two"), "two"],
  ],
  "an instance at the address of one that is gone gets its password": [
    [record("a", "one"), "one"],
    ["", undefined],
    [record("b", "two"), "two"],
  ],
  "each of two instances at one address gets the password that they share": [
    [record("a", "one"), "one"],
    [record("b", "one"), "one"],
  ],
  "and so it does when the first one never asked": [
    [record("a", "one"), NOT_ASKED],
    [record("b", "one"), "one"],
  ],
  "an instance that comes back with the password that it has is not given it again": [
    [record("a", "one"), "one"],
    ["", undefined],
    [record("a", "one"), undefined],
  ],
  "an instance that comes back with a password that it never had is given it": [
    [record("a", "one"), NOT_ASKED],
    ["", undefined],
    [record("a", "one"), "one"],
  ],
};

for (const [name, steps] of Object.entries(cases)) {
  for (const restarts of [false, true]) {
    test(`${name}${restarts ? ", over restarts" : ""}`, async () => {
      using folder = scratch();
      const { save, restart, boot, desk } = await router(join(folder.path, "lab.yaml"));
      for (const [text, expected] of steps) {
        await save(text);
        if (expected !== NOT_ASKED) {
          expect(await boot()).toBe(expected);
          expect(await boot()).toBeUndefined();
        }
        desk.time += 11 * MINUTE;
        if (restarts) await restart();
      }
      expect(desk.held()).toEqual([]);
    });
  }
}
