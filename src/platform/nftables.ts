/**
 * Runs `nft`: loads a script in one transaction, lists a table.
 *
 * Versions of nft print one ruleset in several ways. So what a script means is asked of the nft
 * that is installed: `rehearse` loads it in a network namespace of its own, which ends at once.
 */

import { ExecError } from "../model/errors.ts";
import type { Exec, Executed } from "./exec.ts";

/** A table's family and name, as nft takes them: two words. */
export type TableName = readonly [family: "inet" | "ip" | "ip6" | "bridge", name: string];

/** Loads stdin and lists the table, in a shell, because both must be in one namespace. */
const REHEARSAL = 'nft -f - && exec nft -s list table "$0" "$1"';

/** What `missing` says where there is no such program. */
export const NFT_ABSENT = "nft is not installed";

export interface Nft {
  /** Why nft cannot be used; `undefined` if it can. */
  missing(): Promise<string | undefined>;
  /** All tables, `inet filter`. */
  tables(): Promise<readonly string[]>;
  /** A table without its counters; `undefined` if it is not there. */
  list(table: TableName): Promise<string | undefined>;
  /** The same as JSON (see libnftables-json(5)), handles included. */
  listJson(table: TableName): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** What `list` would answer if only `script` were loaded. Touches nothing. */
  rehearse(script: string, table: TableName): Promise<string>;
  /** Loads a script: all of it, or nothing. @throws {ExecError} with nft's own words. */
  load(script: string): Promise<void>;
}

export function openNft(exec: Exec): Nft {
  return {
    async missing() {
      try {
        const done = await exec(["nft", "list", "tables"]);
        return done.code === 0 ? undefined : `nft does not work: ${firstLine(done.stderr)}`;
      } catch (error) {
        if (error instanceof ExecError) return NFT_ABSENT;
        throw error;
      }
    },
    async tables() {
      const { stdout } = must("nft", await exec(["nft", "list", "tables"]));
      return stdout.split("\n").flatMap((line) => /^table (\S+ \S+)$/.exec(line)?.[1] ?? []);
    },
    async list(table) {
      const done = await exec(["nft", "-s", "list", "table", ...table]);
      return done.code === 0 ? done.stdout : undefined;
    },
    async listJson(table) {
      const { stdout } = must("nft", await exec(["nft", "-j", "list", "table", ...table]));
      return (JSON.parse(stdout) as { nftables: Record<string, unknown>[] }).nftables;
    },
    async rehearse(script, table) {
      const argv = ["unshare", "--net", "sh", "-c", REHEARSAL, ...table];
      return must("nft", await exec(argv, { input: script })).stdout;
    },
    async load(script) {
      must("nft", await exec(["nft", "-f", "-"], { input: script }));
    },
  };
}

/** @throws {ExecError} with the program's first line, unless it was content. */
export function must(program: string, done: Executed): Executed {
  if (done.code === 0) return done;
  const words = firstLine(done.stderr) || `exit code ${done.code}`;
  throw new ExecError("PROGRAM_FAILED", `${program} refused: ${words}`);
}

export function firstLine(text: string): string {
  return text.trim().split("\n")[0]?.trim() ?? "";
}
