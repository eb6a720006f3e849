#!/usr/bin/env node
/**
 * The program `frontdesk`: reads the command line and runs one command.
 *
 * Start reading at `commands/index.ts`, the table of commands.
 */

import { commands } from "./commands/index.ts";
import { openOutput } from "./output.ts";
import { runProgram } from "./program.ts";
import { STARTED_BY } from "./until-told.ts";
import { versionLine } from "./version.ts";

// A reader that has seen enough (`frontdesk … | head`) is no failure of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

// The exit code is set, not forced, so that what was printed reaches a slow pipe whole.
process.exitCode = await runProgram(process.argv.slice(2), {
  name: "frontdesk",
  summary: "The instance metadata service for Apache CloudStack.",
  versionLine: versionLine(),
  examples: [
    ["frontdesk demo", "try it on loopback, without CloudStack"],
    ["frontdesk router --source databag:/etc/cloudstack", "answer guests on a virtual router"],
    ["frontdesk why 10.1.1.57", "explain what a guest is told"],
  ],
  entries: commands,
  out: openOutput(process.stdout, process.stderr, process.env),
  startedBy: process.env[STARTED_BY],
  debug: process.env.FRONTDESK_DEBUG === "1",
});
