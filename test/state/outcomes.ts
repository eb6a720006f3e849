/**
 * What came of an append: for the program that made it, and for the one that starts after it.
 */

import { expect } from "bun:test";
import { cpSync } from "node:fs";
import { StateError } from "../../src/model/errors.ts";
import type { Entry } from "../../src/router/state/entry.ts";
import { entriesOf, open, scratch } from "./samples.ts";

/** How long something in the background may take. ms. */
const PATIENCE_MS = 2_000;

export async function until(holds: () => boolean): Promise<void> {
  const began = performance.now();
  while (!holds()) {
    if (performance.now() - began > PATIENCE_MS) throw new Error("waited in vain");
    await Bun.sleep(2);
  }
}

/** What became of an append: "durable", or the error's code. */
export async function fate(append: Promise<void>): Promise<string> {
  try {
    await append;
    return "durable";
  } catch (error) {
    expect(error).toBeInstanceOf(StateError);
    return (error as StateError).code;
  }
}

/** What the next program finds, without trouble. */
export async function found(dir: string): Promise<readonly Entry[]> {
  await using opened = await open(dir);
  expect([opened.held(), opened.state.setAside]).toEqual([[], false]);
  return entriesOf(opened.state);
}

/** What a program finds that starts after this one was killed now. */
export async function foundAfterKill(dir: string): Promise<readonly Entry[]> {
  using copy = scratch();
  cpSync(dir, copy.path, { recursive: true, filter: (path) => !/lock$|sock$/.test(path) });
  return await found(copy.path);
}
