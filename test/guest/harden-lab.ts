/**
 * A guest before a metadata service that answers on both IP versions and both ports, with a
 * container behind a bridge of the guest: what `harden` is tried on.
 */

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Lab, LINK_LOCAL_ADDRESS, openLab, type Place, ROUTER_ADDRESS } from "../e2e/lab.ts";
import { onEnd, removeNamespace, uniqueName } from "../e2e/leftovers.ts";
import { ok, type Program, type RunOptions } from "../e2e/program.ts";

const PROGRAM = join(import.meta.dirname, "../../src/guest/main.ts");
const GUEST = { mac: "02:00:5a:10:00:11", address: "10.1.1.11" };

/** Another address of the router's, to which the guest's default route can move. */
export const OTHER_ROUTER_ADDRESS = "10.1.1.2";

/** Where the service answers; the last one only on the guest's own link. */
export const HOSTS = [
  LINK_LOCAL_ADDRESS,
  ROUTER_ADDRESS,
  "[fd00:ec2::254]",
  "[fd00:1::1]",
  "[fe80::a9fe:a9fe%25eth0]",
] as const;
export const SERVICE_PORTS = [80, 8080] as const;

/** An ordinary user that nobody knows. */
export const STRANGER = "54321";

/** Holds each connection open after its answer, so that the client is the one who closes. */
const SERVER = `
  const answer = (request, reply) => reply.end("metadata");
  const ports = [80, 81, 8080];
  for (const port of ports) require("node:http").createServer(answer).listen(port, "::", () => {
    if (ports.pop() && ports.length === 0) console.log("ready");
  });
`;

export interface HardenLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly guest: Place;
  readonly router: Place;
  readonly container: Place;
  /** Runs our program in the guest. Answers its exit code and what it printed. */
  harden(...words: readonly string[]): Promise<{ code: number; out: string }>;
  /** How a request of a user's ends: `passes`, `refused` at once, or curl's exit code. */
  ask(url: string, who?: Who): Promise<string>;
  /** The same from the container, by its root. */
  askFromContainer(url: string): Promise<string>;
  /** A command in the guest that must succeed. */
  ok(words: string, options?: RunOptions): Promise<string>;
}

export interface Who {
  readonly user: string;
  readonly group?: string;
}

export async function openHardenLab(): Promise<HardenLab> {
  const lab = await openLab({ guests: [GUEST] });
  try {
    const [guest] = lab.guests;
    if (guest === undefined) throw new Error("the lab has no guest");
    const { router } = lab;
    for (const address of [`${OTHER_ROUTER_ADDRESS}/24`, ...IPV6]) {
      ip(router, `address add ${address} dev eth0${address.includes(":") ? " nodad" : ""}`);
    }
    ip(guest, "address add fd00:1::11/64 dev eth0 nodad");
    ip(guest, "route add default via fd00:1::1");
    const container = addContainer(lab, guest);
    const server = router.start([process.execPath, "-e", SERVER]);
    await server.says(/ready/);
    return labOf({ lab, guest, router, container, server });
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

const IPV6 = ["fd00:1::1/64", "fd00:ec2::254/128", "fe80::a9fe:a9fe/64"] as const;

/** For resolv.conf: nobody is there, and loopback says so at once. */
export const NO_RESOLVER = "nameserver 127.0.0.1\n";

/** Silence of this machine's own DNS servers would cost each run two seconds. */
const WITH_RESOLVER = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';

function labOf(parts: {
  lab: Lab;
  guest: Place;
  router: Place;
  container: Place;
  server: Program;
}): HardenLab {
  const { lab, guest, container, server } = parts;
  const resolver = join(lab.folder, "resolv.conf");
  writeFileSync(resolver, NO_RESOLVER);
  const curl = async (place: Place, before: readonly string[], url: string): Promise<string> => {
    const flags = ["--silent", "--globoff", "--noproxy", "*", "--max-time", "3"];
    const done = await place.run([...before, "curl", ...flags, url]);
    if (done.code === 0 && done.stdout.toString() === "metadata") return "passes";
    return done.code === 7 ? "refused" : `curl ${done.code}`;
  };
  return {
    ...parts,
    async harden(...words) {
      const argv = [process.execPath, PROGRAM, "harden", ...words];
      const done = await guest.run(["sh", "-c", WITH_RESOLVER, resolver, ...argv]);
      return { code: done.code, out: `${done.stdout}${done.stderr}` };
    },
    ask(url, { user, group = user } = { user: "0" }) {
      const as = ["setpriv", `--reuid=${user}`, `--regid=${group}`, "--clear-groups"];
      return curl(guest, as, url);
    },
    askFromContainer: (url) => curl(container, [], url),
    ok: (words, options) => ok(guest.command(["sh", "-c", words]), options),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      removeNamespace(container.name);
      await lab[Symbol.asyncDispose]();
    },
  };
}

/** A namespace behind a bridge of the guest, which forwards for it. */
function addContainer(lab: Lab, guest: Place): Place {
  const name = uniqueName("container");
  onEnd(() => removeNamespace(name));
  run(["ip", "netns", "add", name]);
  const place: Place = {
    ...guest,
    name,
    command: (argv) => ["ip", "netns", "exec", name, ...argv],
    run: (argv, options) => guest.run(["ip", "netns", "exec", name, ...argv], options),
    start: (argv, options) => guest.start(["ip", "netns", "exec", name, ...argv], options),
  };
  ip(guest, "link add br0 type bridge");
  ip(guest, `link add port0 type veth peer name eth0 netns ${name}`);
  ip(guest, "link set port0 master br0 up");
  ip(guest, "link set br0 up");
  ip(guest, "address add 172.18.0.1/24 dev br0");
  ip(guest, "address add fd00:2::1/64 dev br0 nodad");
  ip(place, "link set eth0 up");
  ip(place, "address add 172.18.0.2/24 dev eth0");
  ip(place, "address add fd00:2::2/64 dev eth0 nodad");
  ip(place, "route add default via 172.18.0.1");
  ip(place, "route add default via fd00:2::1");
  for (const key of ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]) {
    run([...guest.command(["sysctl", "-q", "-w", `${key}=1`])]);
  }
  ip(lab.router, "route add 172.18.0.0/24 via 10.1.1.11");
  ip(lab.router, "route add fd00:2::/64 via fd00:1::11");
  return place;
}

function ip(place: Place, words: string): void {
  run(["ip", "-n", place.name, ...words.split(" ")]);
}

function run([file = "", ...args]: readonly string[]): void {
  const done = spawnSync(file, args, { encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${file} ${args.join(" ")}: ${done.stderr}`);
}
