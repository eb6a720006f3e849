/** User data and payloads by the operator's commands, against an API that answers. */

import { afterAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openApiLab } from "../../test/cli/api-lab.ts";

const lab = await openApiLab();
const { folder, run, runWith } = lab;

afterAll(() => lab.close());

test("user data is set from a file and read back as it is", async () => {
  const file = join(folder, "user-data");
  const bytes = Buffer.from([0x1f, 0x8b, 0, 255, 10]);
  writeFileSync(file, bytes);
  const set = await run("userdata", "set", "web-00", file);
  expect([set.code, set.stderr]).toEqual([0, "set: 5 bytes were sent\n"]);
  const copy = join(folder, "copy");
  expect((await run("userdata", "get", "web-00", "--output", copy)).code).toBe(0);
  expect(readFileSync(copy).equals(bytes)).toBe(true);
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  const { stdout } = await run("userdata", "get", "i-0", "--json");
  expect(JSON.parse(stdout)).toEqual({ network: "204", id: "i-0", base64: "H4sA/wo=" });
  writeFileSync(file, "aGVsbG8=\n");
  expect((await run("userdata", "set", "web-00", file, "--base64")).code).toBe(0);
  expect((await run("userdata", "get", "web-00")).stdout).toBe("hello");
  expect((await run("userdata", "set", "web-00", "--none")).code).toBe(0);
  const none = await run("userdata", "get", "web-00");
  expect(none.stderr).toMatch(/has no user data; frontdesk userdata set gives it some$/m);
});

test("user data that cannot be kept is refused with the reason", async () => {
  const file = join(folder, "large");
  writeFileSync(file, Buffer.alloc(24_577));
  const cases: readonly (readonly [args: string[], code: number, message: RegExp])[] = [
    [
      ["web-00", file],
      1,
      /32772 characters of base64; the limit is 32768; .*: frontdesk payload attach$/m,
    ],
    [["web-00", file, "--base64"], 1, /not base64.*; leave out --base64/],
    [["web-00", folder], 1, /: is a folder$/m],
    [["web-00", join(folder, "none")], 1, /no such file/],
    [["web-00", "/dev/null"], 1, /is empty; --none takes/],
    [["web-00"], 2, /name a file, or - for stdin/],
    [["web-00", file, "--none"], 2, /--none stands alone/],
    [["web-02", file], 1, /"204 i-2" and "205 i-2"; say which: the id, and --network/],
  ];
  for (const [args, code, message] of cases) {
    const done = await run("userdata", "set", ...args);
    expect([args, done.code]).toEqual([args, code]);
    expect(done.stderr).toMatch(message);
    expect(done.stderr.trimEnd()).not.toContain("\n");
  }
});

test("a payload is added, given to an instance, taken away and removed", async () => {
  const file = join(folder, "setup.sh");
  const content = Buffer.alloc(3_000_000, "#");
  content.write("#!/bin/sh\nexit 0\n");
  writeFileSync(file, content);
  const sha256 = createHash("sha256").update(content).digest("hex");
  const bytes = content.length;
  const added = await run("payload", "add", file);
  expect([added.code, added.stdout, added.stderr]).toEqual([0, `${sha256}\n`, ""]);
  const { stdout: json } = await run("payload", "add", file, "--json");
  expect(JSON.parse(json)).toEqual({ sha256, bytes, kind: "script" });
  const { stdout: list } = await run("payload", "list");
  expect(list).toBe(`${"SHA256".padEnd(64)}  BYTES    KIND\n${sha256}  3000000  script\n`);
  const short = sha256.slice(0, 8);
  const { stdout: stub } = await run("payload", "stub", short);
  expect(stub).toStartWith("#!/bin/sh\n# Frontdesk payload");
  expect((await run("payload", "attach", "web-00", short)).stderr).toBe(`attached ${sha256}\n`);
  expect((await run("userdata", "get", "web-00")).stdout).toBe(stub);
  expect((await run("instances", "show", "web-00")).stdout).toContain(`payload     ${sha256}`);
  const inUse = await run("payload", "remove", short);
  expect([inUse.code, inUse.stderr]).toEqual([
    1,
    expect.stringMatching(/is given to .*i-0 .*; detach it there/),
  ]);
  expect(inUse.stderr.match(/detach/g)).toHaveLength(1);
  const own = join(folder, "own");
  writeFileSync(own, "#cloud-config\n");
  const set = await run("userdata", "set", "web-00", own);
  expect(set.stderr).toContain(`may still fetch ${sha256}; frontdesk payload detach takes it away`);
  const refused = await run("payload", "attach", "web-00", short);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/of its own; add --replace/),
  ]);
  expect((await run("payload", "attach", "web-00", short, "--replace")).code).toBe(0);
  expect((await run("payload", "detach", "web-00")).code).toBe(0);
  expect((await run("userdata", "get", "web-00")).stderr).toMatch(/has no user data/);
  expect((await run("payload", "remove", sha256)).stderr).toBe("removed\n");
  expect((await run("payload", "list")).stderr).toBe("there are no payloads\n");
});

test("a file that is only put somewhere is added and attached in one step", async () => {
  const file = join(folder, "licence.key");
  writeFileSync(file, "a licence");
  const refused = await run("payload", "attach", "web-00", file);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringMatching(/begin it with #!.* --to PATH/),
  ]);
  expect(refused.stderr).not.toContain("?as=file");
  const to = "/etc/agent/licence.key";
  const attached = await run("payload", "attach", "web-00", file, "--to", to, "--json");
  const { sha256 } = JSON.parse(attached.stdout);
  expect(attached.code).toBe(0);
  const { stdout } = await run("payload", "stub", sha256, "--to", to);
  expect(stdout).toContain(`to='${to}'`);
  expect((await run("userdata", "get", "web-00")).stdout).toBe(stdout);
  expect((await run("payload", "detach", "web-00")).code).toBe(0);
  expect((await run("payload", "remove", sha256)).code).toBe(0);
});

test("a payload that cannot be kept, or is not there, is refused with the reason", async () => {
  const [large, whole] = [join(folder, "large"), join(folder, "whole")];
  writeFileSync(large, "");
  truncateSync(large, 17_000_000);
  writeFileSync(whole, "#!/bin/sh\n");
  truncateSync(whole, 16 * 1024 * 1024);
  const none = "0".repeat(64);
  const cases: readonly (readonly [args: string[], code: number, message: RegExp])[] = [
    [["add", large], 1, /has 17,?000,?000 bytes; a payload has 16777216 at most/],
    [["add", join(folder, "none")], 1, /no such file/],
    [["add", "/dev/null"], 1, /is empty/],
    [["attach", "web-00", "01234567"], 1, /no payload begins with 01234567/],
    [["attach", "web-00", none], 1, /there is no such payload/],
    [["attach", "web-00", large, "--to", "/x"], 1, /at most/],
    [["attach", "web-00", whole, "--to", "x y"], 1, /to: must be absolute/],
    [["remove", "0123"], 2, /write 8 hexadecimal digits/],
    [["stub", none], 1, /there is no such payload/],
  ];
  for (const [args, code, message] of cases) {
    const done = await run("payload", ...args);
    expect([args, done.code]).toEqual([args, code]);
    expect(done.stderr).toMatch(message);
    expect(done.stderr.trimEnd()).not.toContain("\n");
  }
  // Refused before all of it was sent, and said so.
  const denied = await runWith(
    { FRONTDESK_TOKEN: `fd_${"x".repeat(43)}` },
    "payload",
    "add",
    whole,
  );
  expect([denied.code, denied.stderr]).toEqual([1, expect.stringMatching(/none that counts/)]);
});
