/** Which listeners for bridges a router has, of those in its configuration file. */

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../config/load.ts";
import { proxiedSettings } from "./proxied-settings.ts";

const FOLDER = mkdtempSync(join(tmpdir(), "frontdesk-proxied-"));
afterAll(() => rmSync(FOLDER, { recursive: true }));

test("a router has those of its own namespace, addresses and ranges as ranges", async () => {
  const file = join(FOLDER, "frontdesk.yaml");
  writeFileSync(
    file,
    `networks: [{id: a, cidrs: [10.0.0.0/24], netns: blue, source: "databag:/x"}]
proxied:
  - {listen: ["10.9.0.2:81"], trusted: [10.9.0.1, fd00::1, 10.9.1.7/28]}
  - {passwordListen: ["[fe80::1%eth0]:82"], trusted: ["fd00::/64"], netns: blue}
`,
  );
  const config = await loadConfig(file);
  const shown = (netns?: string) =>
    proxiedSettings(config, netns).map(({ listen, trusted }) => ({
      ...{ listen, trusted: trusted.map(({ text }) => text) },
    }));
  expect(shown()).toEqual([
    {
      listen: [{ plane: "metadata", host: "10.9.0.2", port: 81 }],
      trusted: ["10.9.0.1/32", "fd00::1/128", "10.9.1.0/28"],
    },
  ] as unknown as ReturnType<typeof shown>);
  expect(shown("blue")).toEqual([
    {
      listen: [{ plane: "password", host: "fe80::1", zone: "eth0", port: 82 }],
      trusted: ["fd00::/64"],
    },
  ] as unknown as ReturnType<typeof shown>);
  expect(shown("red")).toEqual([]);
});
