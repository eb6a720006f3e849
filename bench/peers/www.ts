/**
 * The files from which a web server answers guests, laid out as on CloudStack's virtual router:
 * `metadata/<address>/<key>`, a manifest `metadata/<address>/meta-data`, and
 * `userdata/<address>/user-data`, each directory open to that address alone. `latest/` holds
 * nothing but the rules that lead a guest to its own files. nginx serves the same files.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Guest } from "../lab.ts";

/** Keys that every router knows by a short form, `latest/<key>`. */
const SHORT_KEYS = [
  "availability-zone",
  "cloud-identifier",
  "instance-id",
  "local-hostname",
  "local-ipv4",
  "public-hostname",
  "public-ipv4",
  "public-keys",
  "service-offering",
  "vm-id",
];

const rule = (pattern: string, target: string): string =>
  `RewriteRule ${pattern} ${target} [NC,QSA,L]\n`;

/** The rules that a router is installed with. */
export function installedRules(): string {
  return [
    "Options -Indexes\nRewriteEngine On\n",
    rule("^user-data/?$", "/userdata/%{REMOTE_ADDR}/user-data"),
    rule("^meta-data/?$", "/metadata/%{REMOTE_ADDR}/meta-data"),
    rule("^meta-data/(.+[^/])/?$", "/metadata/%{REMOTE_ADDR}/$1"),
    ...SHORT_KEYS.map((key) => rule(`^${key}/?$`, `/metadata/%{REMOTE_ADDR}/${key}`)),
  ].join("");
}

/** The rules that are appended as keys are seen: one for each file name, and the general ones. */
export function learntRules(keys: readonly string[]): string {
  return [
    rule("^user-data$", "../userdata/%{REMOTE_ADDR}/user-data"),
    ...keys.map((key) => rule(`^${key}$`, `../metadata/%{REMOTE_ADDR}/${key}`)),
    rule("^meta-data/(.+)$", "../metadata/%{REMOTE_ADDR}/$1"),
    rule("^meta-data/$", "../metadata/%{REMOTE_ADDR}/meta-data"),
  ].join("");
}

export function accessRules(address: string): string {
  return `Options -Indexes\nOrder Deny,Allow\nDeny from all\nAllow from ${address}\n`;
}

/** What is there before the first guest. */
export function writeSkeleton(root: string): void {
  for (const folder of ["latest", "metadata", "userdata"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, ".htaccess"), "Options -Indexes\n");
  writeFileSync(join(root, "userdata", ".htaccess"), "Options -Indexes\n");
  writeFileSync(join(root, "latest", ".htaccess"), installedRules());
}

export function writeTree(root: string, guests: readonly Guest[]): void {
  writeSkeleton(root);
  const names = guests[0]?.keys.map(([name]) => name) ?? [];
  writeFileSync(join(root, "latest", ".htaccess"), installedRules() + learntRules(names));
  for (const guest of guests) {
    const folder = (name: string): string => {
      const path = join(root, name, guest.address);
      mkdirSync(path);
      writeFileSync(join(path, ".htaccess"), accessRules(guest.address));
      return path;
    };
    const metadata = folder("metadata");
    const manifest = guest.keys.map(([name]) => `${name}\n`).join("");
    writeFileSync(join(metadata, "meta-data"), manifest);
    for (const [name, value] of guest.keys) writeFileSync(join(metadata, name), value);
    writeFileSync(join(folder("userdata"), "user-data"), guest.userData);
  }
}
