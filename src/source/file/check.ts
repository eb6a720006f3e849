/**
 * All that is wrong with a file of instances at once, for `frontdesk config check`; and how such a
 * file is told from one of settings.
 */

import { resolve } from "node:path";
import { type Problem, readYaml } from "../../config/document.ts";
import { fieldName, type Path } from "../../config/field-name.ts";
import { CONFIG_BYTES_MAX } from "../../config/load.ts";
import { nearest } from "../../config/nearest.ts";
import { CONFIG } from "../../config/schema.ts";
import { quote } from "../../model/errors.ts";
import { isHostName } from "../../protocol/host-name.ts";
import { isPublicKey } from "../../protocol/public-keys.ts";
import { Slices } from "../slices.ts";
import { examine, keyOf, NO_MEMORY } from "./load.ts";
import type { PlacedRecord } from "./parse.ts";
import { UserDataFiles } from "./user-data.ts";

export interface InstancesReport {
  /** All that is wrong, in the order of the lines; empty where the file is good. */
  readonly problems: readonly Problem[];
  /** How many the file holds; absent where something is wrong. */
  readonly holds?: {
    readonly instances: number;
    readonly addresses: number;
    readonly networks: number;
  };
}

/**
 * Checks a file of this content as the file source would, files of user data included; and what
 * that takes, but no guest or store can use: names, keys, and instances that are given twice.
 *
 * @param file its path, for what it names beside it
 */
export async function checkInstances(bytes: Buffer, file: string): Promise<InstancesReport> {
  const { signal } = new AbortController();
  const userData = new UserDataFiles();
  const {
    problems: found,
    claims,
    networks,
    records,
    memory,
  } = await examine(bytes, {
    file: resolve(file),
    network: undefined,
    memory: NO_MEMORY,
    slices: new Slices(signal),
    readUserData: (path) => userData.read(path, signal),
  });
  const networkOf = ({ record }: PlacedRecord) => memory.claims.get(record)?.[0]?.content.network;
  const problems = [
    ...found,
    ...records.flatMap((placed) => [...unusable(placed)]),
    ...givenTwice(records, networkOf),
  ];
  if (problems.length > 0) return { problems: [...problems].sort((a, b) => a.line - b.line) };
  const instances = new Set([...claims.values()].map(({ content }) => content.instance)).size;
  return {
    problems,
    holds: { instances, addresses: claims.size, networks: networks.length },
  };
}

/** What the router tells as it stands, and no guest can use. */
function* unusable({ record, index, line }: PlacedRecord): Generator<Problem> {
  const problem = (path: Path, message: string): Problem => {
    return { line: line(path), field: fieldName(["instances", index, ...path]), message };
  };
  if (!isHostName(record.name)) {
    yield problem(["name"], "is no host name: letters, digits and dashes, parts with dots between");
  }
  for (const [at, key] of (record.publicKeys ?? []).entries()) {
    if (!isPublicKey(key))
      yield problem(["publicKeys", at], "is no public key: write TYPE BASE64, as ssh-keygen does");
  }
}

/** A record of an instance in a network that has one already: a store would keep the last. */
function* givenTwice(
  records: readonly PlacedRecord[],
  networkOf: (placed: PlacedRecord) => string | undefined,
): Generator<Problem> {
  const seen = new Map<string, PlacedRecord>();
  for (const placed of records) {
    const { index, line, record } = placed;
    const network = networkOf(placed);
    if (network === undefined) continue;
    const key = keyOf(network, record.id);
    const first = seen.get(key);
    seen.set(key, first ?? placed);
    if (first === undefined) continue;
    const where = `here and on line ${first.line(["id"])}; one record has all its NICs`;
    const message = `${quote(record.id)} is given twice in network ${network}, ${where}`;
    yield { line: line(["id"]), field: fieldName(["instances", index, "id"]), message };
  }
}

/** A line that begins the list of instances; a mark of the byte order may stand before it. */
const LIST = /^(?:\u00ef\u00bb\u00bf)?instances[ \t]*:/m;

/**
 * Whether a file holds instances, or is meant to, rather than settings. What cannot be read as YAML
 * is told by its lines.
 */
export function holdsInstances(bytes: Buffer): boolean {
  if (LIST.test(bytes.toString("latin1"))) return true;
  // Such a file is too long for settings, and reading it a second time takes long.
  if (bytes.length > CONFIG_BYTES_MAX) return true;
  const result = readYaml(bytes.toString("utf8"));
  const value = "document" in result ? result.document.value : undefined;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const names = Object.keys(value);
  if (names.includes("instances")) return true;
  const isMeant = names.some((name) => nearest(name, ["instances"]) !== undefined);
  // `networks` stands in both.
  return isMeant && !names.some((name) => name !== "networks" && name in CONFIG.shape);
}
