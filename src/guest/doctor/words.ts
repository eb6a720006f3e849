/**
 * Words that several checks use: which targets clients rely on, and who the router is.
 */

import { isIPv4 } from "node:net";
import type { Facts, Target } from "./facts.ts";

/**
 * Targets that a client counts on: CloudStack's are asked over IPv4. IPv6 ones are tried because
 * they may serve; that they are silent means nothing.
 */
export function reliedOn({ targets }: Facts): readonly Target[] {
  return targets.filter(({ endpoint: { host, via } }) => via === "option" || isIPv4(host));
}

export function serving({ targets }: Facts): readonly Target[] {
  return targets.filter(({ serves }) => serves);
}

export function hosts(targets: readonly Target[]): readonly string[] {
  return targets.map(({ endpoint }) => endpoint.host);
}

/** The router, as this instance knows it: who serves, the lease's server, the gateway. */
export function routerOf(facts: Facts): string | undefined {
  const served = serving(facts)
    .map(({ endpoint }) => endpoint.host)
    .filter((host) => isIPv4(host));
  // 169.254.169.254 is an address of the router's, but not the one that tells it from others.
  const [own] = served.filter((host) => !host.startsWith("169.254."));
  const lease = facts.leases.find(({ server }) => server !== undefined)?.server;
  const gateway = facts.gateways.find(({ address }) => isIPv4(address))?.address;
  return own ?? lease ?? gateway ?? served[0];
}

/** The device towards the router, and the address that this instance has there. */
export function uplinkOf(facts: Facts): { device: string; address: string } | undefined {
  const global = (facts.addresses ?? []).filter(
    ({ address, device }) => isIPv4(address) && device !== "lo" && !address.startsWith("169.254."),
  );
  const leased = facts.leases.find(({ address }) => address !== undefined);
  const byLease = global.find(({ address }) => address === leased?.address);
  const gateway = facts.gateways[0]?.device;
  const one = byLease ?? global.find(({ device }) => device === gateway) ?? global[0];
  return one === undefined ? undefined : { device: one.device, address: one.address };
}

/** What restarts the service on a router, whichever it runs. */
export const RESTART_SERVICE = "systemctl restart frontdesk-router || systemctl restart apache2";
