/** Running programs: what is an answer, what is an error, and that nothing is a shell. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ExecError } from "../model/errors.ts";
import { exec } from "./exec.ts";

const quiet = { timeoutMs: 5_000 };

test("exec() answers with the exit code and both streams", async () => {
  const script = "cat; echo oops >&2; exit 3";
  const done = await exec(["sh", "-c", script], { input: "in\n", ...quiet });
  expect(done).toEqual({ code: 3, stdout: "in\n", stderr: "oops\n" });
});

test("exec() passes every argument as it is", async () => {
  const argument = fc.string({ minLength: 1 }).filter((text) => !text.includes("\0"));
  await fc.assert(
    fc.asyncProperty(fc.array(argument, { minLength: 1, maxLength: 4 }), async (words) => {
      const { stdout } = await exec(["printf", "%s\\0", ...words], quiet);
      expect(stdout).toBe(words.map((word) => `${word}\0`).join(""));
    }),
    { numRuns: 30 },
  );
});

test("exec() names a program that is missing, slow or talkative", async () => {
  await check(["no-such-program-here"], {}, "PROGRAM_MISSING");
  await check(["sleep", "30"], { timeoutMs: 50 }, "PROGRAM_TIMEOUT");
  await check(["sleep", "30"], { signal: AbortSignal.timeout(50) }, "PROGRAM_TIMEOUT");
  await check(["sleep", "30"], { signal: AbortSignal.abort() }, "PROGRAM_TIMEOUT");
  await check(["head", "-c", "100000", "/dev/zero"], { outputBytesMax: 999 }, "PROGRAM_OUTPUT");
});

test("exec() does not wait for a grandchild that holds the pipes", async () => {
  const started = performance.now();
  await check(["sh", "-c", "sleep 2 & sleep 2"], { timeoutMs: 100 }, "PROGRAM_TIMEOUT");
  expect(performance.now() - started).toBeLessThan(1_500);
});

async function check(
  argv: readonly string[],
  options: Parameters<typeof exec>[1],
  code: ExecError["code"],
): Promise<void> {
  const error = await exec(argv, options).then(
    () => undefined,
    (thrown: ExecError) => thrown,
  );
  expect(error?.code).toBe(code);
}
