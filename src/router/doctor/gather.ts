/**
 * Gathers the facts, side by side and in bounded time: first what a router says and what lies on
 * the disk, then what depends on it: who listens, and who can connect.
 *
 * Connects to this machine's own addresses only.
 */

import { tryParseIp } from "../../model/address.ts";
import { readRuleset } from "../../platform/firewall/read.ts";
import { AUTO_PORTS } from "../around.ts";
import { METADATA_ADDRESS } from "../dhcp-lines.ts";
import type { ListenAddress } from "../http/rim.ts";
import type { ListenTarget, Plane } from "../listeners.ts";
import type {
  Admin,
  Connect,
  Facts,
  GuestSide,
  OwnAddress,
  RouterProcess,
  Status,
} from "./facts.ts";
import { READ_MS } from "./limits.ts";
import type { DoctorPorts } from "./ports.ts";
import { readAdmin } from "./read-admin.ts";
import {
  folderOf,
  readClock,
  readCpu,
  readDnsmasq,
  readFileLimit,
  readNeighbours,
  readRouters,
  readSystemd,
  unitOf,
} from "./read-machine.ts";
import { type RouterAddress, readSource } from "./read-source.ts";
import { readHolder, readSealKeyFile, readState } from "./read-state.ts";

/** What to look at. */
export interface Examination {
  readonly stateDir: string;
  readonly admin: ListenAddress;
  /** As it was typed, or made of the state directory. */
  readonly adminAt: string;
  /** What `--admin` and `--state-dir` must say again in a remedy. */
  readonly adminFlags: readonly string[];
  /** Where a router that does not run would read. */
  readonly source: string | undefined;
  readonly sealKey: string | undefined;
}

export async function gather(ports: DoctorPorts, look: Examination): Promise<Facts> {
  const { exec } = ports;
  const addresses = ownAddresses(ports);
  const [admin, state, sealKey, ruleset, clockSynchronized] = await Promise.all([
    readAdmin(ports, look.admin),
    within(readState(look.stateDir), "hidden" as const),
    within(readSealKeyFile(look.stateDir, look.sealKey), { path: "", isElsewhere: false }),
    ports.isRoot ? readRuleset(exec) : undefined,
    readClock(exec),
  ]);
  const status: Status = admin.kind === "answers" ? admin.status : {};
  const lock = readHolder(look.stateDir);
  const text = status.source ?? look.source;
  const nothing = { facts: undefined, own: [] };
  const reading =
    text === undefined ? nothing : await within(readSource(text, folderOf(status.pid)), nothing);
  const connects = await connectsTo(ports, status.listening ?? [], addresses);
  const pid = status.pid ?? (lock?.isAlive === true ? lock.pid : undefined);
  return {
    isRoot: ports.isRoot,
    now: ports.now(),
    systemd: readSystemd(),
    admin,
    adminAt: look.adminAt,
    adminFlags: look.adminFlags,
    stateDir: look.stateDir,
    state,
    sealKey,
    lock,
    source: reading.facts,
    holders: ports
      .holders(portsOf(admin, reading.facts?.scheme))
      .map((one) => ({ ...one, unit: unitOf(one.pid) })),
    connects,
    addresses,
    guestSides: guestSides(addresses, status.listening, reading.own),
    ruleset,
    neighbours: readNeighbours(),
    files: readFileLimit(pid),
    clockSynchronized,
    cpuRunsBun: readCpu(),
    routers: withListeners(readRouters(), ports),
    dnsmasq: readDnsmasq(parsed(addresses)),
  };
}

/** Where each listens, if there are several; a process of another user is not looked into. */
function withListeners(
  routers: readonly RouterProcess[],
  ports: DoctorPorts,
): readonly RouterProcess[] {
  if (routers.length < 2) return routers;
  const holders = ports.holders("all");
  return routers.map((router) => {
    const listening = holders.filter(({ pid }) => pid === router.pid);
    return ports.isRoot || listening.length > 0 ? { ...router, listening } : router;
  });
}

/** A file system that hangs is a fact that is not known. */
async function within<A, B>(promise: Promise<A>, otherwise: B): Promise<A | B> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<B>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), READ_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function ownAddresses(ports: DoctorPorts): readonly OwnAddress[] {
  return Object.entries(ports.interfaces()).flatMap(([device, all]) =>
    (all ?? []).map(({ address }) => ({ device, address: address.split("%", 1)[0] ?? address })),
  );
}

function parsed(addresses: readonly OwnAddress[]) {
  return addresses.flatMap(({ device, address }) => {
    const ip = tryParseIp(address);
    return ip === undefined ? [] : [{ device, address: ip }];
  });
}

const EVERY: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

async function connectsTo(
  ports: DoctorPorts,
  listening: readonly ListenTarget[],
  addresses: readonly OwnAddress[],
): Promise<readonly Connect[]> {
  const own = new Set(addresses.map(({ address }) => address));
  const isOwn = ({ host }: ListenTarget): boolean =>
    host in EVERY || own.has(host) || host.startsWith("127.");
  return await Promise.all(
    listening.filter(isOwn).map(async (target) => {
      const { host, zone, port } = target;
      const at = EVERY[host] ?? (zone === undefined ? host : `${host}%${zone}`);
      return { target, spoken: await ports.connect({ host: at, port }) };
    }),
  );
}

/** The condition's subject: `10.1.1.1:80 (metadata)`. */
const LISTENER = /:(\d+) \((?:metadata|password)\)$/;

/** Ports that a router wants and has not got; without a router, those of a virtual router. */
function portsOf(admin: Admin, scheme: string | undefined): readonly number[] {
  if (admin.kind === "answers") {
    return admin.conditions
      .filter(({ code }) => code === "LISTEN_FAILED")
      .map(({ subject }) => Number(LISTENER.exec(subject)?.[1] ?? 0));
  }
  return scheme === "databag"
    ? (["metadata", "password"] as Plane[]).map((one) => AUTO_PORTS[one])
    : [];
}

/** Where guests ask from, as far as a firewall has to know. IPv4. */
function guestSides(
  addresses: readonly OwnAddress[],
  listening: readonly ListenTarget[] | undefined,
  own: readonly RouterAddress[],
): readonly GuestSide[] {
  const heard = listening?.map(({ host }): string => host) ?? [METADATA_ADDRESS];
  const named = new Set([...own.map(({ address }) => address), ...heard]);
  const here = addresses.filter(
    ({ device, address }) => device !== "lo" && !address.includes(":") && named.has(address),
  );
  return here.flatMap((one): GuestSide[] => {
    // Who asks the link-local address has an address of the network on that device.
    const network = here.find(
      ({ device, address }) => device === one.device && !address.startsWith("169.254."),
    );
    return network === undefined ? [] : [{ ...one, guest: neighbourOf(network.address) }];
  });
}

/** Another address of the same network, whatever the length of its prefix from /30 on down. */
function neighbourOf(address: string): string {
  const parts = address.split(".");
  const last = Number(parts[3]);
  return [...parts.slice(0, 3), last % 4 === 1 ? last + 1 : last - 1].join(".");
}
