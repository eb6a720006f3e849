/** Which networks of a store a router serves, by its flags and its configuration. */

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Options } from "./command.ts";
import { planOf } from "./router-settings.ts";

const FILE = `
store: sqlite:/srv/own.sqlite
listen: [127.0.0.1:8775]
networks:
  - {id: lab, cidrs: [10.9.0.0/24]}
  - {id: red, cidrs: [10.1.1.0/24], netns: red, store: "sqlite:/srv/all.sqlite"}
  - {id: red-2, cidrs: [10.1.2.0/24], netns: red, store: "sqlite:/srv/all.sqlite"}
  - {id: blue, cidrs: [10.1.1.0/24], netns: blue, store: "sqlite:/srv/all.sqlite"}
`;

const STORE = { store: "sqlite:/srv/all.sqlite", listen: "127.0.0.1:8775" };

const cases: Readonly<Record<string, [flags: Readonly<Record<string, string>>, unknown]>> = {
  "all networks, where nobody says": [STORE, undefined],
  "the network of --network": [{ ...STORE, network: "red" }, { only: ["red"] }],
  "of a namespace, its networks": [{ config: "F", namespace: "red" }, { only: ["red", "red-2"] }],
  "of no namespace, all but those of others": [
    { config: "F", namespace: "own" },
    { except: ["red", "red-2", "blue"] },
  ],
  "of a source that is no store, what it says": [
    { source: "databag:/etc/cloudstack", network: "red" },
    undefined,
  ],
};

for (const [name, [flags, served]] of Object.entries(cases)) {
  test(`a router serves ${name}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "frontdesk-settings-"));
    try {
      const config = join(folder, "router.yaml");
      writeFileSync(config, FILE);
      const given = { ...flags, ...(flags.config !== undefined && { config }) };
      const plan = await planOf(optionsOf(given), ["frontdesk"]);
      expect(plan.kind).toBe("one");
      expect(plan.kind === "one" && plan.settings.served).toEqual(served as never);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

function optionsOf(flags: Readonly<Record<string, string>>): Options {
  return {
    string: (name) => flags[name],
    strings: (name) => (flags[name] === undefined ? [] : [flags[name]]),
    flag: () => false,
  };
}
