/**
 * A network of its own for one test: a router namespace and guest namespaces behind its bridge.
 *
 *     await using lab = await openLab({ guests: [{ mac: "02:00:5a:10:00:07" }] });
 *     await lab.guests[0].run(["curl", "http://10.1.1.1/latest/meta-data/"]);
 *
 * The router has 10.1.1.1/24 and 169.254.169.254 on its guest interface `eth0`, as CloudStack's
 * router of an isolated network would. The machine's own interfaces, routes and files stay as
 * they are: even the veth pairs are made inside the namespaces.
 */

import { spawnSync } from "node:child_process";
import { onEnd, removeNamespace, scratchFolder, uniqueName } from "./leftovers.ts";
import { type Done, type Program, type RunOptions, run, start } from "./program.ts";

/** The router's address in the guest network, and the link-local one that EC2's clients use. */
export const ROUTER_ADDRESS = "10.1.1.1";
export const LINK_LOCAL_ADDRESS = "169.254.169.254";
const PREFIX_LENGTH = 24;

export interface GuestOptions {
  readonly mac: string;
  /** Set by hand, with a default route; without it the guest has none until it asks DHCP. */
  readonly address?: string;
}

/** A namespace in which programs can be started. */
export interface Place {
  readonly name: string;
  run(argv: readonly string[], options?: RunOptions): Promise<Done>;
  start(argv: readonly string[], options?: RunOptions): Program;
  /** The command line that runs `argv` there. */
  command(argv: readonly string[]): readonly string[];
}

export interface Lab extends AsyncDisposable {
  /** A scratch folder that goes with the lab. */
  readonly folder: string;
  readonly router: Place;
  readonly guests: readonly Place[];
}

/** Makes the network. @throws {Error} if a step fails; then what was made is removed again. */
export async function openLab(options: { readonly guests: readonly GuestOptions[] }): Promise<Lab> {
  const folder = scratchFolder("lab");
  const removals: (() => void)[] = [];
  const add = (role: string): Place => {
    const name = uniqueName(role);
    removals.push(onEnd(() => removeNamespace(name)));
    ip("netns", "add", name);
    ip("-n", name, "link", "set", "lo", "up");
    return place(name);
  };
  const close = (): void => {
    for (const remove of removals.reverse()) remove();
    folder[Symbol.dispose]();
  };
  try {
    const router = add("router");
    ip("-n", router.name, "link", "add", "eth0", "type", "bridge");
    const cidr = `${ROUTER_ADDRESS}/${PREFIX_LENGTH}`;
    ip("-n", router.name, "address", "add", cidr, "broadcast", "+", "dev", "eth0");
    ip("-n", router.name, "address", "add", `${LINK_LOCAL_ADDRESS}/32`, "dev", "eth0");
    ip("-n", router.name, "link", "set", "eth0", "up");
    const guests = options.guests.map((guest, index) => {
      const made = add(`guest${index}`);
      attach(made.name, router.name, `port${index}`, guest);
      return made;
    });
    return {
      folder: folder.path,
      router,
      guests,
      async [Symbol.asyncDispose]() {
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

const said = new Set<string>();

/**
 * Why labs cannot be opened on this machine, for `test.skipIf`; `undefined` where they can.
 * Prints the reason once, because a skipped test should say what it needs.
 */
export function labMissing(tools: readonly string[]): string | undefined {
  const reason = missing(tools);
  if (reason !== undefined && !said.has(reason)) console.warn(`skipped: ${reason}`);
  if (reason !== undefined) said.add(reason);
  return reason;
}

function missing(tools: readonly string[]): string | undefined {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  for (const tool of ["ip", "unshare", ...tools]) {
    if (!hasTool(tool)) return `the program ${tool} is not installed`;
  }
  const tried = spawnSync("unshare", ["--net", "--mount", "true"], { encoding: "utf8" });
  if (tried.status !== 0) return `no namespaces here: ${tried.stderr.trim()}`;
  return undefined;
}

/** Whether the program is installed. */
export function hasTool(name: string): boolean {
  return spawnSync("sh", ["-c", `command -v "$0"`, name]).status === 0;
}

/** A cable from the router's bridge to the guest's `eth0`. */
function attach(guest: string, router: string, port: string, options: GuestOptions): void {
  ip("-n", router, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", guest);
  ip("-n", router, "link", "set", port, "master", "eth0", "up");
  ip("-n", guest, "link", "set", "eth0", "address", options.mac, "up");
  if (options.address === undefined) return;
  ip("-n", guest, "address", "add", `${options.address}/${PREFIX_LENGTH}`, "dev", "eth0");
  ip("-n", guest, "route", "add", "default", "via", ROUTER_ADDRESS);
}

function place(name: string): Place {
  const command = (argv: readonly string[]) => ["ip", "netns", "exec", name, ...argv];
  return {
    name,
    command,
    run: (argv, options) => run(command(argv), options),
    start: (argv, options) => start(command(argv), options),
  };
}

function ip(...args: readonly string[]): void {
  const done = spawnSync("ip", args, { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`ip ${args.join(" ")}: ${done.stderr.trim()}`);
}
