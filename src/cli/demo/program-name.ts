/**
 * How to call this program once more, from the folder that the person is in: what the demo prints
 * must work when it is pasted.
 */

import { delimiter, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** What is known of the program that runs. */
export interface Running {
  /** `import.meta.url` of a module in this folder. */
  readonly module: string;
  readonly execPath: string;
  /** `process.argv[1]`: the script, where there is one. */
  readonly script: string | undefined;
  readonly cwd: string;
  readonly path: string | undefined;
}

/** Names the checkout's bin/frontdesk, the bundle, or the binary; by its name where PATH has it. */
export function programName({ module, execPath, script, cwd, path = "" }: Running): string {
  const file = fileURLToPath(module);
  const folders = path.split(delimiter);
  const called = (program: string): string => {
    const name = relative(dirname(program), program);
    if (folders.includes(dirname(program))) return name;
    const near = relative(cwd, program);
    return quoted(near.includes("/") ? near : `./${near}`);
  };
  const inSource = join("src", "cli", "demo");
  if (dirname(file).endsWith(inSource)) {
    return called(join(dirname(file), "../../../bin/frontdesk"));
  }
  if (script?.endsWith(".mjs") === true) {
    return `${called(execPath)} ${quoted(relative(cwd, resolve(cwd, script)))}`;
  }
  return called(execPath);
}

/** For a shell. */
function quoted(text: string): string {
  return /^[\w./+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
