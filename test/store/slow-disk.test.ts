/** A write is heard of when it is in force, however long after its first sign the disk has it. */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { openSqlite } from "../../src/store/sqlite.ts";
import { listen, optionsOf, scratch } from "./samples.ts";

const PROGRAM = join(import.meta.dirname, "slow-disk.ts");
/** What the disk takes for each sync: many times what followers wait after an event. ms. */
const DISK_MS = 300;
/** Promised is a second; a loaded machine may add to it. ms. */
const HEARD_MS_MAX = 3000;
const TEST_MS_MAX = 30_000;
const SLOW = [
  ...["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"],
  ...["-e", `inject=fsync,fdatasync:delay_enter=${1000 * DISK_MS}`],
];

const isPossible = Bun.which("strace") !== null && Bun.spawnSync([...SLOW, "true"]).exitCode === 0;

test.skipIf(!isPossible)(
  "a write on a slow disk is heard of within a second",
  async () => {
    using folder = scratch();
    const path = join(folder.path, "store.sqlite");
    await (await openSqlite(path, optionsOf())).close();
    await using reader = await openSqlite(path, optionsOf({ role: "reader" }));
    await using follower = listen(reader);
    await follower.reaches(0);
    const argv = [...SLOW, process.execPath, PROGRAM, folder.path];
    const writer = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    try {
      const { value } = await writer.stdout.getReader().read();
      expect(Buffer.from(value ?? []).toString()).toBe("written\n");
      const late = Bun.sleep(HEARD_MS_MAX).then(() => "not heard of");
      expect(await Promise.race([follower.reaches(1), late])).toBeUndefined();
      expect(follower.heard).toEqual(["snapshot 0", "put i-1 1"]);
    } finally {
      writer.stdin.write("\n");
      await writer.stdin.end();
      await writer.exited;
    }
  },
  TEST_MS_MAX,
);
