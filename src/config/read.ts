/**
 * Reads the configuration file: the part of `load.ts` that needs the YAML and schema libraries.
 */

import { dirname, isAbsolute, join } from "node:path";
import type { core } from "zod";
import { parseCidr } from "../model/address.ts";
import { CONTROLLER_PATHS, CONTROLLER_PLACES } from "./controller.ts";
import { type Problem, readYaml, type YamlDocument } from "./document.ts";
import { fieldName, type Path } from "./field-name.ts";
import { explain, validate } from "./issues.ts";
import { overlap } from "./ranges.ts";
import { CONFIG, type Config, type NetworkConfig } from "./schema.ts";

export interface ReadConfig {
  /** Absent where there are problems. */
  readonly config?: Config;
  /** Where there are problems: what has none, so that others can look for more. */
  readonly rest?: Config;
  readonly problems: readonly Problem[];
  /** The line on which a field stands. */
  line(path: Path): number;
}

/** Reads the text of `file`; paths in it are relative to the folder of the file. */
export function readConfig(text: string, file: string): ReadConfig {
  const result = readYaml(text);
  if (!("document" in result)) return { problems: [result.problem], line: () => 1 };
  const { document } = result;
  const { line } = document;
  // A file with nothing but comments configures nothing, and that is no mistake.
  const value = document.value ?? {};
  const valid = validate(CONFIG, value);
  const good = "data" in valid ? valid.data : restOf(value, valid.issues);
  const ofForm = "data" in valid ? [] : explain(valid.issues, { document, at: [] });
  const problems = ofForm.map((problem) =>
    problem.field === "instances" ? { ...problem, message: INSTANCES } : problem,
  );
  if (good === undefined) return { problems, line };
  problems.push(...clashes(good.networks, document));
  const config = rebase(good, file);
  return problems.length > 0 ? { rest: config, problems, line } : { config, problems, line };
}

/** The file without what is wrong: a setting, also of the controller's, is left out as a whole. */
function restOf(value: unknown, issues: readonly core.$ZodIssue[]): Config | undefined {
  const rest: Fields = { ...(value as Fields) };
  const { controller } = rest;
  const section = isFields(controller) ? { ...controller } : undefined;
  for (const [first, second] of issues.flatMap(pathsOf)) {
    // It is no mapping; or nothing can be left out, and that would be so again.
    if (first === undefined || !(first in (value as Fields))) return undefined;
    if (first !== "controller" || second === undefined) delete rest[first];
    else if (section !== undefined && second in (controller as Fields)) delete section[second];
    else return undefined;
  }
  if (section !== undefined && "controller" in rest) rest.controller = section;
  const valid = validate(CONFIG, rest);
  // What is left may miss what is not: that is no problem of its own.
  return "data" in valid ? valid.data : restOf(rest, valid.issues);
}

type Fields = Record<PropertyKey, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function pathsOf(issue: core.$ZodIssue): Path[] {
  if (issue.code !== "unrecognized_keys") return [issue.path];
  return issue.keys.map((key) => [...issue.path, key]);
}

/** What is said of the field that makes a file one of instances. */
const INSTANCES = "this is a file of instances; give it with --source file:PATH, not as settings";

/** Ids given twice; ranges that overlap within one network namespace. */
function clashes(networks: readonly NetworkConfig[], document: YamlDocument): Problem[] {
  const problem = (path: Path, message: string): Problem => ({
    line: document.line(path),
    field: fieldName(path),
    message,
  });
  const ids = new Map<string, number>();
  const twice = networks.flatMap(({ id }, index) => {
    const first = ids.get(id);
    ids.set(id, first ?? index);
    if (first === undefined) return [];
    const line = document.line(["networks", first, "id"]);
    return [
      problem(["networks", index, "id"], `network ${id} is given twice, here and on line ${line}`),
    ];
  });
  const namespaces = new Set(networks.map(({ netns }) => netns));
  const overlaps = [...namespaces].flatMap((namespace) => {
    const ranges = networks.flatMap(({ netns, cidrs }, index) =>
      (netns === namespace ? cidrs : []).map((text, number) => ({
        cidr: parseCidr(text),
        owner: String(index),
        tag: ["networks", index, "cidrs", number],
      })),
    );
    const [first, second] = overlap(ranges) ?? [];
    if (first === undefined || second === undefined) return [];
    const id = networks[Number(first.owner)]?.id;
    const where = `of network ${id} on line ${document.line(first.tag)}, in the same namespace`;
    return [problem(second.tag, `${second.cidr.text} overlaps ${first.cidr.text} ${where}`)];
  });
  return [...twice, ...overlaps];
}

/** Makes paths absolute: a service's working directory is no place that an operator thinks of. */
function rebase(config: Config, file: string): Config {
  const path = (text: string): string => (isAbsolute(text) ? text : join(dirname(file), text));
  const place = (text: string): string =>
    text.replace(
      /^(file|databag|sqlite|unix):(.+)$/,
      (_, scheme, rest) => `${scheme}:${path(rest)}`,
    );
  const each = <T extends object>(
    value: T,
    names: readonly string[],
    to: (t: string) => string,
  ): T =>
    Object.fromEntries(
      Object.entries(value).map(([name, given]) => [
        name,
        names.includes(name) && typeof given === "string" ? to(given) : given,
      ]),
    ) as T;
  const files = ["stateDir", "sealKey", "cacheDir", "passwordTokenFile"];
  const rebased = each(each(config, files, path), ["source", "store", "adminListen"], place);
  return {
    ...rebased,
    networks: rebased.networks.map((network) => ({
      ...each(network, ["source", "store"], place),
      leaseFiles: network.leaseFiles.map(path),
    })),
    ...(rebased.controller !== undefined && {
      controller: each(each(rebased.controller, CONTROLLER_PATHS, path), CONTROLLER_PLACES, place),
    }),
    ...(rebased.admin !== undefined && { admin: each(rebased.admin, ["listen"], place) }),
  };
}
