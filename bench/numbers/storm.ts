/**
 * A boot storm: 1,000 guests, each with the 16 requests of a boot one after another, a connection
 * for each, while the server has one core. Ten waves of 100 guests within ten seconds, as a
 * roll-out starts them; and, harder than promised, all at the same instant.
 */

import { ASKING, type Bench, type Served } from "../bench.ts";
import { errorsOf, type LoadResult, runLoad } from "../load/load.ts";

const WAVES = 10;
const WINDOW_MS = 10_000;

export interface StormFigures {
  readonly errors: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const figures = ({ errors, ms }: LoadResult): StormFigures => ({
  errors,
  p50Ms: ms.p50,
  p99Ms: ms.p99,
  maxMs: ms.max,
});

export async function measureStorm(
  bench: Bench,
  served: Served,
  kind: "waves" | "at once",
): Promise<StormFigures> {
  const { files, tools } = bench;
  const result = await runLoad(tools.load, [
    ...["--port", String(served.port), "--sources", files.asking, "--style", "guest"],
    ...["--paths", served.peer.fixed ? files.fixed : files.paths],
    ...["--storm", String(ASKING)],
    ...["--waves", String(kind === "waves" ? WAVES : 1)],
    ...["--window-ms", String(WINDOW_MS)],
  ]);
  if (result.errors > 0) bench.say(`  storm, ${kind}: errors: ${errorsOf(result)}`);
  return figures(result);
}
