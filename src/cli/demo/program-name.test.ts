import { expect, test } from "bun:test";
import { programName, type Running } from "./program-name.ts";

const SOURCE = "file:///home/a/frontdesk/src/cli/demo/tries.ts";

test("the program is named so that it can be called from where one is", () => {
  const bun = { module: SOURCE, execPath: "/home/a/frontdesk/node_modules/bun/bin/bun" };
  check({ ...bun, cwd: "/home/a/frontdesk" }, "bin/frontdesk");
  check({ ...bun, cwd: "/home/a/frontdesk/bin" }, "./frontdesk");
  check({ ...bun, cwd: "/home/b" }, "../a/frontdesk/bin/frontdesk");
  check({ ...bun, cwd: "/home/b", path: "/usr/bin:/home/a/frontdesk/bin" }, "frontdesk");
  const spaced = SOURCE.replace("/home/a/", "/home/it%27s%20mine/");
  check({ ...bun, module: spaced, cwd: "/home" }, "'it'\\''s mine/frontdesk/bin/frontdesk'");

  const binary = { module: "file:///$bunfs/root/frontdesk", script: "/$bunfs/root/frontdesk" };
  check({ ...binary, execPath: "/home/a/dist/frontdesk", cwd: "/home/a" }, "dist/frontdesk");
  check({ ...binary, execPath: "/home/a/dist/frontdesk", cwd: "/home/a/dist" }, "./frontdesk");
  const installed = { ...binary, execPath: "/usr/local/bin/frontdesk", cwd: "/root" };
  check({ ...installed, path: "/usr/local/bin:/usr/bin" }, "frontdesk");

  const node = { execPath: "/usr/bin/node", path: "/usr/bin:/bin" };
  const bundle = { ...node, module: "file:///srv/dist/frontdesk.mjs" };
  check({ ...bundle, script: "/srv/dist/frontdesk.mjs", cwd: "/srv" }, "node dist/frontdesk.mjs");
  check({ ...bundle, script: "dist/frontdesk.mjs", cwd: "/srv" }, "node dist/frontdesk.mjs");
});

function check(running: Partial<Running> & Omit<Running, "script" | "path">, expected: string) {
  expect(programName({ script: undefined, path: "/usr/bin", ...running })).toBe(expected);
}
