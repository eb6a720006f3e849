/** What is taken for a script, an archive that can be run, or a file; archives are the real tar's. */

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { kindOf } from "./payload-kind.ts";

const TEXT = "#!/bin/sh\necho done\n";

/** An archive of these files, as tar makes it with these options. */
function tar(files: Readonly<Record<string, string | Uint8Array>>, ...options: string[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-tar-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(folder, name, ".."), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    const made = Bun.spawnSync(["tar", "-C", folder, ...options, "-cf", "-", "."]);
    expect(made.stderr.toString()).toBe("");
    return Buffer.from(made.stdout);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function check(content: Uint8Array, kind: string, reason = ""): Promise<void> {
  const seen = await kindOf(content);
  expect(seen.kind).toBe(kind as never);
  if (reason === "") expect(seen.reason).toBeUndefined();
  else expect(seen.reason).toContain(reason);
}

test("a script begins with #!, and nothing else does", async () => {
  await check(Buffer.from(TEXT), "script");
  await check(Buffer.from("#!"), "script");
  for (const other of ["#", " #!/bin/sh", "#cloud-config\n", "\u007fELF", "x".repeat(5000)]) {
    await check(Buffer.from(other), "file", "no archive");
  }
});

test("an archive with a file named run is one, in each format of tar, compressed or not", async () => {
  const long = `${"d".repeat(90)}/${"e".repeat(90)}`;
  for (const format of ["v7", "ustar", "gnu", "pax", "oldgnu"]) {
    const files = { run: TEXT, "lib/a.sh": "x".repeat(1500), empty: "" };
    const more = format === "v7" ? {} : { [long]: "y" };
    const made = tar({ ...files, ...more }, `--format=${format}`);
    await check(made, "tar");
    await check(gzipSync(made), "tar.gz");
  }
});

test("one without it, or in which it is no file, can only be put somewhere", async () => {
  const cases = [{ "lib/run": TEXT }, { running: TEXT }, { "run/run": TEXT }, {}];
  for (const files of cases) {
    await check(tar(files), "file", "named run");
    await check(gzipSync(tar(files)), "file", "named run");
  }
});

test("one that is damaged, or is compressed and no archive, is said to be so", async () => {
  const made = tar({ run: TEXT, big: new Uint8Array(100_000) }, "--sort=name");
  const zipped = gzipSync(made);
  await check(made.subarray(0, 50_000), "file", "damaged");
  await check(zipped.subarray(0, zipped.length - 20), "file", "damaged");
  const spoilt = Buffer.from(made);
  spoilt[512 + 3] = (spoilt[512 + 3] ?? 0) ^ 1;
  await check(spoilt, "file", "damaged");
  const flipped = Buffer.from(zipped);
  flipped[60] = (flipped[60] ?? 0) ^ 0xff;
  await check(flipped, "file", "damaged");
  await check(gzipSync(Buffer.from(TEXT.repeat(100))), "file", "no tar archive");
  await check(gzipSync(new Uint8Array(10_240)), "file", "empty");
});

test("a small one that unpacks without end is refused before it has done so", async () => {
  const header = tar({ run: "" });
  const head = Buffer.from(header.subarray(0, 512));
  const bomb = gzipSync(Buffer.concat([head, new Uint8Array(600 * 1024 * 1024)]), { level: 1 });
  expect(bomb.length).toBeLessThan(16 * 1024 * 1024);
  const seen = await kindOf(bomb);
  // Zeros end an archive; they count all the same.
  expect(seen).toEqual({ kind: "file", reason: expect.stringContaining("unpacks to more than") });
});
