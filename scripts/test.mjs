/**
 * Everything that guards behaviour: `npm test`, at most 15 minutes on 2 cores. `npm run test:long`
 * (`--long`) adds the files `test/long/*.long.ts` and sets FRONTDESK_LONG=1, by which property
 * tests do more rounds. Other arguments go to the test runner: `npm test -- src/protocol`.
 *
 * Sets up what is missing, builds dist/, then lint, types and tests. The last line is
 * `N passed, N failed, N skipped`, from the runner's own report; a failed step counts as one
 * failure, and a run without any test is a failed run.
 */

import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "./build.mjs";
import { ROOT, run, wasInterrupted } from "./run.mjs";
import { setUp } from "./setup.mjs";

const LONG = process.argv.includes("--long");
const FILTERS = process.argv.slice(2).filter((argument) => argument !== "--long");

/** One test that starts real programs may take so long; one in memory takes milliseconds. */
const TEST_TIMEOUT_MS = LONG ? 3_600_000 : 60_000;
/** A run that hangs must end. The quick tier is to stay under half of it. */
const RUN_SECONDS_MAX = LONG ? 6 * 3600 : 1800;
const STEP_SECONDS_MAX = 300;

const bin = (name) => join("node_modules", ".bin", name);

/** What failed beside the tests, one line each. */
const failures = [];

async function step(name, work) {
  if (wasInterrupted()) return false;
  console.log(`\n== ${name}`);
  const started = performance.now();
  const why = await work();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`== ${name}: ${why ?? "done"} (${seconds} s)`);
  if (why !== undefined) failures.push(`${name}: ${why}`);
  return why === undefined;
}

async function runStep(command, args) {
  const { ok, why } = await run(command, args, { secondsMax: STEP_SECONDS_MAX });
  return ok ? undefined : why;
}

/**
 * Tests that wait more than they work, for time-outs of real clients, each in namespaces of its own:
 * they run beside the others, and a third of the time is saved.
 */
const BESIDE = [/^test\/guest\//, /^test\/e2e\/(bridge|firewall)/];

/** The files of the two runs that go side by side; one where the caller has chosen. */
function testRuns() {
  if (FILTERS.length > 0) return [FILTERS];
  const folders = ["src", "test", "bench"].filter((folder) => existsSync(join(ROOT, folder)));
  const all = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => join(folder, name).replaceAll("\\", "/")),
  );
  const isBeside = (file) => BESIDE.some((pattern) => pattern.test(file));
  const beside = all.filter(isBeside);
  if (beside.length === 0) return [[]];
  const here = all.filter((file) => !isBeside(file));
  return [here, beside].map((files) => files.sort().map((file) => `./${file}`));
}

/** Runs the tests in a temporary folder that is removed; answers the report's counts. */
async function runTests(files, output) {
  const folder = mkdtempSync(join(tmpdir(), "fd-"));
  const report = join(folder, "report.xml");
  const scratch = mkdtempSync(join(folder, "t-"));
  // Some tests start programs as other users, who must get as far as their own folder.
  for (const each of [folder, scratch]) chmodSync(each, 0o711);
  const args = ["test", `--timeout=${TEST_TIMEOUT_MS}`];
  args.push("--reporter=junit", `--reporter-outfile=${report}`, ...files);
  const env = { ...process.env, TMPDIR: scratch, NO_COLOR: "1" };
  if (LONG) env.FRONTDESK_LONG = "1";
  try {
    const { why } = await run(bin("bun"), args, { secondsMax: RUN_SECONDS_MAX, env, output });
    return { ...readReport(report), why };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function longFiles() {
  const folder = join("test", "long");
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith(".long.ts"))
    .map((name) => `./${join(folder, name)}`)
    .filter((path) => FILTERS.length === 0 || FILTERS.some((part) => path.includes(part)));
}

/** A step for runs of the runner side by side; adds their counts to `total`. */
function testStep(name, runs, total) {
  return step(name, async () => {
    const whys = await Promise.all(
      runs.map(async (files, index) => {
        if (index === 0) return counted(await runTests(files), total);
        // What this one says comes when both have ended, so that lines do not mix.
        const said = join(mkdtempSync(join(tmpdir(), "fd-")), "output");
        const file = openSync(said, "w");
        try {
          return counted(await runTests(files, file), total);
        } finally {
          closeSync(file);
          process.once("exit", () => rmSync(dirname(said), { recursive: true, force: true }));
          outputs.push(said);
        }
      }),
    );
    for (const said of outputs.splice(0)) process.stdout.write(readFileSync(said));
    return whys.find((why) => why !== undefined);
  });
}

/** What runs have said that were not on the terminal. */
const outputs = [];

function counted({ why, ...counts }, total) {
  for (const key of ["passed", "failed", "skipped"]) total[key] += counts[key];
  total.failedNames.push(...counts.failedNames);
  total.skippedNames.push(...counts.skippedNames);
  if (wasInterrupted()) return why;
  if (counts.passed + counts.failed === 0) return "no test was run";
  // The runner may fail for more than a test: an error between two, a crash, its time.
  return why === "" || counts.failed > 0 ? undefined : why;
}

function readReport(path) {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch {} // The runner died before it wrote one.
  const head = /<testsuites [^>]*>/.exec(text)?.[0] ?? "";
  const count = (name) => Number(new RegExp(` ${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = count("failures") + count("errors");
  const skipped = count("skipped");
  const withOutcome = (outcome) =>
    [...text.matchAll(/<testcase name="([^"]*)"[^>]*file="([^"]*)"[^>]*[^/]>\s*<(\w+)/g)]
      .filter(([, , , found]) => outcome.test(found))
      .map(([, name, file]) => `${file}: ${unescapeXml(name)}`);
  return {
    passed: count("tests") - failed - skipped,
    failed,
    skipped,
    failedNames: withOutcome(/^(failure|error)$/),
    skippedNames: withOutcome(/^skipped$/),
  };
}

function unescapeXml(text) {
  const entities = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name) => entities[name]);
}

async function main() {
  const total = { passed: 0, failed: 0, skipped: 0, failedNames: [], skippedNames: [] };
  const ready = await step("set-up", async () => ((await setUp()) ? undefined : "see above"));
  if (ready) {
    await step("build", async () => build());
    await step("lint", () => runStep(bin("biome"), ["check", "--error-on-warnings", "."]));
    await step("types", () => runStep(bin("tsc"), ["--noEmit"]));
    await testStep("tests", testRuns(), total);
    const long = LONG ? longFiles() : [];
    if (long.length > 0) await testStep("long tests", [long], total);
  }
  for (const name of total.skippedNames) console.log(`skipped: ${name}`);
  for (const name of total.failedNames) console.log(`FAILED: ${name}`);
  for (const failure of failures) console.log(`FAILED: ${failure.split("\n")[0]}`);
  const failed = total.failed + failures.length;
  process.exitCode = failed === 0 ? 0 : 1;
  console.log(`${total.passed} passed, ${failed} failed, ${total.skipped} skipped`);
}

await main();
