/**
 * Runs an operator's command when something has changed.
 *
 * No shell takes part, and nothing that a server sent becomes an argument: the command gets the
 * names of what has changed, and where the cache is, in its environment. It never runs twice at a
 * time; what changes meanwhile is one more run afterwards.
 */

import { MetadataError, UsageError } from "../model/errors.ts";
import { type Exec, exec } from "../platform/exec.ts";
import { HOOK_MS } from "./limits.ts";

/** Of all names together, in one variable; Linux takes 128 KiB. Characters. */
const NAMES_CHARS_MAX = 32_768;
const OUTPUT_BYTES_MAX = 65_536;

export interface HookOptions {
  /** A program and its arguments, separated by spaces. */
  readonly command: string;
  readonly path: string;
  readonly note: (line: string) => void;
  readonly exec?: Exec;
}

export interface Hook {
  /** Runs it, or once more when it runs already. */
  changed(keys: readonly string[], signal: AbortSignal): void;
  /** Resolves when it does not run any more. */
  settled(): Promise<void>;
}

/** @throws {UsageError} if there is no command in it, or one that means a shell to be there. */
export function openHook({ command, path, note, exec: run = exec }: HookOptions): Hook {
  const argv = command.trim().split(/\s+/);
  if (argv[0] === "") throw new UsageError("--on-change names a program");
  if (/["'`$;&|<>\\*?(){}]/.test(command)) {
    throw new UsageError("--on-change is a program and arguments, without a shell: name a script");
  }
  const waiting = new Set<string>();
  let running: Promise<void> | undefined;

  const once = async (signal: AbortSignal): Promise<void> => {
    const names = [...waiting].join(" ");
    waiting.clear();
    const changed = names.length > NAMES_CHARS_MAX ? "*" : names;
    const env = { FRONTDESK_CACHE: path, FRONTDESK_CHANGED: changed };
    const limits = { timeoutMs: HOOK_MS, outputBytesMax: OUTPUT_BYTES_MAX };
    try {
      const { code, stdout, stderr } = await run(argv, { env, signal, ...limits });
      for (const line of `${stdout}\n${stderr}`.split("\n")) if (line !== "") note(line);
      if (code !== 0) note(`frontdesk: ${argv[0]} ended with ${code}`);
    } catch (error) {
      // A command that fails is told of, and the cache is kept all the same.
      if (!(error instanceof MetadataError)) throw error;
      if (!signal.aborted) note(`frontdesk: ${error.message}`);
    }
  };

  return {
    changed(keys, signal) {
      for (const key of keys) waiting.add(key);
      running ??= (async () => {
        while (waiting.size > 0 && !signal.aborted) await once(signal);
        running = undefined;
      })();
    },
    settled: async () => await running,
  };
}
