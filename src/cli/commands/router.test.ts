/** `frontdesk router --help` says what holds when nobody says; the program does as it says. */

import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../../test/e2e/program.ts";

const PROGRAM = [process.execPath, join(import.meta.dir, "../main.ts")];
const folder = mkdtempSync(join(tmpdir(), "frontdesk-usual-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Help without its line breaks. */
async function help(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await run([...PROGRAM, ...args, "--help"], { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.toString().replace(/\s+/g, " ");
}

test("the help of the router has the default of each option that has one", async () => {
  const text = await help(["router"], { STATE_DIRECTORY: "/srv/fd" });
  for (const part of [
    "--listen <address...> ADDR:PORT for guests, or auto (default: 127.0.0.1:8775 with file:, else auto, on port 80,",
    "or auto (default: 127.0.0.1:8778 with file:, else auto, on port 8080,",
    "ADDR:PORT (default: unix:STATE-DIR/run/admin.sock, env: FRONTDESK_ADMIN_LISTEN)",
    "sealed (default: /srv/fd, env: FRONTDESK_STATE_DIR)",
    "kept elsewhere (default: STATE-DIR/seal.key,",
    '"enforce", default: audit, env: FRONTDESK_HOSTS)',
    '"error", default: info, env: FRONTDESK_LOG_LEVEL)',
  ]) {
    expect(text).toContain(part);
  }
});

test("so have the others", async () => {
  const admin = "(default: unix:STATE-DIR/run/admin.sock, env: FRONTDESK_ADMIN)";
  for (const command of [["why"], ["apply"], ["router", "firewall"]]) {
    const text = await help(command, { STATE_DIRECTORY: "/srv/fd" });
    expect(text).toContain(admin);
    expect(text).toContain("admin socket (default: /srv/fd, env: FRONTDESK_STATE_DIR)");
  }
  expect(await help(["router", "firewall"])).toContain("as the running router does, else audit");
  expect(await help(["router", "dhcp"])).toContain('(default: "/etc/dnsmasq.d/cloud.conf")');
  expect(await help(["bridge"])).toContain('"error", default: info, env: FRONTDESK_LOG_LEVEL)');
});

test("the defaults are what a router does that is told nothing but its source", async () => {
  mkdirSync(join(folder, "state"), { mode: 0o700 });
  writeFileSync(join(folder, "lab.yaml"), "instances: []\n");
  const env = { STATE_DIRECTORY: join(folder, "state") };
  const source = `file:${join(folder, "lab.yaml")}`;
  // Without its key it ends before it takes ports that somebody may need.
  const key = ["--seal-key", join(folder, "missing")];
  const argv = [...PROGRAM, "router", "--source", source, ...key];
  const { code, stdout, stderr } = await run(argv, { env });
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("missing") });
  expect(JSON.parse(stdout.toString())).toMatchObject({
    msg: "router starting",
    listen: ["127.0.0.1:8775"],
    passwordListen: ["127.0.0.1:8778"],
    stateDir: join(folder, "state"),
  });
});

test("a store is one that another program writes, and there is no source beside it", async () => {
  const cases: readonly (readonly [args: readonly string[], why: string])[] = [
    [["--store", "memory:x"], 'no such store: "memory"; write sqlite:PATH'],
    [["--store", "sqlite"], "must be a word, a colon and a place: sqlite:store.sqlite"],
    [["--store", "sqlit:x"], 'no such store: "sqlit"; did you mean "sqlite"?'],
    [["--store", "sqlite:x", "--source", "file:y"], "give a source or a store, not both"],
    [["--source", "sqlite:x"], "sqlite:x is a store; write --store sqlite:x"],
  ];
  const state = join(folder, "unmade");
  for (const [args, why] of cases) {
    const { code, stderr } = await run([...PROGRAM, "router", ...args, "--state-dir", state]);
    expect({ args, code, said: stderr.includes(why), stderr }).toMatchObject({
      code: 2,
      said: true,
    });
  }
  expect(existsSync(state)).toBe(false);
});
