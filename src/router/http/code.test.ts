/** That code which is not needed leaves this process's memory, and works all the same. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { releaseCode } from "./code.ts";

test.skipIf(process.platform !== "linux")("code is given back, and runs again", () => {
  JSON.parse(JSON.stringify({ some: ["code"] }));
  const before = fileBytes();
  releaseCode();
  expect(before - fileBytes()).toBeGreaterThan(5 * 1024 * 1024);
  expect(JSON.parse(JSON.stringify({ some: ["code"] }))).toEqual({ some: ["code"] });
});

/** Memory of this process that is a part of a file. Bytes. */
function fileBytes(): number {
  return 1024 * Number(/RssFile:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}
