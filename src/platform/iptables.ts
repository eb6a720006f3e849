/**
 * Runs `iptables` and `ip6tables`, of either flavour: `legacy`, which has tables of its own in the
 * kernel, and `nf_tables`, which writes nftables' tables `ip filter` and `ip6 filter`.
 *
 * Only save and restore are used: a restore is one transaction for each IP version.
 */

import { ExecError } from "../model/errors.ts";
import type { Exec } from "./exec.ts";
import { must } from "./nftables.ts";

export type IpVersion = 4 | 6;
export type Flavour = "legacy" | "nf_tables";

/** Seconds to wait for another program that holds the lock of the tables. */
const LOCK_SECONDS = "5";

/** As in nftables.ts; stdin of the restore is that of the shell. */
const REHEARSAL = '"$0" --noflush >&2 && exec "$1" -t filter';

export interface Iptables {
  readonly version: IpVersion;
  readonly flavour: Flavour;
  /** The table `filter` as text; `""` if it is not loaded, and then it is not loaded by this. */
  save(): Promise<string>;
  /** What `save` would say if only `script` were loaded. Touches nothing. */
  rehearse(script: string): Promise<string>;
  /** Loads a script, in one transaction; what it does not name stays. */
  restore(script: string): Promise<void>;
}

/** The installed programs for one IP version; the one called plainly `iptables` comes first. */
export async function findIptables(exec: Exec, version: IpVersion): Promise<readonly Iptables[]> {
  const plain = version === 4 ? "iptables" : "ip6tables";
  const found: Iptables[] = [];
  for (const name of [plain, `${plain}-legacy`, `${plain}-nft`]) {
    const flavour = await flavourOf(exec, name);
    if (flavour === undefined || found.some((other) => other.flavour === flavour)) continue;
    found.push(openIptables(exec, { version, flavour, name }));
  }
  return found;
}

/** `iptables v1.8.9 (nf_tables)`; before 1.8 there was only one flavour, and no word for it. */
async function flavourOf(exec: Exec, name: string): Promise<Flavour | undefined> {
  try {
    const { code, stdout } = await exec([name, "-V"]);
    if (code !== 0) return undefined;
    return stdout.includes("(nf_tables)") ? "nf_tables" : "legacy";
  } catch (error) {
    if (error instanceof ExecError) return undefined;
    throw error;
  }
}

function openIptables(
  exec: Exec,
  { version, flavour, name }: { version: IpVersion; flavour: Flavour; name: string },
): Iptables {
  const save = `${name}-save`;
  const restore = `${name}-restore`;
  return {
    version,
    flavour,
    // Asked for by name, a table of the older flavour would be made by the question.
    save: async () =>
      /^\*filter\n[\s\S]*?^COMMIT$/m.exec(must(save, await exec([save])).stdout)?.[0] ?? "",
    async rehearse(script) {
      const argv = ["unshare", "--net", "sh", "-c", REHEARSAL, restore, save];
      return must(restore, await exec(argv, { input: script })).stdout;
    },
    async restore(script) {
      const argv = [restore, "--noflush", "--wait", LOCK_SECONDS];
      must(restore, await exec(argv, { input: script }));
    },
  };
}
