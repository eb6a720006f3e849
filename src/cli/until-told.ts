/**
 * How long a program runs that was started to stay: until SIGTERM or SIGINT, or, if another one of
 * ours has started it, until that one ends and cannot say so.
 */

/** Set for programs that we start: their standard input is a pipe that ends with us. */
const SUPERVISED = "FRONTDESK_SUPERVISED";

/** Set for programs that a command starts as a part of itself: whose help people are to read. */
export const STARTED_BY = "FRONTDESK_STARTED_BY";

export interface UntilTold {
  readonly ended: Promise<void>;
  /** Lets the program end: it waits for nobody any more. */
  release(): void;
}

export function untilTold(): UntilTold {
  const supervisor = process.env[SUPERVISED] === "1" ? process.stdin : undefined;
  const ended = new Promise<void>((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
    supervisor?.resume().once("end", resolve);
  });
  return { ended, release: () => void supervisor?.destroy() };
}

/** How to start this program once more. */
export function thisProgram(): readonly string[] {
  const script = process.argv[1];
  const isBinary = import.meta.url.includes("$bunfs");
  if (isBinary || script === undefined) return [process.execPath];
  return [process.execPath, ...process.execArgv, script];
}
