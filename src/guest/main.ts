#!/usr/bin/env node
/**
 * The guest's tools as a program of their own: one small file for any Node.js from 18 on, or Bun.
 */

import { GUEST_COMMANDS } from "./commands/index.ts";
import { systemSinks } from "./console.ts";
import { runGuest } from "./program.ts";

declare const FRONTDESK_VERSION: string | undefined;

const { bun, node } = process.versions;
const version = typeof FRONTDESK_VERSION === "string" ? FRONTDESK_VERSION : "from source";
const runtime = bun === undefined ? `Node.js ${node}` : `Bun ${bun}`;

void runGuest(process.argv.slice(2), {
  name: "frontdesk-guest",
  versionLine: `frontdesk-guest ${version} on ${runtime}`,
  entries: GUEST_COMMANDS,
  ...systemSinks(),
  env: process.env,
}).then((code) => {
  // Everything is written by now, and nothing is waited for: not for a resolver that is silent.
  process.exit(code);
});
