/**
 * For the tests of this folder: bags from texts, and folders of databags that tests may write to.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Slices } from "../file/slices.ts";
import type { Bag, Delta } from "./bag.ts";
import type { Readable } from "./stream.ts";

export const FIXTURES = "fixtures/cloudstack";

export type Json = Record<string, unknown>;

/** A file that is not on the disk. */
export function fileOf(text: string): Readable {
  const bytes = Buffer.from(text);
  return {
    size: bytes.length,
    read: async (into, at) => void bytes.copy(into, 0, at, at + into.length),
  };
}

export function slices(): Slices {
  return new Slices(new AbortController().signal);
}

/** Reads a text into a bag, puts it in force, and says what differed. */
export async function take<T>(bag: Bag<T>, content: string | Json): Promise<Delta<T>> {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  const delta = await bag.read(fileOf(text), slices());
  delta.commit();
  return delta;
}

export function fixture(topology: string, name: string): Json {
  return JSON.parse(readFileSync(join(FIXTURES, topology, "etc-cloudstack", name), "utf8"));
}

/** The commands of a topology, in the order in which CloudStack sent them. */
export function commands(topology: string): { name: string; text: string }[] {
  const dir = join(FIXTURES, topology, "commands");
  const names = readdirSync(dir).sort();
  return names.map((name) => ({ name, text: readFileSync(join(dir, name), "utf8") }));
}

/** A folder of databags. Held with `using`. */
export class BagDir {
  readonly path: string = mkdtempSync(join(tmpdir(), "frontdesk-databag-"));

  /** With the files of a topology, if one is named. */
  constructor(topology?: string) {
    if (topology === undefined) return;
    const dir = join(FIXTURES, topology, "etc-cloudstack");
    for (const name of readdirSync(dir))
      this.writeText(name, readFileSync(join(dir, name), "utf8"));
  }

  read(name: string): Json {
    return JSON.parse(readFileSync(join(this.path, name), "utf8"));
  }

  /** In place and in CloudStack's formatting. */
  write(name: string, content: Json): void {
    this.writeText(name, JSON.stringify(content, undefined, 2));
  }

  writeText(name: string, text: string): void {
    writeFileSync(join(this.path, name), text);
  }

  edit(name: string, change: (content: Json) => void): void {
    const content = this.read(name);
    change(content);
    this.write(name, content);
  }

  remove(name: string): void {
    rmSync(join(this.path, name), { recursive: true });
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
