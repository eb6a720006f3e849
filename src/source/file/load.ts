/**
 * From the bytes of the file to claims: what spans records is decided here. Which network a record
 * means, whether its addresses lie within, and that no address is claimed twice.
 *
 * All or nothing: one problem refuses the whole file, because half a lab explains itself worse.
 */

import { dirname, resolve } from "node:path";
import { firstOf, PROBLEMS_MAX, type Problem } from "../../config/document.ts";
import { fieldName, type Path } from "../../config/field-name.ts";
import { didYouMean } from "../../config/nearest.ts";
import { overlap } from "../../config/ranges.ts";
import { type Cidr, contains, type Ip, parseCidr } from "../../model/address.ts";
import type { NetworkId } from "../../model/binding.ts";
import type { Network } from "../../model/change.ts";
import { quote, SourceError } from "../../model/errors.ts";
import type { Slices } from "../slices.ts";
import { FileProblem } from "./files.ts";
import { type PlacedRecord, parse, type RecordCache } from "./parse.ts";
import { type Claim, claimsOf, userDataOf } from "./record.ts";
import type { FileHead, FileRecord } from "./schema.ts";

export interface Loaded {
  readonly networks: readonly Network[];
  readonly claims: ReadonlyMap<string, Claim>;
  readonly memory: Memory;
}

/** What one load leaves for the next, so that only what changed is worked on. */
export interface Memory {
  readonly records: RecordCache;
  readonly claims: ReadonlyMap<FileRecord, readonly Claim[]>;
  /** All that the claims depend on beside their record. */
  readonly networkIds: string;
}

export const NO_MEMORY: Memory = { records: new Map(), claims: new Map(), networkIds: "" };

export interface LoadOptions {
  /** The file's path, absolute. */
  readonly file: string;
  /** `--network`. */
  readonly network: NetworkId | undefined;
  readonly memory: Memory;
  readonly slices: Slices;
  /** Reads a file of user data; gives the same bytes object while the file is unchanged. */
  readonly readUserData: (path: string) => Promise<Uint8Array>;
}

/** The network of a file that names none, where `--network` names none either. */
const NETWORK_DEFAULT: NetworkId = "lab";

/** How a claim's place is keyed. */
export function keyOf(network: NetworkId, address: string): string {
  return `${network} ${address}`;
}

/** @throws {SourceError} naming the first problem and counting the others. */
export async function load(bytes: Buffer, options: LoadOptions): Promise<Loaded> {
  const { problems, records: _, ...loaded } = await examine(bytes, options);
  const [first, ...others] = problems;
  if (first !== undefined) throw failure(options.file, [first, ...others]);
  return loaded;
}

interface Examined {
  readonly problems: readonly LoadProblem[];
  readonly records: readonly PlacedRecord[];
}

/** As `load`, with all that is wrong instead of a failure; then the rest is not to be served. */
export async function examine(bytes: Buffer, options: LoadOptions): Promise<Loaded & Examined> {
  const parsed = await parse(bytes, options.memory.records, options.slices);
  const problems: LoadProblem[] = [...parsed.problems];
  const networks = parsed.head.networks ?? [];
  const ranges = rangesOf(networks, parsed.headLine, problems);
  const chooser: Chooser = {
    known: [...new Set(networks.map(({ id }) => id))],
    wanted: options.network,
  };
  const networkIds = JSON.stringify(chooser);
  const former = networkIds === options.memory.networkIds ? options.memory.claims : undefined;
  const claims = new Map<string, Claim>();
  const byRecord = new Map<FileRecord, readonly Claim[]>();
  // By address alone: one router serves one namespace, and there an address is one guest's.
  const owners = new Map<Ip, { readonly placed: PlacedRecord; readonly field: Path }>();
  for (const placed of parsed.records) {
    if (options.slices.due()) await options.slices.rest();
    if (problems.length >= PROBLEMS_MAX) break;
    const mine = await claim(placed, { chooser, former, options }, problems);
    byRecord.set(placed.record, mine);
    for (const one of mine) {
      const { network, address } = one.content;
      const key = keyOf(network, address);
      const owner = owners.get(address);
      const cidrs = ranges.get(network) ?? [];
      if (owner !== undefined) {
        const where = `on line ${owner.placed.line(owner.field)}`;
        problems.push(at(placed, one.field, `${address} is claimed twice, here and ${where}`));
      } else if (cidrs.length > 0 && !cidrs.some((cidr) => contains(cidr, address))) {
        const range = cidrs.map(({ text }) => text).join(", ");
        problems.push(
          at(placed, one.field, `${address} lies outside network ${network}, ${range}`),
        );
      }
      owners.set(address, { placed, field: one.field });
      claims.set(key, one);
    }
  }
  const memory = { records: parsed.cache, claims: byRecord, networkIds };
  return {
    networks: networksOf(networks, claims, options.network),
    ...{ claims, memory, problems, records: parsed.records },
  };
}

