/**
 * Builds what is shipped, `npm run build`: dist/frontdesk, one binary for this platform,
 * dist/frontdesk.mjs, one file for any Node.js from 18 on, and dist/frontdesk-guest.mjs, the same
 * with the guest's tools alone. Prints their sizes.
 */

import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { deflateRawSync, inflateRawSync } from "node:zlib";
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
  // What a command imports when it runs is read when it runs: 10 ms of a start that were 21.
  "--splitting",
  "--format=esm",
  // A program that serves tenants reads no settings from the folder it is started in.
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
];
const MODULE = ["--target=node", "--format=esm"];

/** As CommonJS, because that loads what a command needs when it needs it: 10 ms of each `get`. */
const GUEST = ["--target=node", "--format=cjs", "--minify", "--external=*/heavy.ts"];
const GUEST_ENTRY = join("src", "guest", "main.ts");
/**
 * What is seldom called lies in it deflated, unpacked and compiled when it is called. In one piece
 * and as plain text the file has 175 KB, over the limit below, and each `get` would read it all.
 */
const HEAVY = ["--target=node", "--format=cjs", "--minify"];
const HEAVY_ENTRY = join("src", "guest", "commands", "heavy.ts");
/** Parts of a file; they are gone when it is made. */
const PARTS = { light: ".guest-light.cjs", heavy: ".guest-heavy.cjs" };
/** It is loaded for every `get`: what it weighs is paid each time. Bytes. */
const GUEST_BYTES_MAX = 150_000;

/** Builds all; answers what went wrong, or nothing. */
export function build() {
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  return (
    buildOne("frontdesk", BINARY) ??
    buildOne("frontdesk.mjs", MODULE) ??
    buildOne(PARTS.light, GUEST, GUEST_ENTRY) ??
    buildOne(PARTS.heavy, HEAVY, HEAVY_ENTRY) ??
    wrapGuest() ??
    checkModule("frontdesk.mjs") ??
    checkModule("frontdesk-guest.mjs") ??
    checkGuest()
  );
}

function buildOne(name, flags, entry = ENTRY) {
  // Written beside and renamed: a program that runs from dist keeps its file.
  const temporary = join("dist", `.${process.pid}.${name}`);
  const { ok, out } = capture(BUN, [
    "build",
    entry,
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
  if (!Object.values(PARTS).includes(name)) reportSize(name);
  return undefined;
}

function reportSize(name) {
  const { size } = statSync(join(ROOT, "dist", name));
  const mib = size / 2 ** 20;
  console.log(
    `build: dist/${name} ${mib < 1 ? `${Math.ceil(size / 1024)} KiB` : `${mib.toFixed(1)} MiB`}`,
  );
}

/** Node.js knows no `bun:` module, and resolves imports when it loads a file, used or not. */
function checkModule(name) {
  const text = readFileSync(join(ROOT, "dist", name), "utf8");
  const found = /(?:from|import|import\(|require\()\s*["'](bun(?::[a-z]+)?)["']/.exec(text);
  return found === null ? undefined : `dist/${name} imports ${found[1]}`;
}

/** Both parts in one file, in the shell of a module, so that it runs under its name. */
function wrapGuest() {
  const read = (name) => {
    const text = readFileSync(join(ROOT, "dist", name), "utf8");
    rmSync(join(ROOT, "dist", name));
    const lazy = text
      .replace(/^#!.*\n/, "")
      .replaceAll('import("node:', 'load("node:')
      .trim();
    // One character beyond ASCII doubles the text in memory, and what reading it costs.
    const asAscii = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
    return lazy.replace(/[^\x00-\x7f]/g, asAscii);
  };
  const [light, heavy] = [read(PARTS.light), read(PARTS.heavy)];
  if (!light.includes('import("./heavy.ts")')) return "the guest's table names no heavy commands";
  const parts = [
    "#!/usr/bin/env node",
    "// Frontdesk's tools for guests, made by `npm run build` from src/guest/. HEAVY is the code of",
    "// src/guest/commands/heavy.ts, deflated: it is compiled when one of its commands is called.",
    // The first is there from Node.js 20.16 on, and spares loading a module.
    "const require=process.getBuiltinModule??" +
      '(await import("node:module")).createRequire(import.meta.url),' +
      "load=async(name)=>require(name),heavy=async()=>{const module={exports:{}};" +
      'new Function("require","load","module","exports",' +
      'require("node:zlib").inflateRawSync(Buffer.from(HEAVY,"base64")).toString())' +
      "(require,load,module,module.exports);return module.exports};",
    `const HEAVY="${deflateRawSync(heavy, { level: 9 }).toString("base64")}";`,
    light.replaceAll('import("./heavy.ts")', "heavy()"),
  ];
  const temporary = join(ROOT, "dist", `.${process.pid}.frontdesk-guest.mjs`);
  writeFileSync(temporary, `${parts.join("\n")}\n`, { mode: 0o755 });
  renameSync(temporary, join(ROOT, "dist", "frontdesk-guest.mjs"));
  reportSize("frontdesk-guest.mjs");
  return undefined;
}

/** The guest's tools are small, and need nothing beside them. */
function checkGuest() {
  const path = join(ROOT, "dist", "frontdesk-guest.mjs");
  const { size } = statSync(path);
  if (size > GUEST_BYTES_MAX)
    return `dist/frontdesk-guest.mjs has ${size} bytes, over ${GUEST_BYTES_MAX}`;
  const text = readFileSync(path, "utf8").replace(/(?<=const HEAVY=")[^"]*/, (packed) =>
    inflateRawSync(Buffer.from(packed, "base64")).toString(),
  );
  const imports = text.matchAll(/(?:from|import\(|require\(|load\()\s*"([\w@:./-]+)"/g);
  const foreign = [...imports].map(([, name]) => name).find((name) => !name.startsWith("node:"));
  return foreign === undefined ? undefined : `dist/frontdesk-guest.mjs imports ${foreign}`;
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
