/**
 * What a router reads, or would read: whether it is there, may be read and can be understood. No
 * value of it is kept; an error's own words may hold one, and are not shown.
 */

import { readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { folderFault, REASONS } from "../../source/databag/disk.ts";
import { NAMES } from "../../source/databag/files.ts";
import type { SourceFacts, SourceFile } from "./facts.ts";
import { SOURCE_BYTES_MAX } from "./limits.ts";

/** An address of the router among its guests, as ips.json has it. */
export interface RouterAddress {
  readonly device: string;
  readonly address: string;
}

export interface SourceReading {
  readonly facts: SourceFacts;
  readonly own: readonly RouterAddress[];
}

/**
 * @param text `databag:DIR`; of what is neither folder nor file here, only the name is known
 * @param folder in which the router runs that was given this text
 */
export async function readSource(text: string, folder = "."): Promise<SourceReading> {
  const colon = text.indexOf(":");
  const scheme = text.slice(0, Math.max(colon, 0));
  const path = resolve(folder, text.slice(colon + 1));
  const base = { text, scheme, path };
  if (scheme === "file") {
    const file = await look(path, path, () => undefined);
    return { facts: { ...base, fault: undefined, files: [file] }, own: [] };
  }
  if (scheme !== "databag") return { facts: { ...base, fault: undefined, files: [] }, own: [] };
  const fault = await folderFault(path);
  if (fault !== undefined) return { facts: { ...base, fault, files: [] }, own: [] };
  let own: readonly RouterAddress[] = [];
  const files = await Promise.all(
    Object.values(NAMES).map((name) =>
      look(name, join(path, name), (content) => {
        const value: unknown = JSON.parse(content);
        if (typeof value !== "object" || value === null) throw new SyntaxError("no object");
        if (name === NAMES.ips) own = guestAddresses(value);
      }),
    ),
  );
  return { facts: { ...base, fault, files }, own };
}

async function look(
  name: string,
  path: string,
  parse: (content: string) => void,
): Promise<SourceFile> {
  try {
    const { mtimeMs, size, isFile } = await statOf(path);
    const at = { name, path, changed: mtimeMs };
    if (!isFile) return { ...at, state: "unreadable" };
    if (size > SOURCE_BYTES_MAX) return { ...at, state: "good" };
    const content = await readFile(path, "utf8");
    try {
      parse(content);
      return { ...at, state: "good" };
    } catch {
      return { ...at, state: "damaged" };
    }
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    const isThere = REASONS[code] !== REASONS.ENOENT && code !== "ENOTDIR";
    return { name, path, state: isThere ? "unreadable" : "absent" };
  }
}

async function statOf(path: string) {
  const found = await stat(path);
  return { mtimeMs: found.mtimeMs, size: found.size, isFile: found.isFile() };
}

function guestAddresses(ips: object): readonly RouterAddress[] {
  return Object.values(ips).flatMap((entries: unknown) =>
    (Array.isArray(entries) ? entries : []).flatMap((entry: Readonly<Record<string, unknown>>) => {
      const { nw_type: type, device, public_ip: address, add } = entry ?? {};
      if (type !== "guest" || add === false) return [];
      if (typeof device !== "string" || typeof address !== "string") return [];
      return [{ device, address }];
    }),
  );
}
