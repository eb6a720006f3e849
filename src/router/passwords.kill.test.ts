/**
 * Goal: no SIGKILL, at whatever moment, loses a password or brings back an acknowledged one.
 * Method: a real program with guests that get and acknowledge passwords is killed again and again;
 * what the next one remembers is compared with what the last one had promised.
 */

import { afterAll, expect, test } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { scratch } from "../../test/state/samples.ts";

const KEEPER = join(import.meta.dir, "../../test/state/keeper.ts");
const GUESTS = 20;
/** How long a program lives after it is ready. ms. */
const LIFE_MS_MAX = 60;
const TEST_MS_MAX = 120_000;

const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** How far a guest's password number has come. */
interface Guest {
  number: number;
  step: "offer" | "offered" | "acknowledge" | "acknowledged";
  /** What was pending before the offer: an acknowledgement may have been cut off. */
  before: string;
}

/** What may be pending after the program was killed. */
function possible(guest: number, { number, step, before }: Guest): readonly string[] {
  const own = `pw-${guest}-${number}`;
  if (step === "offered") return [own];
  if (step === "acknowledged") return ["-"];
  return [own, step === "offer" ? before : "-"];
}

/** Lets a program live for a while. Answers what it has done, and how often. */
async function life(
  command: readonly string[],
  dir: string,
  guests: Guest[],
  round: number,
): Promise<number> {
  const [program = "", ...args] = command;
  const child = spawn(program, [...args, dir, String(GUESTS)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  children.add(child);
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const known = guests.map(({ number, step }, guest) => {
    return { guest, number, isDone: step === "acknowledged" && number > 0 };
  });
  child.stdin.end(JSON.stringify(known));
  let promises = 0;
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => {
    if (line === "ready") setTimeout(() => child.kill("SIGKILL"), Math.random() * LIFE_MS_MAX);
    const [what = "", guest = "", which = ""] = line.split(" ");
    const of = guests[Number(guest)];
    if (of === undefined) return;
    if (what === "pending") {
      const allowed = possible(Number(guest), of);
      expect({ round, guest, of, pending: allowed.includes(which) ? which : "wrong" }).toEqual({
        round,
        guest,
        of,
        pending: which,
      });
      of.before = which;
    } else if (what === "offer" || what === "acknowledge") {
      of.step = what;
      of.number = Number(which);
    } else if (what === "offered" || what === "acknowledged") {
      of.step = what;
      if (what === "acknowledged") of.before = "-";
      promises++;
    } else if (what !== "ready") failures.push(`round ${round}: ${line}`);
  });
  await ended;
  children.delete(child);
  expect(child.signalCode).toBe("SIGKILL");
  return promises;
}

const failures: string[] = [];

async function check(command: readonly string[], rounds: number): Promise<void> {
  using folder = scratch();
  const guests = Array.from(
    { length: GUESTS },
    (): Guest => ({ number: 0, step: "acknowledged", before: "-" }),
  );
  let promises = 0;
  for (let round = 0; round < rounds; round++) {
    promises += await life(command, join(folder.path, "state"), guests, round);
    expect(failures).toEqual([]);
  }
  expect(promises).toBeGreaterThan(rounds * 5);
}

test(
  "killed a hundred times on Bun, it keeps every promise",
  () => {
    return check([process.execPath, KEEPER], 100);
  },
  TEST_MS_MAX,
);

const hasNode = spawnSync("node", ["--version"]).status === 0;
if (!hasNode) console.log("skipped: SIGKILL on Node (node is not installed)");

test.skipIf(!hasNode)(
  "killed twenty times on Node, it keeps every promise",
  async () => {
    using folder = scratch();
    const outdir = folder.path;
    const naming = "[name].mjs";
    const built = await Bun.build({ entrypoints: [KEEPER], target: "node", outdir, naming });
    expect(built.success).toBe(true);
    await check(["node", join(outdir, "keeper.mjs")], 20);
  },
  TEST_MS_MAX,
);
