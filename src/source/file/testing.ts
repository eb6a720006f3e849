/**
 * For the tests of this folder: a file that tests may write to, the source that reads it, and a
 * clock that stands until it is moved.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Binding } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import { SourceError } from "../../model/errors.ts";
import { Conditions } from "../../observe/conditions.ts";
import type { Source, SourceContext } from "../source.ts";
import { openFile } from "./file.ts";

export const SIGNAL: AbortSignal = new AbortController().signal;

export const WEB = `
  - id: i-web
    name: web-01
    address: 127.0.0.11
`;

export const DB = `
  - id: i-db
    name: db-01
    address: 127.0.0.12
`;

/** A file and its source. */
export class Lab {
  readonly dir: string = mkdtempSync(join(tmpdir(), "frontdesk-file-"));
  readonly file: string = join(this.dir, "lab.yaml");
  clock = 1_000_000;
  readonly conditions: Conditions = new Conditions(() => this.clock);
  readonly source: Promise<Source> = this.open();

  /** Another source of the same file, as a later run would open it. */
  open(context: Partial<SourceContext> = {}): Promise<Source> {
    const { conditions } = this;
    const now = (): number => this.clock;
    return openFile(this.file, { conditions, now, firstStart: true, ...context });
  }

  write(text: string): void {
    writeFileSync(this.file, text);
  }

  async poll(): Promise<readonly Change[]> {
    return (await this.source).poll(SIGNAL);
  }

  /** What a poll tells, in short. */
  async told(): Promise<string[]> {
    return (await this.poll()).map(short);
  }

  raised(): string[] {
    return this.conditions.list().map(({ code, detail }) => `${code} ${detail}`);
  }

  /** The message of a poll that fails. */
  async failure(): Promise<string> {
    try {
      await this.poll();
    } catch (error) {
      if (error instanceof SourceError) return error.message;
      throw error;
    }
    throw new Error("the poll succeeded");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.source)[Symbol.asyncDispose]();
    rmSync(this.dir, { recursive: true });
  }
}

/** `put 10.1.1.5 i-web 1`, and of other changes their kind and address. */
export function short(change: Change): string {
  if (change.kind === "put") {
    const { address, instance, epoch } = change.binding;
    return `put ${address} ${instance} ${epoch}`;
  }
  return `${change.kind} ${change.kind === "withhold" ? change.withheld.address : change.address}`;
}

export function puts(changes: readonly Change[]): Binding[] {
  return changes.flatMap((change) => (change.kind === "put" ? [change.binding] : []));
}