type Networks = NonNullable<FileHead["networks"]>;

export interface LoadProblem extends Problem {
  readonly code?: SourceError["code"];
}

/** How the network of a record is found that names none. */
interface Chooser {
  readonly known: readonly NetworkId[];
  readonly wanted: NetworkId | undefined;
}

async function claim(
  placed: PlacedRecord,
  context: {
    readonly chooser: Chooser;
    readonly former: ReadonlyMap<FileRecord, readonly Claim[]> | undefined;
    readonly options: LoadOptions;
  },
  problems: LoadProblem[],
): Promise<readonly Claim[]> {
  const { record } = placed;
  const { chooser, former, options } = context;
  const given = typeof record.userData === "string" ? undefined : record.userData?.file;
  const held = former?.get(record);
  if (held !== undefined && given === undefined) return held;
  const network = networkOf(record, chooser);
  if (network.problem !== undefined) {
    problems.push(at(placed, ["network"], network.problem));
    return [];
  }
  let userData = userDataOf(record);
  if (given !== undefined) {
    try {
      userData = await options.readUserData(resolve(dirname(options.file), given));
    } catch (error) {
      if (!(error instanceof FileProblem)) throw error;
      const message = `${quote(given)} ${error.message}`;
      problems.push({ ...at(placed, ["userData", "file"], message), code: error.code });
    }
    if (held !== undefined && held[0]?.content.userData === userData) return held;
  }
  return claimsOf(record, { network: network.id, userData, place: options.file });
}

function networkOf(
  record: FileRecord,
  { known, wanted }: Chooser,
): { readonly id: NetworkId; readonly problem?: undefined } | { readonly problem: string } {
  const id = record.network;
  if (id !== undefined && known.length > 0 && !known.includes(id)) {
    return { problem: `there is no network ${quote(id)}${didYouMean(id, known)}` };
  }
  if (id !== undefined) return { id };
  if (known.length > 1 && !(wanted !== undefined && known.includes(wanted))) {
    return { problem: "is missing, and the file has more than one network" };
  }
  if (known.length === 1 && known[0] !== undefined) return { id: known[0] };
  return { id: wanted ?? NETWORK_DEFAULT };
}

/** The ranges of each network; reports networks given twice and ranges that overlap. */
function rangesOf(
  networks: Networks,
  line: (path: Path) => number,
  problems: LoadProblem[],
): Map<NetworkId, Cidr[]> {
  const ranges = new Map<NetworkId, Cidr[]>();
  const all = networks.flatMap(({ id, cidrs = [] }, index) => {
    if (ranges.has(id)) {
      const path = ["networks", index, "id"];
      const message = `network ${quote(id)} is given twice`;
      problems.push({ line: line(path), field: fieldName(path), message });
    }
    const parsed = cidrs.map((text, number) => ({
      cidr: parseCidr(text),
      owner: id,
      tag: ["networks", index, "cidrs", number],
    }));
    ranges.set(id, [...(ranges.get(id) ?? []), ...parsed.map(({ cidr }) => cidr)]);
    return parsed;
  });
  const [first, second] = overlap(all) ?? [];
  if (first !== undefined && second !== undefined) {
    const message =
      `${second.cidr.text} overlaps ${first.cidr.text} ` +
      `of network ${first.owner} on line ${line(first.tag)}`;
    problems.push({ line: line(second.tag), field: fieldName(second.tag), message });
  }
  return ranges;
}

function networksOf(
  given: Networks,
  claims: ReadonlyMap<string, Claim>,
  wanted: NetworkId | undefined,
): Network[] {
  if (given.length > 0) {
    return given.map(({ id, cidrs = [], dnsDomain }) => ({
      id,
      cidrs,
      ...(dnsDomain !== undefined && { dnsDomain }),
    }));
  }
  const ids = new Set([...claims.values()].map(({ content }) => content.network));
  if (ids.size === 0) ids.add(wanted ?? NETWORK_DEFAULT);
  return [...ids].map((id) => ({ id, cidrs: [] }));
}

function at(placed: PlacedRecord, path: Path, message: string): LoadProblem {
  return {
    line: placed.line(path),
    field: fieldName(["instances", placed.index, ...path]),
    message,
  };
}

function failure(file: string, problems: readonly [LoadProblem, ...LoadProblem[]]): SourceError {
  const { code = "SOURCE_MALFORMED", message, line, field } = firstOf(problems);
  return new SourceError(code, message, { file, line, ...(field !== "" && { field }) });
}
