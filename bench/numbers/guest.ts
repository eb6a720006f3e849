/**
 * What the guest's tools cost a guest: the size of the small file, and how much longer a `get`
 * takes than a Node.js that does nothing.
 *
 * Programs take turns, one run each, so that noise hits all of them, and CPU time is counted, of the
 * program and nothing else: the time on the clock is the machine's and its other users' as well.
 */

import { once } from "node:events";
import { statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Bench } from "../bench.ts";
import { median } from "../stats.ts";

const BUNDLE = join(import.meta.dirname, "../../dist/frontdesk-guest.mjs");
/** A run costs 80 ms, give or take 10 on a busy machine; the median of sixty gives or takes 2. */
const TURNS_EACH_ROUND = 30;

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
  await cpuMs([...guest, "cache", "--output", file, ...asked]);
  const programs = [
    { argv: ["node", "-e", "0"], ms: [] as number[] },
    { argv: [...guest, "get", "local-hostname", ...asked], ms: [] as number[] },
    { argv: [...guest, "get", "local-hostname", "--cache-file", file], ms: [] as number[] },
  ];
  bench.say("guest's tools");
  const turns = bench.scale.rounds * TURNS_EACH_ROUND;
  for (let turn = 0; turn < turns; turn++) {
    for (const { argv, ms } of programs) ms.push(await cpuMs(argv));
  }
  const [nothing = Number.NaN, get = Number.NaN, cached = Number.NaN] = programs.map(
    ({ ms }) => median(ms) ?? Number.NaN,
  );
  const bytes = statSync(BUNDLE).size;
  return { bytes, nothingMs: nothing, getMs: get - nothing, cachedMs: cached - nothing };
}

/** CPU time of one run, user and system. */
async function cpuMs(argv: string[]): Promise<number> {
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")} failed`);
  const usage = child.resourceUsage();
  if (usage === undefined) throw new Error("the system does not say what a program cost");
  // Microseconds.
  return Number(usage.cpuTime.total) / 1000;
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
