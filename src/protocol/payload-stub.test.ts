/** What a stub may look like, and that nothing can be said through it. */

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { PAYLOAD_BYTES_MAX, PAYLOAD_KINDS, type PayloadKind } from "../model/payload.ts";
import { checkGuestPath, GUEST_FOLDER, isStubFor, stubFor } from "./payload-stub.ts";

const SHA256 = "0123456789abcdef".repeat(4);
const payload = (kind: PayloadKind) => ({ sha256: SHA256, bytes: PAYLOAD_BYTES_MAX, kind });
const LONGEST = `/${"d".repeat(126)}/${"f".repeat(127)}`;

/** Larger user data is no stub any more: with base64 it must pass each limit there is. Bytes. */
const STUB_BYTES_MAX = 3072;

test("it is small, plain text, and a script of both small shells", () => {
  for (const kind of PAYLOAD_KINDS) {
    for (const to of kind === "file" ? [LONGEST] : [undefined, LONGEST]) {
      const text = stubFor(payload(kind), to === undefined ? {} : { to });
      expect(text.length).toBeLessThanOrEqual(STUB_BYTES_MAX);
      expect(text).toMatch(/^#!\/bin\/sh\n# Frontdesk payload: fetches 16777216 bytes/);
      expect(text).toMatch(/^[\n\x20-\x7e]*\n$/);
      expect(text).not.toMatch(/@\w+@|undefined/);
      expect(isStubFor(Buffer.from(text), SHA256)).toBe(true);
      expect(isStubFor(Buffer.from(text), "f".repeat(64))).toBe(false);
      for (const shell of [["dash"], ["busybox", "ash"]]) {
        if (Bun.which(shell[0] ?? "") === null) continue;
        const checked = Bun.spawnSync([...shell, "-n"], { stdin: Buffer.from(text) });
        expect([checked.exitCode, checked.stderr.toString()]).toEqual([0, ""]);
      }
    }
  }
  expect(isStubFor(Buffer.from("#!/bin/sh\nown\n"), SHA256)).toBe(false);
});

test("what runs is run once; what is put somewhere runs nothing", () => {
  const acts = (text: string) => text.slice(text.indexOf("nothing was run"));
  expect(acts(stubFor(payload("script")))).toContain("./payload");
  expect(acts(stubFor(payload("tar.gz")))).toContain("./run");
  for (const kind of PAYLOAD_KINDS) {
    const put = stubFor(payload(kind), { to: "/opt/agent" });
    expect(acts(put)).not.toMatch(/\.\/(run|payload)|chmod/);
    expect(put).not.toContain("begun");
    expect(put).toContain("to='/opt/agent'\n");
  }
  expect(() => stubFor(payload("file"))).toThrow("to: is needed");
});

test("a path is absolute, of harmless characters, and leads nowhere else", () => {
  for (const good of ["/a", "/opt/agent-1.2_x/run.sh", "/.hidden/x", "/...", LONGEST]) {
    expect(() => checkGuestPath(good), good).not.toThrow();
  }
  const bad = [
    "",
    "a",
    "/",
    "//a",
    "/a/",
    "/a//b",
    "/.",
    "/..",
    "/a/../b",
    "/a/./b",
    "/a/..",
    "/-a",
  ];
  for (const path of [
    ...bad,
    "/a b",
    "/a\nb",
    "/a\n",
    "/a'b",
    "/$a",
    "/`a`",
    "/\u00e9",
    `${LONGEST}x`,
  ]) {
    expect(() => checkGuestPath(path), path).toThrow("to: must be absolute");
  }
});

// Goal: a path cannot say anything to the shell. Method: any text is refused, or stands in the
// script between quotes that it cannot end, and nothing else differs.
test("whatever the path, the script is the same but for that one word", () => {
  const usual = stubFor(payload("tar"), { to: "/opt/agent" });
  const text = fc.oneof(
    fc.string(),
    fc.stringMatching(/^\/[a-z.$'"`;&|\\/\n -]{0,20}$/),
    fc.stringMatching(/^(\/[a-z.@-]{1,8}){1,4}$/),
  );
  fc.assert(
    fc.property(text, (to) => {
      let script: string;
      try {
        script = stubFor(payload("tar"), { to });
      } catch (error) {
        expect((error as { code?: string }).code).toBe("RECORD_INVALID");
        return;
      }
      expect(to).toMatch(/^\/[A-Za-z0-9._/-]+$/);
      expect(script).toBe(usual.replace("to='/opt/agent'", `to='${to}'`));
    }),
    { numRuns: 2000 },
  );
  for (const sha256 of ["x", `${SHA256}'`, `${SHA256}\n`]) {
    expect(() => stubFor({ ...payload("tar"), sha256 })).toThrow();
  }
});

test("that it waits is said once, and that it gave up", () => {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-stub-"));
  try {
    writeFileSync(join(folder, "sleep"), "#!/bin/sh\n", { mode: 0o755 });
    const stub = stubFor(payload("script")).replaceAll(GUEST_FOLDER, folder);
    const done = spawnSync("sh", ["-c", stub], {
      env: { PATH: `${folder}:${process.env.PATH}`, FRONTDESK_URL: "http://127.0.0.1:1" },
      encoding: "utf8",
    });
    expect([done.status, done.stderr.trim().split("\n")]).toEqual([
      1,
      [
        "frontdesk payload: asking again",
        expect.stringMatching(/^frontdesk payload: nobody has part 0 of \d+: start this again/),
      ],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
