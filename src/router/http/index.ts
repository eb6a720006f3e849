/** Which rim: that of the runtime that runs us. `FRONTDESK_RIM=node` takes node:http on Bun too. */

import type { Rim } from "./rim.ts";

export async function chooseRim(env: NodeJS.ProcessEnv): Promise<Rim> {
  if (process.versions.bun !== undefined && env.FRONTDESK_RIM !== "node") {
    return (await import("./bun.ts")).bunRim;
  }
  return (await import("./node.ts")).nodeRim;
}
