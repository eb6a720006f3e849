#!/usr/bin/env node
/**
 * The guest's tools as a program of their own: one small file for any Node.js from 18 on, or Bun.
 */

import { GUEST_COMMANDS } from "./commands/index.ts";
import { runGuest } from "./program.ts";
import { endSoon } from "./system.ts";

declare const FRONTDESK_VERSION: string | undefined;

// A reader that has seen enough (`… | head`) is no failure of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const { bun, node } = process.versions;
const version = typeof FRONTDESK_VERSION === "string" ? FRONTDESK_VERSION : "from source";
const runtime = bun === undefined ? `Node.js ${node}` : `Bun ${bun}`;

process.exitCode = await runGuest(process.argv.slice(2), {
  name: "frontdesk-guest",
  versionLine: `frontdesk-guest ${version} on ${runtime}`,
  entries: GUEST_COMMANDS,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
});
endSoon();
