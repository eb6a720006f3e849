/**
 * The benchmark: every server with the same guests, side by side, in turns. `npm run bench` runs it.
 *
 * It starts nothing outside 127.0.0.0/8 and leaves nothing behind: every process is ended by its
 * id and the temporary directory is removed, also when it fails or is interrupted.
 */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type Bench,
  FULL,
  INSTANCES,
  makeSite,
  QUICK,
  type Scale,
  writeLists,
  writeSiteTree,
} from "./bench.ts";
import { goalTable } from "./goals.ts";
import { compile } from "./load/load.ts";
import { loadAverage, processor, versions, which } from "./machine.ts";
import { measureBeside } from "./numbers/beside.ts";
import { CHANGE_SIZES, measureChanges, measureStores } from "./numbers/changes.ts";
import { measureGuest } from "./numbers/guest.ts";
import { measureIdentity } from "./numbers/identity.ts";
import { measureReconcile } from "./numbers/reconcile.ts";
import { measureServers } from "./numbers/servers.ts";
import { copyBuilt } from "./peers/frontdesk.ts";
import { peers } from "./peers/index.ts";
import { endAll, pinSelf } from "./process.ts";
import {
  besideTable,
  changeTables,
  guestTable,
  identityTable,
  type Results,
  reconcileTable,
  requestTable,
  sizeTable,
  stormTable,
} from "./report.ts";

const USAGE = `usage: npm run bench -- [--quick] [--rounds N] [--only NAME,…] [--numbers KIND,…] [--write]

  --quick          two small rounds, a few minutes; otherwise five rounds
  --rounds N       so many rounds
  --only NAME,…    these servers only: ${peers.map(({ name }) => name).join(", ")}
  --numbers KIND,… these figures only: servers, changes, store, guest, identity, reconcile, beside
  --write          write the tables to bench/results.md as well
  --no-build       measure dist/ as it is
`;
const KINDS = ["servers", "changes", "store", "guest", "identity", "reconcile", "beside"];

interface Options {
  readonly scale: Scale;
  readonly quick: boolean;
  readonly only: readonly string[];
  readonly numbers: readonly string[];
  readonly write: boolean;
}

/** Undefined when only help was asked for. */

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      only: { type: "string", default: peers.map(({ name }) => name).join(",") },
      numbers: { type: "string", default: KINDS.join(",") },
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return undefined;
  }
  const base = values.quick ? QUICK : FULL;
  const rounds = values.rounds === undefined ? base.rounds : Number(values.rounds);
  const only = values.only.split(",");
  const numbers = values.numbers.split(",");
  const known = peers.map(({ name }) => name);
  const unknown = [
    ...only.filter((name) => !known.includes(name)),
    ...numbers.filter((kind) => !KINDS.includes(kind)),
    ...(Number.isInteger(rounds) && rounds > 0 ? [] : [`${values.rounds} rounds`]),
  ];
  if (unknown.length > 0) throw new Error(`not known: ${unknown.join(", ")}`);
  return { scale: { ...base, rounds }, quick: values.quick, only, numbers, write: values.write };
}

/** What the figures were measured on, and what is not in them. */
function preface(options: Options, skipped: readonly string[], loadBefore: string): string {
  const how = `${options.quick ? "quick, " : ""}${options.scale.rounds} rounds, medians`;
  return [
    `${new Date().toISOString().slice(0, 10)} · ${how}\n`,
    `${processor()} · load average ${loadBefore} before, ${loadAverage()} after\n`,
    `${versions()}\n`,
    ...skipped.map((reason) => `Skipped: ${reason}\n`),
  ]
    .map((line) => `${line}\n`)
    .join("");
}

function render(results: Results): string {
  const sections = [
    ["Requests", results.servers.length > 0 ? requestTable(results) : ""],
    ["Storm", results.servers.length > 0 ? stormTable(results) : ""],
    ["Size and start", results.servers.length > 0 ? sizeTable(results) : ""],
    ["Changes", results.changes.length > 0 ? changeTables(results) : ""],
    ["Guest's tools", guestTable(results)],
    ["Identity", identityTable(results)],
    ["Controller", reconcileTable(results)],
    ["Guests beside a controller", besideTable(results)],
    ["Promises", goalTable(results)],
  ];
  return sections
    .filter(([, text]) => text !== "")
    .map(([title, text]) => `## ${title}\n\n${text}`)
    .join("\n");
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function checkMachine(): void {
  if (process.platform !== "linux") throw new Error("this benchmark reads /proc: Linux only");
  if (which("cc") === undefined) {
    throw new Error("the load generator is C: install cc (Debian: apt-get install gcc libc6-dev)");
  }
}

async function main(options: Options, directory: string): Promise<void> {
  const loadBefore = loadAverage();
  const skipped: string[] = [];
  const skip = (reason: string): void => {
    skipped.push(reason);
    say(`skipped: ${reason}`);
  };
  if (which("taskset") === undefined) skip("pinning to CPUs: taskset is not installed");
  const wanted = peers.filter(({ name }) => options.only.includes(name));
  const ready = wanted.filter((peer) => {
    const reason = peer.missing();
    if (reason !== undefined) skip(`${peer.title}: ${reason}`);
    return reason === undefined;
  });
  pinSelf();
  const tools = compile(directory);
  const programs = { ...tools, ...copyBuilt(directory) };
  say(`making ${INSTANCES} instances`);
  const site = makeSite(directory, INSTANCES, { large: true, programs });
  if (ready.some(({ files }) => files)) writeSiteTree(site, options.scale.wholeTree);
  const bench: Bench = {
    ...{ directory, scale: options.scale, tools, site, say, skip },
    files: writeLists(directory, site.guests),
  };
  const servers = options.numbers.includes("servers") ? await measureServers(bench, ready) : [];
  const changes = [
    ...(options.numbers.includes("changes") ? await measureChanges(bench, ready) : []),
    ...(options.numbers.includes("store") ? await measureStores(bench, ready) : []),
  ];
  const guest = options.numbers.includes("guest") ? await measureGuest(bench) : undefined;
  const identity = options.numbers.includes("identity") ? measureIdentity(bench) : undefined;
  const reconcile = options.numbers.includes("reconcile")
    ? await measureReconcile(bench)
    : undefined;
  const beside = options.numbers.includes("beside") ? await measureBeside(bench) : undefined;
  const results: Results = {
    ...{ servers, changes, guest, identity, reconcile, beside },
    sizes: CHANGE_SIZES,
  };
  const text = `${preface(options, skipped, loadBefore)}${render(results)}`;
  process.stdout.write(text);
  if (options.write) {
    writeFileSync(join(import.meta.dirname, "results.md"), `# Figures of one run\n\n${text}`);
  }
}

async function inTemporaryDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "frontdesk-bench-"));
  const cleanUp = (): void => {
    endAll();
    rmSync(directory, { recursive: true, force: true });
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      cleanUp();
      process.exit(1);
    });
  }
  try {
    chmodSync(directory, 0o755); // Web servers that give up root read their files here.
    await work(directory);
  } finally {
    cleanUp();
  }
}

try {
  const options = readOptions();
  if (options !== undefined) {
    checkMachine();
    await inTemporaryDirectory((directory) => main(options, directory));
  }
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
