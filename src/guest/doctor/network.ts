/**
 * Addresses, routes and neighbours, as `ip -j` tells them. Where iproute2 is missing, or is
 * BusyBox's, these facts are not known.
 */

import { ExecError } from "../../model/errors.ts";
import type { Exec } from "../../platform/exec.ts";

export interface Address {
  readonly device: string;
  readonly address: string;
  readonly prefix: number;
  readonly isUp: boolean;
  readonly mtu: number;
}

export interface Route {
  /** `unicast`, `local`, `blackhole`, `unreachable`, `prohibit`, … */
  readonly type: string;
  /** `default`, `10.1.1.0/24`, `169.254.169.254`. */
  readonly to: string;
  readonly device: string;
  readonly gateway: string | undefined;
  readonly source: string | undefined;
  readonly table: string;
}

/** What the kernel would do with a packet to an address. */
export type RouteLookup =
  | {
      readonly kind: "found";
      readonly device: string;
      readonly gateway: string | undefined;
      readonly source: string | undefined;
      /** The address is this instance's own. */
      readonly local: boolean;
    }
  | { readonly kind: "none"; readonly words: string };

export interface Neighbour {
  readonly address: string;
  readonly device: string;
  /** `REACHABLE`, `STALE`, `FAILED`, `INCOMPLETE`, `PERMANENT`, … */
  readonly state: string;
  readonly mac: string | undefined;
}

/** `ip` answers from the kernel: what takes longer hangs. ms. */
const IP_MS_MAX = 2_000;

type Json = Readonly<Record<string, unknown>>;

export async function readAddresses(exec: Exec): Promise<readonly Address[] | undefined> {
  const links = await json(exec, ["addr", "show"]);
  return links?.flatMap((link) =>
    list(link.addr_info)
      .filter(({ family }) => family === "inet" || family === "inet6")
      .map((info) => ({
        device: text(link.ifname),
        address: text(info.local),
        prefix: Number(info.prefixlen),
        isUp: Array.isArray(link.flags) && link.flags.includes("UP"),
        mtu: Number(link.mtu),
      })),
  );
}

export async function readRoutes(exec: Exec): Promise<readonly Route[] | undefined> {
  const routes = await json(exec, ["-4", "route", "show", "table", "all"]);
  return routes?.map((route) => ({
    type: route.type === undefined ? "unicast" : text(route.type),
    to: text(route.dst),
    device: text(route.dev),
    gateway: optional(route.gateway),
    source: optional(route.prefsrc),
    table: route.table === undefined ? "main" : text(route.table),
  }));
}

export async function lookUpRoute(exec: Exec, address: string): Promise<RouteLookup | undefined> {
  const [host = "", zone] = address.split("%");
  const on = zone === undefined ? [] : ["oif", zone];
  const done = await runIp(exec, ["-j", "route", "get", host, ...on]);
  if (done === undefined) return undefined;
  const words = /answers: (.+)/.exec(done.stderr)?.[1];
  if (done.code !== 0) return words === undefined ? undefined : { kind: "none", words };
  const [route] = parse(done.stdout) ?? [];
  if (route === undefined) return undefined;
  return {
    kind: "found",
    device: text(route.dev),
    gateway: optional(route.gateway),
    source: optional(route.prefsrc),
    local: route.type === "local",
  };
}

export async function readNeighbours(exec: Exec): Promise<readonly Neighbour[] | undefined> {
  const all = await json(exec, ["neigh", "show"]);
  return all?.map((one) => ({
    address: text(one.dst),
    device: text(one.dev),
    state: Array.isArray(one.state) ? text(one.state[0]) : "",
    mac: optional(one.lladdr),
  }));
}

async function json(exec: Exec, words: readonly string[]): Promise<readonly Json[] | undefined> {
  const done = await runIp(exec, ["-j", ...words]);
  return done === undefined || done.code !== 0 ? undefined : parse(done.stdout);
}

async function runIp(exec: Exec, words: readonly string[]) {
  try {
    return await exec(["ip", ...words], { timeoutMs: IP_MS_MAX });
  } catch (error) {
    if (error instanceof ExecError) return undefined;
    throw error;
  }
}

function parse(output: string): readonly Json[] | undefined {
  try {
    return list(output.trim() === "" ? [] : JSON.parse(output));
  } catch {
    return undefined; // A tool that does not know -j prints for people.
  }
}

function list(value: unknown): readonly Json[] {
  if (!Array.isArray(value)) return [];
  return value.filter((one) => typeof one === "object" && one !== null);
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function optional(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
