/**
 * Permanent neighbours for leased addresses: what the router sends to an address goes to the owner
 * of its lease, whoever claims it by ARP or neighbour advertisement.
 *
 * The rows carry a protocol number of ours, so that they are known again after a crash, and
 * nobody else's are ever changed.
 */

import type { Ip, Mac } from "../model/address.ts";
import { ExecError } from "../model/errors.ts";
import { type StartLines, startLines } from "./lines.ts";
import { type NeighbourLine, parseNeighbour } from "./neighbour-table.ts";

/** Marks our rows: routing protocols have the numbers below 200. */
export const PIN_PROTOCOL = "205";
/** For 100,000 rows `ip -batch` takes 2 s. ms. */
const RUN_MS_MAX = 30_000;
/** What `ip -batch` takes as one word. */
const DEVICE = /^[A-Za-z0-9_.:@+-]{1,15}$/;

/** What `ip -batch` says of a row that is gone already, as when the link went down. */
const GONE = /No such file or directory|Neighbour entry not found|^Command failed -:\d+$/;

const BATCH = ["ip", "-o", "-force", "-batch", "-"];

export interface Pin {
  readonly address: Ip;
  readonly device: string;
  readonly mac: Mac;
}

export interface PinPlan {
  /** Lines for `ip -batch`. */
  readonly commands: readonly string[];
  /** Addresses that someone else has made permanent: they stay as they are. */
  readonly foreign: readonly Ip[];
}

/**
 * What makes the rows that are there those that are wanted: none where they are already.
 *
 * @param present the kernel's table, or the part of it that may have to change
 */
export function planPins(present: Iterable<NeighbourLine>, wanted: Iterable<Pin>): PinPlan {
  const missing = new Map<string, Pin>();
  for (const pin of wanted) {
    if (DEVICE.test(pin.device)) missing.set(`${pin.address} ${pin.device}`, pin);
  }
  const commands: string[] = [];
  const foreign: Ip[] = [];
  for (const row of present) {
    if (!row.permanent) continue;
    const { address, device } = row;
    const key = `${address} ${device}`;
    const pin = missing.get(key);
    const isOurs = row.protocol === PIN_PROTOCOL;
    if (isOurs && pin === undefined && DEVICE.test(device)) commands.push(unpin(address, device));
    if (pin === undefined || (isOurs && row.mac !== pin.mac)) continue;
    if (!isOurs) foreign.push(address);
    missing.delete(key);
  }
  for (const { address, device, mac } of missing.values()) {
    const row = `neigh replace ${address} lladdr ${mac} dev ${device}`;
    commands.push(`${row} nud permanent protocol ${PIN_PROTOCOL}`);
  }
  return { commands, foreign };
}

function unpin(address: Ip, device: string): string {
  return `neigh del ${address} dev ${device}`;
}

/**
 * Makes our permanent rows those that are wanted; `[]` takes all of ours away.
 *
 * @returns what was done. Idempotent: the second time there is nothing to do.
 * @throws {ExecError} if the table cannot be read, or the kernel refuses a row.
 */
export async function applyPins(
  wanted: Iterable<Pin>,
  start: StartLines = startLines,
): Promise<PinPlan> {
  const present: NeighbourLine[] = [];
  const list = ["ip", "-o", "neigh", "show", "nud", "permanent"];
  await run(list, start, (line) => keep(present, line));
  return carryOut(planPins(present, wanted), start);
}

/** A row that is to be as it says; without a MAC address, there is to be none of ours. */
export interface PinChange {
  readonly address: Ip;
  readonly device: string;
  readonly mac: Mac | undefined;
}

/** As `applyPins`, for single rows: only these are read. @throws {ExecError} as that. */
export async function changePins(
  changes: readonly PinChange[],
  start: StartLines = startLines,
): Promise<PinPlan> {
  const present: NeighbourLine[] = [];
  const asked = changes.filter(({ device }) => DEVICE.test(device));
  if (asked.length === 0) return { commands: [], foreign: [] };
  const input = asked.map(({ address, device }) => `neigh get ${address} dev ${device}\n`).join("");
  await run(BATCH, start, (line) => keep(present, line), input);
  const wanted = asked.flatMap(({ mac, ...row }) => (mac === undefined ? [] : [{ ...row, mac }]));
  return carryOut(planPins(present, wanted), start);
}

function keep(rows: NeighbourLine[], line: string): void {
  const row = parseNeighbour(line);
  if (row !== undefined) rows.push(row);
}

async function carryOut(plan: PinPlan, start: StartLines): Promise<PinPlan> {
  const input = `${plan.commands.join("\n")}\n`;
  if (plan.commands.length > 0) await run(BATCH, start, () => {}, input);
  return plan;
}

async function run(
  argv: readonly string[],
  start: StartLines,
  onLine: (line: string) => void,
  input = "",
): Promise<void> {
  const program = start(argv, { onLine, input });
  const stuck = setTimeout(() => program.stop(), RUN_MS_MAX);
  try {
    const { code, complaint } = await program.ended;
    const isHarmless = complaint.split("; ").every((line) => GONE.test(line));
    if (code !== 0 && !isHarmless)
      throw new ExecError("PROGRAM_FAILED", `${argv.join(" ")}: ${complaint}`);
  } finally {
    clearTimeout(stuck);
  }
}
