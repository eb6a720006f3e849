/**
 * Takes a lock, says "held" or why not, and holds it until its standard input ends.
 *
 * Usage: holder.ts PATH
 */

import { StateError } from "../../src/model/errors.ts";
import { takeLock } from "../../src/router/state/lock.ts";

try {
  const lock = await takeLock(process.argv[2] ?? "");
  console.log("held");
  process.stdin.resume();
  process.stdin.once("end", () => {
    lock.release();
    process.exit(0);
  });
} catch (error) {
  console.log(error instanceof StateError ? error.code : String(error));
}
