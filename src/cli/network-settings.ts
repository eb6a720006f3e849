/**
 * What a configuration file says of single networks and of the firewall: for one router, and for
 * which namespaces there must be one each.
 */

import { fieldName } from "../config/field-name.ts";
import type { LoadedConfig, NetworkConfig } from "../config/load.ts";
import { parseCidr, tryParseHostPort } from "../model/address.ts";
import { ConfigError, UsageError } from "../model/errors.ts";
import type { EvidenceSettings } from "../router/evidence.ts";
import type { GivenNetwork } from "../router/policies.ts";
import { parseSource } from "../source/index.ts";
import { parseStore } from "../store/index.ts";

/** What the networks of no namespace are called, where there are others. */
export const OWN = "own";

/** Networks that one router serves. */
export interface Group {
  /** The namespace's name, or `own`. */
  readonly name: string;
  readonly networks: readonly NetworkConfig[];
  /** A source or a store; absent where it is the router's own. */
  readonly source?: string;
}

/**
 * The networks by namespace; one group where no network names one.
 *
 * @throws {ConfigError} if the file wants what cannot be: two sources in one namespace, or what
 *   only a firewall can do, without one.
 */
export function groupsOf(file: LoadedConfig): readonly Group[] {
  const { networks, firewall } = file.config;
  const groups = new Map<string, { networks: NetworkConfig[]; source?: string }>();
  const refuse = (network: NetworkConfig, field: string, message: string): never => {
    const path = ["networks", networks.indexOf(network), field];
    const place = { file: file.file, line: file.line(path), field: fieldName(path) };
    throw new ConfigError(message, place);
  };
  for (const network of networks) {
    const { netns, listen } = network;
    const field = network.store === undefined ? "source" : "store";
    const source = network[field];
    const fail = (field: string, message: string) => refuse(network, field, message);
    for (const field of ["hopLimit", "guests"] as const) {
      if (network[field] === undefined || firewall?.manage === true) continue;
      fail(field, "needs firewall.manage: true");
    }
    if (network.macEvidence === "enforce" && process.platform !== "linux") {
      fail("macEvidence", "enforce needs Linux");
    }
    if (netns === OWN || (netns !== undefined && !NAMESPACE.test(netns))) {
      fail("netns", "is no name of a namespace: letters, digits, dots and dashes, 64 at most");
    }
    if (netns === undefined && source !== undefined) {
      fail(field, "needs a netns: in one namespace there is one source");
    }
    const name = netns ?? OWN;
    const group = groups.get(name) ?? { networks: [] };
    groups.set(name, group);
    group.networks.push(network);
    if (source === undefined) continue;
    if (group.source !== undefined && group.source !== source) {
      fail(field, `another one than ${group.source}: in one namespace there is one source`);
    }
    checkPlace(field, source, fail);
    if (source.startsWith("file:") && (listen === undefined || listen.includes("auto"))) {
      fail("listen", "is needed: a file says no addresses of the router");
    }
    group.source = source;
  }
  for (const network of networks) {
    const isAnothers = groups.has(network.id) && (network.netns ?? OWN) !== network.id;
    if (isAnothers) refuse(network, "id", "is the name of another namespace: --network means both");
  }
  for (const [name, { networks, source }] of groups) {
    if (name === OWN || source !== undefined) continue;
    refuse(networks[0] as NetworkConfig, "netns", "needs a source of its own");
  }
  return [...groups].map(([name, group]) => ({ name, ...group }));
}

function checkPlace(
  field: "source" | "store",
  place: string,
  fail: (field: string, message: string) => void,
): void {
  try {
    if (field === "store") parseStore(place);
    else parseSource(place);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    fail(field, error.message);
  }
}

/** A name as `ip netns add` takes it, of which we make the name of a folder. */
const NAMESPACE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;

/** The group of this name. @throws {UsageError} if the file has none. */
export function groupNamed(groups: readonly Group[], name: string): Group | undefined {
  const found = groups.find((group) => group.name === name);
  if (found === undefined && name !== OWN) {
    throw new UsageError(`--namespace ${name}: no network of the configuration file lies there`);
  }
  return found;
}

/** @param adminListen the admin listener, as its flag takes it */
export function evidenceSettings(
  { config: { firewall } }: LoadedConfig,
  networks: readonly NetworkConfig[],
  adminListen: string,
): EvidenceSettings {
  const admin = tryParseHostPort(adminListen);
  return {
    networks: networks.map(given),
    ...(firewall?.manage === true && {
      firewall: {
        managementCidrs: firewall.managementCidrs.map(parseCidr),
        ...(admin && { admin }),
      },
    }),
  };
}

function given(network: NetworkConfig): GivenNetwork {
  const { id, cidrs, macEvidence, routed, hosts, guests, hopLimit, leaseFiles } = network;
  const { maxConnections, newPerSecond } = guests ?? {};
  return {
    ...{ id, cidrs, macEvidence, routed, leaseFiles },
    ...(hosts !== undefined && { hosts }),
    ...(hopLimit !== undefined && { hopLimit }),
    guests: {
      ...(maxConnections !== undefined && { maxConnections }),
      ...(newPerSecond !== undefined && { newPerSecond }),
    },
  };
}
