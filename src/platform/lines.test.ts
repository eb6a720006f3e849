/** Programs that are followed line by line. */

import { expect, test } from "bun:test";
import { startLines } from "./lines.ts";

test("lines come whole, whatever the pieces, and the end is told with the exit code", async () => {
  const script = `printf 'a\\nb'; sleep 0.05; printf 'c\\n\\nlast'; echo oops >&2; exit 4`;
  await check(["sh", "-c", script], ["a", "bc", "", "last"], { code: 4, complaint: "oops" });
});

test("a line without an end does not fill the memory, and the next line is whole", async () => {
  const script = `head -c 3000000 /dev/zero | tr '\\0' x; printf '\\nnext\\n'`;
  await check(["sh", "-c", script], ["next"], { code: 0, complaint: "" });
});

test("a program reads its input, and may leave it unread", async () => {
  await check(["cat"], ["one", "two"], { code: 0, complaint: "" }, "one\ntwo\n");
  await check(["true"], [], { code: 0, complaint: "" }, "x".repeat(1 << 20));
});

test("a program that never ends is stopped; one that is missing is named", async () => {
  const running = startLines(["sleep", "60"], { onLine: () => {} });
  running.stop();
  expect((await running.ended).code).toBe(128);
  const missing = startLines(["no-such-program-here"], { onLine: () => {} });
  expect(missing.ended).rejects.toMatchObject({ code: "PROGRAM_MISSING" });
});

async function check(
  argv: readonly string[],
  expected: readonly string[],
  end: { readonly code: number; readonly complaint: string },
  input?: string,
): Promise<void> {
  const seen: string[] = [];
  const onLine = (line: string): unknown => seen.push(line);
  const options = input === undefined ? { onLine } : { onLine, input };
  expect(await startLines(argv, options).ended).toEqual(end);
  expect(seen).toEqual([...expected]);
}
