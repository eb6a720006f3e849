/** How a field of a YAML file is named in messages. Needs no library. */

import { quote } from "../model/errors.ts";

export type Path = readonly PropertyKey[];

/** `["instances", 3, "name"]` as `instances[3].name`. */
export function fieldName(path: Path): string {
  let name = "";
  for (const part of path) {
    if (typeof part === "number") name += `[${part}]`;
    else if (/^[\w-]{1,64}$/.test(String(part)))
      name += name === "" ? String(part) : `.${String(part)}`;
    else name += `[${quote(String(part))}]`;
  }
  return name;
}
