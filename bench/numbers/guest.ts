/**
 * What the guest's tools cost a guest: the size of the small file, and how much longer a `get`
 * takes than a Node.js that does nothing.
 *
 * Programs take turns, so that noise hits all of them, and CPU time is counted, of the program and
 * nothing else: the time on the clock is the machine's and its other users' as well.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Bench } from "../bench.ts";
import { median } from "../stats.ts";

const BUNDLE = join(import.meta.dirname, "../../dist/frontdesk-guest.mjs");
/** Runs in one turn: the shell that counts them does so in hundredths of a second. */
const RUNS = 10;
const TURNS_EACH_ROUND = 3;

export interface GuestFigures {
  readonly bytes: number;
  /** CPU of `node -e 0`. ms. */
  readonly nothingMs: number;
  /** CPU above that, of a `get` from a service, and of one from the local cache. ms. */
  readonly getMs: number;
  readonly cachedMs: number;
}

export async function measureGuest(bench: Bench): Promise<GuestFigures> {
  await using service = await serve();
  const file = join(bench.directory, "metadata.json");
  const guest = ["node", BUNDLE];
  const asked = ["--endpoint", service.url];
  await cpuMs([...guest, "cache", "--output", file, ...asked], 1);
  const programs = {
    nothing: ["node", "-e", "0"],
    get: [...guest, "get", "local-hostname", ...asked],
    cached: [...guest, "get", "local-hostname", "--cache-file", file],
  };
  const above = { get: [] as number[], cached: [] as number[] };
  const nothing: number[] = [];
  const turns = bench.scale.rounds * TURNS_EACH_ROUND;
  for (let turn = 1; turn <= turns; turn++) {
    bench.say(`guest's tools: turn ${turn} of ${turns}`);
    const base = await cpuMs(programs.nothing, RUNS);
    nothing.push(base);
    above.get.push((await cpuMs(programs.get, RUNS)) - base);
    above.cached.push((await cpuMs(programs.cached, RUNS)) - base);
  }
  return {
    bytes: statSync(BUNDLE).size,
    nothingMs: median(nothing) ?? Number.NaN,
    getMs: median(above.get) ?? Number.NaN,
    cachedMs: median(above.cached) ?? Number.NaN,
  };
}

/** CPU time of one run, the mean of several. The shell's `times` has that of its children. */
async function cpuMs(argv: readonly string[], runs: number): Promise<number> {
  const script = `i=0; while [ $i -lt ${runs} ]; do "$@" >&2 || exit 9; i=$((i + 1)); done; times`;
  const child = spawn("sh", ["-c", script, "sh", ...argv], { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${argv.join(" ")} failed`);
  // The second line is the children's: user and system time, as 0m1.230s.
  const times = [...(text.trim().split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
  const seconds = times.reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0);
  return (seconds * 1000) / runs;
}

/** A service with what a boot needs, in this process: its CPU time is not the program's. */
async function serve(): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    const isListing = request.url === "/latest/meta-data/";
    const body = isListing ? "instance-id\nlocal-hostname\n" : "web-01";
    response.writeHead(request.method === "GET" ? 200 : 405).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}
