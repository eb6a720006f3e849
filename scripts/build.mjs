/**
 * Builds what is shipped, `npm run build`: dist/frontdesk, one binary for this platform, and
 * dist/frontdesk.mjs, one file for any Node.js from 18 on. Prints their sizes.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { capture, ROOT } from "./run.mjs";
import { installPinned } from "./setup.mjs";

const BUN = join(ROOT, "node_modules", ".bin", "bun");
const ENTRY = join("src", "cli", "main.ts");

/** Names stay, so that errors and traces can be read; they cost 1 % of the size. */
const SMALL = ["--minify-syntax", "--minify-whitespace", "--sourcemap=none"];

const BINARY = [
  "--compile",
  // Compiled ahead: 4 MiB more, and a program with all its libraries starts in 26 ms, not 70.
  "--bytecode",
  "--format=esm",
  // A program that serves tenants reads no settings from the folder it is started in.
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
];
const MODULE = ["--target=node", "--format=esm"];

/** Builds both; answers what went wrong, or nothing. */
export function build() {
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  return buildOne("frontdesk", BINARY) ?? buildOne("frontdesk.mjs", MODULE) ?? checkModule();
}

function buildOne(name, flags) {
  // Written beside and renamed: a program that runs from dist keeps its file.
  const temporary = join("dist", `.${process.pid}.${name}`);
  const { ok, out } = capture(BUN, [
    "build",
    ENTRY,
    ...flags,
    ...SMALL,
    "--define",
    `FRONTDESK_VERSION=${JSON.stringify(version())}`,
    "--define",
    `FRONTDESK_COMMIT=${JSON.stringify(commit())}`,
    `--outfile=${temporary}`,
  ]);
  if (!ok) {
    rmSync(join(ROOT, temporary), { force: true });
    return `bun build of dist/${name} failed:\n${out}`;
  }
  renameSync(join(ROOT, temporary), join(ROOT, "dist", name));
  const { size } = statSync(join(ROOT, "dist", name));
  console.log(`build: dist/${name} ${(size / 2 ** 20).toFixed(1)} MiB`);
  return undefined;
}

/** Node.js knows no `bun:` module, and resolves imports when it loads a file, used or not. */
function checkModule() {
  const text = readFileSync(join(ROOT, "dist", "frontdesk.mjs"), "utf8");
  const found = /(?:from|import|import\(|require\()\s*["'](bun(?::[a-z]+)?)["']/.exec(text);
  return found === null ? undefined : `dist/frontdesk.mjs imports ${found[1]}`;
}

function version() {
  return JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).version;
}

/** The commit this is built from; empty outside a git checkout. */
function commit() {
  if (!existsSync(join(ROOT, ".git"))) return "";
  const { ok, stdout } = capture("git", ["describe", "--always", "--dirty", "--exclude=*"]);
  return ok ? stdout : "";
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const pinned = await installPinned();
  const failure = pinned.ok ? build() : pinned.what;
  if (failure !== undefined) {
    console.error(`build: ${failure}`);
    process.exitCode = 1;
  }
}
