/**
 * Starting other programs from the scripts of this folder.
 */

import { spawn, spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's folder. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

let interrupted = false;

/** Whether somebody ended a program of `run` with a signal to us: then nothing more should start. */
export function wasInterrupted() {
  return interrupted;
}

/** Runs a program to its end; `out` is stdout and stderr, trimmed. */
export function capture(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 64 << 20,
    ...options,
  });
  const out = error === undefined ? `${stdout}${stderr}`.trim() : error.message;
  return { ok: status === 0, out, stdout: (stdout ?? "").trim() };
}

/**
 * Runs a program that talks to the terminal itself. It gets its own process group, which is ended
 * as a whole after `secondsMax` and when we are interrupted, so that nothing stays behind.
 * `output` is an open file that takes what it says, in place of the terminal.
 */
export function run(command, args, { secondsMax = 600, env = process.env, output } = {}) {
  return new Promise((resolve) => {
    const to = output ?? "inherit";
    const child = spawn(command, args, {
      cwd: ROOT,
      env,
      stdio: ["ignore", to, to],
      detached: true,
    });
    let why = "";
    const end = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {} // It is gone already.
    };
    const stop = (reason) => {
      why = reason;
      end("SIGTERM");
      setTimeout(() => end("SIGKILL"), 5000).unref();
    };
    const onSignal = (signal) => {
      interrupted = true;
      stop(`ended by ${signal}`);
    };
    const timer = setTimeout(() => stop(`ended after ${secondsMax} s`), secondsMax * 1000);
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, onSignal);
    const finish = (status, reason) => {
      clearTimeout(timer);
      for (const signal of ["SIGINT", "SIGTERM"]) process.off(signal, onSignal);
      resolve({ ok: status === 0 && why === "", status, why: why || reason });
    };
    child.on("error", (error) => finish(1, error.message));
    child.on("close", (status, signal) => {
      finish(status, status === 0 ? "" : `ended with ${signal ?? status}`);
    });
  });
}
