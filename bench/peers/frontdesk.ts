/**
 * The router itself, from what `npm run build` has written to dist/, with all features on: access
 * log to a file, password server, admin listener, state directory. Once on Bun, once on Node.js.
 */

import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { versionOf, which } from "../machine.ts";
import type { Peer, Place, Site } from "./peer.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const BINARY = join(ROOT, "dist", "frontdesk");
const BUNDLE = join(ROOT, "dist", "frontdesk.mjs");

/** The password server listens this far above the metadata port. */
const PASSWORD_PORT_OFFSET = 1;

export function adminSocket(place: Place): string {
  return join(place.directory, "admin.sock");
}

function flags(place: Place): string[] {
  const { directory, site, port } = place;
  const state = join(directory, "state");
  mkdirSync(state, { recursive: true, mode: 0o700 });
  return [
    "router",
    ...["--source", `databag:${site.databags}`],
    ...["--listen", `127.0.0.1:${port}`],
    ...["--password-listen", `127.0.0.1:${port + PASSWORD_PORT_OFFSET}`],
    ...["--admin-listen", `unix:${adminSocket(place)}`],
    ...["--state-dir", state],
  ];
}

const unbuilt = (path: string): string | undefined =>
  existsSync(path) ? undefined : `${path} is not there: npm run build writes it`;

/** Copies what is built, so that a build in the meantime changes nothing in this run. */
export function copyBuilt(directory: string): Record<string, string> {
  const built = [BINARY, BUNDLE].filter((path) => existsSync(path));
  return Object.fromEntries(
    built.map((path) => {
      const copy = join(directory, basename(path));
      copyFileSync(path, copy);
      return [basename(path), copy];
    }),
  );
}

/** As packaging/systemd and bin/frontdesk set it. */
const ENVIRONMENT = ["BUN_JSC_useFTLJIT=0"];

/** The command line of the program that belongs to a rim, without arguments. */
export function program(rim: "bun" | "node", { programs }: Site): string[] {
  if (rim === "bun") return [programs[basename(BINARY)] ?? BINARY];
  return [which("node") ?? "node", programs[basename(BUNDLE)] ?? BUNDLE];
}

export const frontdeskBun: Peer = {
  name: "bun",
  title: "Frontdesk on Bun (the binary)",
  stateful: true,
  missing: () => unbuilt(BINARY),
  command: (place) => ["env", ...ENVIRONMENT, ...program("bun", place.site), ...flags(place)],
};

export const frontdeskNode: Peer = {
  name: "node",
  title: `Frontdesk on Node.js ${versionOf("node", "--version")?.replace("v", "") ?? ""}`.trim(),
  stateful: true,
  missing: () => (which("node") === undefined ? "node is not installed" : unbuilt(BUNDLE)),
  command: (place) => [...program("node", place.site), ...flags(place)],
};

/** The same router, which follows a store in place of its databags. */
export function following(peer: Peer, store: { path: string; keyFile: string }): Peer {
  const { path, keyFile } = store;
  return {
    ...peer,
    command: (place) => {
      const argv = [...peer.command(place)];
      const given = ["--store", `sqlite:${path}`, "--seal-key", keyFile];
      argv.splice(argv.indexOf("--source"), 2, ...given);
      return argv;
    },
  };
}
