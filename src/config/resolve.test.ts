import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, UsageError } from "../model/errors.ts";
import type { LoadedConfig } from "./load.ts";
import { readConfig } from "./read.ts";
import { type Flags, type ResolvedSettings, resolveRouterSettings } from "./resolve.ts";
import { SETTINGS, type SettingName } from "./settings.ts";

interface Given {
  readonly flags?: Flags;
  readonly env?: Readonly<Record<string, string>>;
  readonly file?: string;
}

const DEFAULTS = ["hosts=audit default", "logLevel=info default"];

test("a flag wins over the environment, that over the file, that over the default", () => {
  const file = "\nstateDir: /file\nhosts: any\nlisten: [10.0.0.1:80]\n";
  const env = { FRONTDESK_STATE_DIR: "/env", FRONTDESK_LISTEN: "10.0.0.2:80, 10.0.0.3:80" };
  const flags = { stateDir: "/flag", listen: ["auto"], sealKey: undefined };
  check({}, DEFAULTS);
  check({ file }, [
    "listen=10.0.0.1:80 /f.yaml:4",
    "stateDir=/file /f.yaml:2",
    "hosts=any /f.yaml:3",
    "logLevel=info default",
  ]);
  check({ file, env }, [
    "listen=10.0.0.2:80, 10.0.0.3:80 FRONTDESK_LISTEN",
    "stateDir=/env FRONTDESK_STATE_DIR",
    "hosts=any /f.yaml:3",
    "logLevel=info default",
  ]);
  check({ file, env, flags }, [
    "listen=auto --listen",
    "stateDir=/flag --state-dir",
    "hosts=any /f.yaml:3",
    "logLevel=info default",
  ]);
});

test("a variable that is empty and a flag without values count as not given", () => {
  check({ env: { FRONTDESK_HOSTS: " " }, flags: { listen: [] } }, DEFAULTS);
});

test("of a source and a store the one holds that was said with more weight", () => {
  const file = "source: file:x\n";
  const env = { FRONTDESK_STORE: "sqlite:/s" };
  check({ file, env }, ["store=sqlite:/s FRONTDESK_STORE", ...DEFAULTS]);
  const flags = { source: "file:y" };
  check({ file, env, flags }, ["source=file:y --source", ...DEFAULTS]);
  const both = "give a source or a store, not both";
  expect(() => resolve({ flags: { ...flags, store: "sqlite:/s" } })).toThrow(
    new UsageError(`--source and --store: ${both}`),
  );
  expect(() => resolve({ env: { ...env, FRONTDESK_SOURCE: "file:x" } })).toThrow(
    new ConfigError(`FRONTDESK_SOURCE and FRONTDESK_STORE: ${both}`),
  );
});

test("admin: {listen} in the file is adminListen", () => {
  check({ file: "hosts: any\nadmin:\n  listen: unix:/a\n" }, [
    "adminListen=unix:/a /f.yaml:3",
    "hosts=any /f.yaml:1",
    "logLevel=info default",
  ]);
});

test("networks and names of the file are handed on", () => {
  const file = "hostNames: [meta]\nnetworks: [{id: a, cidrs: [10.0.0.0/8]}]\n";
  const { hostNames, networks } = resolve({ file });
  expect(hostNames).toEqual(["meta"]);
  expect(networks.map(({ id, macEvidence }) => `${id} ${macEvidence}`)).toEqual(["a audit"]);
});

test("a wrong value is refused by the name under which it was given", () => {
  fails(
    { flags: { listen: ["10.0.0.1"] } },
    UsageError,
    '--listen: "10.0.0.1" must be ADDR:PORT, [IPV6]:PORT or auto',
  );
  fails({ flags: { listen: ["auto", "10.0.0.1:80"] } }, UsageError, "--listen: auto stands alone");
  fails({ flags: { source: ["file:a", "file:b"] } }, UsageError, "--source: takes one value");
  fails({ flags: { stateDir: "" } }, UsageError, '--state-dir: "" is empty');
  fails({ flags: { source: "x" } }, UsageError, '--source: "x" must be a word, a colon');
  fails(
    { env: { FRONTDESK_HOSTS: "all" } },
    ConfigError,
    'FRONTDESK_HOSTS: "all" must be one of any, audit, enforce',
  );
  fails({ env: { FRONTDESK_SEAL_KEY: "a\nb" } }, ConfigError, "must be one line of text");
});

test("no library is loaded where there is no file", () => {
  for (const name of ["resolve.ts", "settings.ts", "load.ts"]) {
    const text = readFileSync(join(import.meta.dir, name), "utf8");
    const imports = [...text.matchAll(/^import (?!type ).*? from "(.*?)";/gms)].map(
      ([, from]) => from,
    );
    const light = ["node:", "../model/", "./settings.ts", "./nearest.ts"];
    for (const from of imports) {
      expect(light.some((prefix) => from?.startsWith(prefix))).toBe(true);
    }
  }
});

test("each setting has the flag and the variable that its name says", () => {
  for (const [name, { flag, env }] of Object.entries(SETTINGS)) {
    const words = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    expect(flag).toBe(`--${words}`);
    expect(env).toBe(`FRONTDESK_${words.toUpperCase().replaceAll("-", "_")}`);
  }
});

function resolve({ flags = {}, env = {}, file }: Given): ResolvedSettings {
  if (file === undefined) return resolveRouterSettings({ flags, env });
  const { config, line } = readConfig(file, "/f.yaml");
  if (config === undefined) throw new Error("the test's file is wrong");
  const loaded: LoadedConfig = { file: "/f.yaml", config, line };
  return resolveRouterSettings({ flags, env, file: loaded });
}

function check(given: Given, expected: readonly string[]): void {
  const settings = resolve(given);
  const lines = (Object.keys(SETTINGS) as SettingName[]).flatMap((name) => {
    const setting = settings[name];
    if (setting === undefined) return [];
    const { value, from } = setting;
    return `${name}=${typeof value === "string" ? value : value.join(", ")} ${from.name}`;
  });
  expect(lines).toEqual([...expected]);
}

function fails(given: Given, type: typeof UsageError | typeof ConfigError, message: string): void {
  expect(() => resolve(given)).toThrow(type);
  expect(() => resolve(given)).toThrow(message);
}
