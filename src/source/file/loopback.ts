/**
 * Moves a router's addresses to 127.0.0.0/8, where a laptop has them all: `10.1.1.57` becomes
 * `127.1.1.57`, and `curl --interface 127.1.1.57` is that guest.
 */

import { isIP } from "node:net";
import { type Ip, parseIp } from "../../model/address.ts";
import type { Binding, KeyValue } from "../../model/binding.ts";
import type { Network } from "../../model/change.ts";
import { UsageError } from "../../model/errors.ts";

export interface Moved {
  readonly bindings: readonly Binding[];
  readonly networks: readonly Network[];
}

/**
 * IPv6 has one loopback address only, so IPv6 addresses are left out. So are MAC addresses: the
 * loopback device has no neighbours to see them on.
 *
 * @throws {UsageError} if two addresses would become one.
 */
export function toLoopback(bindings: readonly Binding[], networks: readonly Network[]): Moved {
  const from = new Map<Ip, Ip>();
  const moved = bindings.flatMap(({ mac: _, ...binding }) => {
    if (isIP(binding.address) !== 4) return [];
    const address = moveAddress(binding.address);
    const other = from.get(address);
    if (other !== undefined) {
      throw new UsageError(`on loopback, ${other} and ${binding.address} would both be ${address}`);
    }
    from.set(address, binding.address);
    const keys = binding.keys.map(([name, value]): KeyValue => {
      const local = name === "local-ipv4" && value !== null && isIP(value) === 4;
      return [name, local ? moveAddress(value) : value];
    });
    return [{ ...binding, address, keys }];
  });
  return { bindings: moved, networks: networks.map(moveNetwork) };
}

function moveNetwork(network: Network): Network {
  const ipv4 = network.cidrs.filter((cidr) => !cidr.includes(":"));
  return { ...network, cidrs: [...new Set(ipv4.map(moveCidr))] };
}

/** A range wider than a /8 would reach beyond loopback. */
function moveCidr(cidr: string): string {
  const [address = "", bits = ""] = cidr.split("/");
  return Number(bits) <= 8 ? "127.0.0.0/8" : `${moveAddress(address)}/${bits}`;
}

function moveAddress(address: string): Ip {
  return parseIp(address.replace(/^\d+/, "127"));
}
