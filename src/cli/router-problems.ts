/**
 * What `frontdesk router` would refuse in settings whose form is good, as problems with a line: a
 * source that there is not, and one address for both of its listeners.
 */

import type { Problem } from "../config/document.ts";
import { fieldName, type Path } from "../config/field-name.ts";
import type { LoadedConfig } from "../config/load.ts";
import { tryParseListen } from "../model/address.ts";
import { UsageError } from "../model/errors.ts";
import { parseSource } from "../source/index.ts";
import { parseStore } from "../store/index.ts";

export function routerProblems({ config, line }: LoadedConfig): readonly Problem[] {
  const problem = (path: Path, message: string): Problem => {
    return { line: line(path), field: fieldName(path), message };
  };
  const problems: Problem[] = [];
  for (const [field, parse] of [["source", parseSource] as const, ["store", parseStore] as const]) {
    const message = config[field] === undefined ? undefined : flawOf(parse, config[field]);
    if (message !== undefined) problems.push(problem([field], message));
  }
  const spoken = new Map<string, Path>();
  for (const { address, namespace, path } of listeners(config)) {
    const key = `${namespace} ${address}`;
    const first = spoken.get(key);
    if (first === undefined) spoken.set(key, path);
    else if (first.includes("listen") !== path.includes("listen")) {
      const where = `${fieldName(first)} on line ${line(first)}`;
      problems.push(problem(path, `${address} is that of ${where}: each needs its own`));
    }
  }
  return problems;
}

interface Place {
  readonly address: string;
  readonly namespace: string;
  readonly path: Path;
}

/** Those that are said; of `auto` and of port 0 nobody knows yet. */
function* listeners({ networks, ...own }: LoadedConfig["config"]): Generator<Place> {
  const all = [
    { given: own, namespace: "", at: [] },
    ...networks.map((given, index) => {
      return { given, namespace: given.netns ?? "", at: ["networks", index] };
    }),
  ];
  for (const { given, namespace, at } of all) {
    for (const field of ["listen", "passwordListen"] as const) {
      for (const [index, address] of (given[field] ?? []).entries()) {
        if ((tryParseListen(address)?.port ?? 0) === 0) continue;
        yield { address, namespace, path: [...at, field, index] };
      }
    }
  }
}

function flawOf(parse: (text: string) => unknown, text: string): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}
