import { expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { signatureOf } from "./files.ts";
import { type AsRead, watch } from "./watch.ts";

test("of many files each one is looked at, in turn", async () => {
  const dir = mkdtempSync(join(tmpdir(), "frontdesk-watch-"));
  const stop = new AbortController();
  try {
    const files: AsRead[] = [];
    for (let index = 0; index < 250; index++) {
      const path = join(dir, String(index));
      writeFileSync(path, "one");
      files.push([path, await signatureOf(path)]);
    }
    const options = { files: () => files, again: () => false };
    const news = watch(options, stop.signal)[Symbol.asyncIterator]();
    for (const index of [0, 249, 130]) {
      const [path = ""] = files[index] ?? [];
      const next = news.next();
      appendFileSync(path, "two");
      expect((await next).done).toBe(false);
      files[index] = [path, await signatureOf(path)];
    }
    const last = news.next();
    stop.abort();
    expect((await last).done).toBe(true);
  } finally {
    stop.abort();
    rmSync(dir, { recursive: true });
  }
});
