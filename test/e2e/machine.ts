/**
 * A guest's machine: the programs of this one, in a guest namespace, on files that are thrown away.
 *
 * Programs there see a whole Debian that boots for the first time: they may add users, write /etc
 * and set the host name. See `machine.sh` for what stands between them and the real files.
 */

import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import type { Lab, Place } from "./lab.ts";
import { type Done, type RunOptions, run, start } from "./program.ts";

/** What CloudStack's KVM hosts write into a guest's DMI. */
const PRODUCT = "CloudStack KVM Hypervisor";
const PROJECT = join(import.meta.dirname, "..", "..");
const START_MS_MAX = 5_000;
/** A guest has Debian's programs, not what the caller's PATH puts before them. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface Machine extends AsyncDisposable {
  run(argv: readonly string[], options?: RunOptions): Promise<Done>;
  /** As `run`, and rejects unless the exit code is 0. */
  ok(argv: readonly string[], options?: RunOptions): Promise<string>;
  /** The bytes of a file as the guest sees it. */
  read(path: string): Promise<Buffer>;
}

/** Starts a machine at one of the lab's guests. */
export async function startMachine(lab: Lab, guest: Place): Promise<Machine> {
  const folder = await mkdtemp(join(lab.folder, "machine-"));
  const script = join(import.meta.dirname, "machine.sh");
  const apart = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"];
  const program = start(
    guest.command(["unshare", ...apart, "sh", script, folder, PRODUCT, PROJECT]),
  );
  await program.says(/^ready$/m, START_MS_MAX);
  const init = childOf(program.pid);
  const enter = ["nsenter", `--target=${init}`, "--mount", "--uts", "--ipc", "--net", "--pid"];
  const inside = (argv: readonly string[]) => [
    ...[...enter, "--root", "--wd"],
    ...["env", "-i", `PATH=${PATH}`, "HOME=/root", "LC_ALL=C.UTF-8", ...argv],
  ];
  const done = (argv: readonly string[], options?: RunOptions) => run(inside(argv), options);
  const ok = async (argv: readonly string[], options?: RunOptions) => {
    const { code, stdout, stderr } = await done(argv, options);
    if (code !== 0) throw new Error(`${argv.join(" ")}: exit ${code}\n${stdout}${stderr}`);
    return stdout.toString();
  };
  return {
    run: done,
    ok,
    async read(path) {
      const { code, stdout, stderr } = await done(["cat", path]);
      if (code !== 0) throw new Error(stderr);
      return stdout;
    },
    async [Symbol.asyncDispose]() {
      // The first process of a PID namespace takes all others with it, and heeds only SIGKILL.
      program.signal("SIGKILL");
      await program.ended;
    },
  };
}

function childOf(parent: number): number {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      const [, ppid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(ppid) === parent) return Number(name);
    } catch {
      // Ended while we looked.
    }
  }
  throw new Error(`process ${parent} has no child`);
}
