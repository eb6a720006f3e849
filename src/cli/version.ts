/**
 * Which Frontdesk this is. A build stamps version and commit in; a checkout reads package.json.
 */

import { readFileSync } from "node:fs";

declare const FRONTDESK_VERSION: string | undefined;
declare const FRONTDESK_COMMIT: string | undefined;

/** `0.1.0`. */
export function version(): string {
  if (typeof FRONTDESK_VERSION === "string") return FRONTDESK_VERSION;
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** `frontdesk 0.1.0 (1a2b3c4d5e6f) on Bun 1.4.5`: what a report of a fault should start with. */
export function versionLine(): string {
  const commit =
    typeof FRONTDESK_COMMIT === "string" && FRONTDESK_COMMIT !== "" ? FRONTDESK_COMMIT : undefined;
  const { bun, node } = process.versions;
  const runtime = bun === undefined ? `Node.js ${node}` : `Bun ${bun}`;
  return `frontdesk ${version()}${commit === undefined ? "" : ` (${commit})`} on ${runtime}`;
}
