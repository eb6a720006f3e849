/**
 * The firewall's table in the kernel: what is there, and what makes it what it should be.
 *
 * One transaction each time, and none where nothing is to be done. A table whose rules are right
 * keeps them, with their counters and what they know of connections: then only leases change.
 */

import { ExecError } from "../../model/errors.ts";
import { type Exec, exec as realExec } from "../../platform/exec.ts";
import { elementLines, type LeaseSet } from "./lease-sets.ts";
import type { Ruleset } from "./render.ts";
import { DROPS, type Drop, TABLE } from "./text.ts";

/** 100,000 leases take 3 s. ms. */
const NFT_MS_MAX = 30_000;
/** Bytes of a table as JSON. 100,000 leases are 20 MiB. */
const NFT_BYTES_MAX = 64 << 20;

/** What of our table is in the kernel. */
export interface Present {
  /** Absent where the table has no comment of ours. */
  readonly digest?: string;
  readonly rules: ReadonlyMap<string, number>;
  readonly leases: ReadonlyMap<string, ReadonlySet<string>>;
  /** Packets that were dropped since the table was made. */
  readonly drops: Readonly<Record<Drop, number>>;
}

/** What `apply` did, or would do. */
export type Outcome = "unchanged" | "leases" | "replaced";

export interface Plan {
  readonly outcome: Outcome;
  /** What nft is given; empty where nothing is to be done. */
  readonly text: string;
}

/** What was learnt is the running router's affair. */
const SETS: readonly LeaseSet[] = ["leased4", "leased6", "pairs4", "pairs6"];

/** What makes the table that is there the one that is wanted. Pure. */
export function planTable(present: Present | undefined, wanted: Ruleset): Plan {
  const isOurs = hasRules(present, wanted) && SETS.every((set) => present.leases.has(set));
  if (!isOurs) return { outcome: "replaced", text: wanted.text };
  const lines = SETS.flatMap((set) => {
    const has = present.leases.get(set) ?? new Set();
    const wants = wanted.leases[set];
    return [
      ...elementLines(
        "delete",
        set,
        [...has].filter((element) => !wants.has(element)),
      ),
      ...elementLines(
        "add",
        set,
        [...wants].filter((element) => !has.has(element)),
      ),
    ];
  });
  if (lines.length === 0) return { outcome: "unchanged", text: "" };
  return { outcome: "leases", text: `${lines.join("\n")}\n` };
}

/** Whether the table that is there was made of the same settings, and has all its rules. */
export function hasRules(
  present: Present | undefined,
  wanted: Pick<Ruleset, "digest" | "rules">,
): present is Present {
  const rules = (of: ReadonlyMap<string, number>): string => JSON.stringify([...of].sort());
  return (
    present !== undefined &&
    present.digest === wanted.digest &&
    rules(present.rules) === rules(wanted.rules)
  );
}

/**
 * Reads our table; `terse` leaves the leases out, of which there may be thousands.
 *
 * @returns `undefined` where there is none.
 * @throws {ExecError} if nft cannot be asked.
 */
export async function readTable(
  exec: Exec = realExec,
  { terse = false } = {},
): Promise<Present | undefined> {
  const tables = await nft(["list", "tables"], exec);
  if (!tables.split("\n").includes(`table ${TABLE}`)) return undefined;
  const text = await nft(["-t", "list", "table", ...TABLE.split(" ")], exec);
  const listed = terse ? undefined : await nft(["-j", "list", "table", ...TABLE.split(" ")], exec);
  return { ...parseText(text), leases: listed === undefined ? new Map() : parseLeases(listed) };
}

/** @throws {ExecError} if nft cannot be asked, or refuses. */
export async function applyRuleset(wanted: Ruleset, exec: Exec = realExec): Promise<Plan> {
  const plan = planTable(await readTable(exec), wanted);
  if (plan.text !== "") await nft(["-f", "-"], exec, plan.text);
  return plan;
}

/** @returns whether there was a table. @throws {ExecError} if nft cannot be asked. */
export async function removeTable(exec: Exec = realExec): Promise<boolean> {
  const tables = await nft(["list", "tables"], exec);
  if (!tables.split("\n").includes(`table ${TABLE}`)) return false;
  await nft(["delete", "table", ...TABLE.split(" ")], exec);
  return true;
}

/** Runs nft. @returns what it says. @throws {ExecError} with its words where it refuses. */
export async function nft(args: readonly string[], exec: Exec, input = ""): Promise<string> {
  const { code, stdout, stderr } = await exec(["nft", ...args], {
    ...{ input, timeoutMs: NFT_MS_MAX, outputBytesMax: NFT_BYTES_MAX },
  }).catch((error: unknown) => {
    if (!(error instanceof ExecError) || error.code !== "PROGRAM_MISSING") throw error;
    throw new ExecError(error.code, "nft is not there: install the package nftables");
  });
  if (code === 0) return stdout;
  const [first = ""] = stderr.split("\n");
  throw new ExecError("PROGRAM_FAILED", `nft: ${first || `ended with ${code}`}`);
}

/** The table as people read it, without the elements of its sets. */
function parseText(text: string): Omit<Present, "leases"> {
  const digest = /^\tcomment "frontdesk ([0-9a-f]+)"$/m.exec(text)?.[1];
  const rules = new Map<string, number>();
  for (const [, name = "", body = ""] of text.matchAll(
    /^\tchain (\w+) \{\n((?:\t\t.*\n)*)\t\}$/gm,
  )) {
    const lines = body.split("\n").filter((line) => line !== "" && !line.startsWith("\t\ttype "));
    rules.set(name, lines.length);
  }
  return { rules, drops: parseDrops(text), ...(digest !== undefined && { digest }) };
}

function parseDrops(text: string): Readonly<Record<Drop, number>> {
  const packets = (comment: string): number => {
    const lines = text.split("\n").filter((line) => line.endsWith(`comment "${comment}"`));
    return lines.reduce((sum, line) => sum + Number(/packets (\d+)/.exec(line)?.[1] ?? 0), 0);
  };
  const counts = Object.entries(DROPS).map(([why, comment]) => [why, packets(comment)]);
  return Object.fromEntries(counts) as Record<Drop, number>;
}

interface Listed {
  readonly set?: { readonly name: string; readonly elem?: readonly unknown[] };
}

function parseLeases(json: string): ReadonlyMap<string, ReadonlySet<string>> {
  const { nftables } = JSON.parse(json) as { nftables: readonly Listed[] };
  return new Map(
    nftables.flatMap(({ set }) =>
      set !== undefined && (SETS as readonly string[]).includes(set.name)
        ? [[set.name, new Set((set.elem ?? []).map(elementText))]]
        : [],
    ),
  );
}

/** `"10.1.1.5"`, `{concat: ["10.1.1.5", "02:…"]}`, either perhaps within `{elem: {val}}`. */
function elementText(element: unknown): string {
  if (typeof element !== "object" || element === null) return String(element);
  const { elem, concat } = element as { elem?: { val?: unknown }; concat?: readonly unknown[] };
  if (elem?.val !== undefined) return elementText(elem.val);
  return (concat ?? []).map(String).join(" . ");
}
