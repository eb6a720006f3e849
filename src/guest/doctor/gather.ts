/**
 * Gathers the facts, side by side and in bounded time: first what lies here and what addresses are
 * called, then every address is asked, then the one that serves is asked about the rest.
 *
 * Neighbours are read last: the kernel knows whom it could not reach only after it was asked to.
 */

import { isIP } from "node:net";
import { readRuleset } from "../../platform/firewall/read.ts";
import { knownCandidates, ordered } from "../candidates.ts";
import { type Endpoint, endpointAt, VIA_TITLES } from "../endpoint.ts";
import { readLeases } from "../leases/index.ts";
import { parseVariables } from "../leases/variables.ts";
import { defaultGateways } from "../routes.ts";
import { readCloudInit } from "./cloud-init.ts";
import type { Facts, Name, Target } from "./facts.ts";
import { readAddresses, readNeighbours, readRoutes } from "./network.ts";
import type { DoctorPorts } from "./ports.ts";
import { askService, askTarget } from "./service.ts";

export const DATA_SERVER = "data-server";

export async function gather(
  ports: DoctorPorts,
  endpoint: Endpoint | undefined,
  signal: AbortSignal,
): Promise<Facts> {
  const { system, exec } = ports;
  const [dataServer, addresses, routes, ruleset] = await Promise.all([
    nameOf(ports),
    readAddresses(exec),
    readRoutes(exec),
    ports.isRoot ? readRuleset(exec) : undefined,
  ]);
  const asked = endpoint === undefined ? everybody(ports, dataServer) : [{ endpoint, ways: [] }];
  const targets = await Promise.all(asked.map((one) => askTarget(ports, one, signal)));
  const neighbours = await readNeighbours(exec);
  const best = bestOf(targets);
  const service =
    best === undefined
      ? undefined
      : await askService(ports, { target: best, own: ownOf(targets) ?? best }, signal);
  const text = (path: string): string | undefined => system.read(path)?.toString("utf8");
  return {
    isRoot: ports.isRoot,
    named: endpoint !== undefined,
    env: ports.env,
    environmentFile: Object.fromEntries(parseVariables(text("/etc/environment") ?? "")),
    leases: readLeases(system),
    gateways: defaultGateways(system),
    addresses,
    routes,
    dataServer,
    targets,
    service,
    neighbours,
    ruleset,
    productName: text("/sys/class/dmi/id/product_name")?.trim(),
    cloudInit: readCloudInit(system),
  };
}

async function nameOf({ system, resolve }: DoctorPorts): Promise<Name> {
  const hosts = system.read("/etc/hosts")?.toString("latin1") ?? "";
  const inHosts = hosts
    .split("\n")
    .some((line) => line.replace(/#.*/, "").split(/\s+/).slice(1).includes(DATA_SERVER));
  return { ...(await resolve(DATA_SERVER)), inHosts };
}

/** Each address once, with all the ways in which it was found. */
function everybody(
  { system }: DoctorPorts,
  { addresses }: Name,
): readonly { endpoint: Endpoint; ways: readonly string[] }[] {
  const named = addresses
    .filter((address) => isIP(address) !== 0)
    .map((address) => endpointAt(address, { via: "data-server", source: DATA_SERVER }));
  const known = knownCandidates({ system });
  const gateways = defaultGateways(system).map(({ address, device }) =>
    endpointAt(address, { via: "gateway", source: device }),
  );
  const leased = readLeases(system).flatMap(({ server, file }) =>
    server === undefined ? [] : [endpointAt(server, { via: "dhcp", source: file })],
  );
  const all = [...known, ...named, ...leased, ...gateways];
  return ordered(all).map((endpoint) => ({
    endpoint,
    ways: [
      ...new Set(all.filter((one) => one.url === endpoint.url).map((one) => VIA_TITLES[one.via])),
    ],
  }));
}

/** Who serves at an address of the router's own. */
function ownOf(targets: readonly Target[]): Target | undefined {
  return targets.find(({ serves, endpoint: { host } }) => serves && !host.startsWith("169.254."));
}

/** Who serves; else who at least answers, or connects. */
function bestOf(targets: readonly Target[]): Target | undefined {
  return (
    targets.find(({ serves }) => serves) ??
    targets.find(({ listing }) => listing?.kind === "reply") ??
    targets.find(({ connect }) => connect.kind === "open")
  );
}
