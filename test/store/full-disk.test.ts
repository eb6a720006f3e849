/** A disk that is full costs the write that it refuses, and nothing that is kept. */

import { expect, test } from "bun:test";
import { join } from "node:path";
import { scratch } from "./samples.ts";

const PROGRAM = join(import.meta.dirname, "full-disk.ts");
const SCRIPT = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" "$3" "$1"';

const isRoot = process.getuid?.() === 0;
const isPossible =
  isRoot && Bun.spawnSync(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]).success;

test.skipIf(!isPossible)("a full disk is an error that says so, and passes", () => {
  using folder = scratch();
  const { path } = folder;
  const argv = ["unshare", "-m", "sh", "-c", SCRIPT, "sh", path, process.execPath, PROGRAM];
  const { stdout, stderr } = Bun.spawnSync(argv);
  expect({ said: stdout.toString(), stderr: stderr.toString() }).toEqual({
    said: "full STORE_UNWRITABLE\nlisted true\ngoes on true\n",
    stderr: "",
  });
});
