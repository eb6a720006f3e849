/**
 * What one request costs the server: CPU time of its processes, divided by the requests that were
 * answered. Four ways of asking, and the time that a guest waits when 500 connections ask at once.
 */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench, Served } from "../bench.ts";
import { LARGE_BYTES } from "../lab.ts";
import { errorsOf, type LoadResult, runLoad } from "../load/load.ts";

const CONNECTIONS = 64;
const CROWD_CONNECTIONS = 500;
/** Until the server has closed what the last measurement left open. */
const SETTLE_MS = 300;

export interface RequestFigures {
  /** One connection for each request; it says `Connection: close`, and the server closes. */
  readonly closeUs: number;
  /** One connection for each request; the guest closes, as curl and cloud-init do. */
  readonly guestUs: number;
  /** Connections that are kept. */
  readonly keepUs: number;
  /** A body of 16 KiB, one connection for each request. */
  readonly largeUs: number;
  readonly crowdP50Ms: number;
  readonly crowdP99Ms: number;
  readonly errors: number;
}

interface Asking {
  readonly style: "close" | "guest" | "keep";
  readonly connections: number;
  readonly requests: number;
  readonly sources: string;
  readonly paths: string;
}

export async function measureRequests(bench: Bench, served: Served): Promise<RequestFigures> {
  const { scale, files } = bench;
  const paths = served.peer.fixed ? files.fixed : files.paths;
  const base = { connections: CONNECTIONS, sources: files.asking, paths };
  const large = { ...base, sources: files.largeAsking, paths: largePaths(bench, served) };
  let errors = 0;
  const ask = async (asking: Asking): Promise<{ us: number; result: LoadResult }> => {
    await sleep(SETTLE_MS);
    const before = served.running.cpuUs();
    const result = await runLoad(bench.tools.load, argumentsFor(served.port, asking));
    await sleep(SETTLE_MS);
    errors += result.errors;
    if (result.errors > 0) bench.say(`  ${asking.style}: errors: ${errorsOf(result)}`);
    return { us: (served.running.cpuUs() - before) / result.requests, result };
  };
  const warmUp = scale.warmUp / 2;
  await ask({ ...base, style: "close", requests: warmUp });
  await ask({ ...base, style: "keep", requests: warmUp });
  const close = await ask({ ...base, style: "close", requests: scale.perConnection });
  const guest = await ask({ ...base, style: "guest", requests: scale.perConnection });
  const keep = await ask({ ...base, style: "keep", requests: scale.keptAlive });
  const body = await ask({ ...large, style: "close", requests: scale.large });
  const crowd = await ask({
    ...base,
    style: "close",
    connections: CROWD_CONNECTIONS,
    requests: scale.crowd,
  });
  return {
    closeUs: close.us,
    guestUs: guest.us,
    keepUs: keep.us,
    largeUs: body.us,
    crowdP50Ms: crowd.result.ms.p50,
    crowdP99Ms: crowd.result.ms.p99,
    errors,
  };
}

function argumentsFor(port: number, asking: Asking): string[] {
  return [
    ...["--port", String(port), "--sources", asking.sources, "--paths", asking.paths],
    ...["--style", asking.style, "--connections", String(asking.connections)],
    ...["--requests", String(asking.requests)],
  ];
}

function largePaths(bench: Bench, { peer }: Served): string {
  const path = join(bench.directory, `large-paths-${peer.name}`);
  writeFileSync(path, `${peer.largePath ?? "/latest/user-data"}\t#\t${LARGE_BYTES}\n`);
  return path;
}
