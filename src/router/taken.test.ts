import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../test/e2e/program.ts";
import { taken } from "./taken.ts";

const MAIN = join(import.meta.dir, "../cli/main.ts");
const PORT = 18320;
const folder = mkdtempSync(join(tmpdir(), "frontdesk-taken-"));
const SOCKET = join(folder, "taken.sock");
const servers: Server[] = [];

beforeAll(async () => {
  writeFileSync(join(folder, "lab.yaml"), "instances: []\n");
  for (const at of [{ host: "127.0.0.1", port: PORT }, { path: SOCKET }]) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at, resolve));
    servers.push(server);
  }
});

afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

const FREE = {
  "--listen": "127.0.0.1:0",
  "--password-listen": "127.0.0.1:0",
  "--admin-listen": `unix:${join(folder, "admin.sock")}`,
};

test("a taken address names its holder and the remedy, whichever port it is", async () => {
  const holder = `is held by process ${process.pid} \\(bun[^)]*\\); stop it`;
  const cases: readonly (readonly [more: Record<string, string>, message: RegExp])[] = [
    ...Object.keys(FREE).map((flag): [Record<string, string>, RegExp] => [
      { [flag]: `127.0.0.1:${PORT}` },
      new RegExp(`^127.0.0.1:${PORT} ${holder}, or choose another address with ${flag}$`),
    ]),
    [
      { "--admin-listen": `unix:${SOCKET}` },
      /taken\.sock is held by another process, which answers there; stop it, or .* --admin-listen$/,
    ],
    [
      { "--listen": "127.0.0.1:18321", "--password-listen": "127.0.0.1:18321" },
      /^127\.0\.0\.1:18321 is this router's own already, for metadata; .* --password-listen$/,
    ],
  ];
  for (const [more, message] of cases) {
    const flags = Object.entries({ ...FREE, ...more }).flat();
    const state = ["--state-dir", join(folder, "state")];
    const source = ["--source", `file:${join(folder, "lab.yaml")}`];
    const { code, stderr } = await run([
      process.execPath,
      MAIN,
      "router",
      ...source,
      ...state,
      ...flags,
    ]);
    expect({ more, code }).toEqual({ more, code: 1 });
    expect(stderr).toStartWith("frontdesk: ");
    expect(stderr.slice("frontdesk: ".length).trimEnd()).toMatch(message);
  }
}, 30_000);

test("an address that the router has taken itself is said to be its own", () => {
  expect(taken(`127.0.0.1:${PORT}`, PORT, "proxied").message).toBe(
    `127.0.0.1:${PORT} is this router's own already; ` +
      "choose another with proxied in the configuration file",
  );
});

test("on a virtual router's ports it says which of CloudStack's services to stop", () => {
  const message = (port: number, refused: "metadata" | "password" | "admin"): string =>
    taken(`10.1.1.1:${port}`, port, refused).message;
  expect(message(80, "metadata")).toContain("(on a virtual router: systemctl stop apache2)");
  expect(message(8080, "password")).toContain("systemctl stop 'cloud-password-server@*')");
  expect(message(8080, "metadata")).not.toContain("systemctl");
  expect(message(80, "admin")).not.toContain("systemctl");
});
