/**
 * Measures what we promise, `npm run bench`: sets up what is missing, builds dist/, and runs
 * bench/run.ts with the pinned Bun. Arguments go there (`npm run bench -- --quick`), but for
 * `--no-build`, which measures dist/ as it is.
 */

import { spawn } from "node:child_process";
import { join } from "node:path";
import { build } from "./build.mjs";
import { ROOT } from "./run.mjs";
import { installPinned } from "./setup.mjs";

const NO_BUILD = "--no-build";
const given = process.argv.slice(2);

/** Not `run` of run.mjs: that ends a program hard after seconds, and this one has to clean up. */
function bench(args) {
  const bun = join(ROOT, "node_modules", ".bin", "bun");
  const child = spawn(bun, [join("bench", "run.ts"), ...args], { cwd: ROOT, stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => child.kill(signal));
  }
  child.on("error", (error) => fail(error.message));
  child.on("close", (status) => {
    process.exitCode = status ?? 1;
  });
}

function fail(why) {
  console.error(`bench: ${why}`);
  process.exitCode = 1;
}

const pinned = await installPinned();
const failure = pinned.ok
  ? given.includes(NO_BUILD) || given.includes("--help")
    ? undefined
    : build()
  : pinned.what;
if (failure === undefined) bench(given.filter((argument) => argument !== NO_BUILD));
else fail(failure);
