/**
 * What a configuration file says of single networks and of the firewall, for the router.
 */

import type { LoadedConfig, NetworkConfig } from "../config/load.ts";
import { parseCidr, tryParseHostPort } from "../model/address.ts";
import { ConfigError } from "../model/errors.ts";
import type { EvidenceSettings } from "../router/evidence.ts";
import type { GivenNetwork } from "../router/policies.ts";

/**
 * @param adminListen the admin listener, as its flag takes it
 * @throws {ConfigError} where the file wants what only a firewall can do, and no firewall.
 */
export function evidenceSettings(file: LoadedConfig, adminListen: string): EvidenceSettings {
  const { networks, firewall } = file.config;
  const isManaged = firewall?.manage === true;
  networks.forEach((network, index) => {
    for (const field of ["netns", "source"] as const) {
      if (network[field] === undefined) continue;
      throw problem(file, ["networks", index, field], "this version's router does not do that");
    }
    for (const field of ["hopLimit", "guests"] as const) {
      if (network[field] === undefined || isManaged) continue;
      throw problem(file, ["networks", index, field], "needs firewall.manage: true");
    }
  });
  const admin = tryParseHostPort(adminListen);
  return {
    networks: networks.map(given),
    ...(isManaged && {
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

function problem(file: LoadedConfig, path: readonly PropertyKey[], message: string): ConfigError {
  const field = path.map(String).join(".");
  return new ConfigError(message, { file: file.file, line: file.line(path), field });
}
