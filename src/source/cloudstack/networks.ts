/**
 * The networks of a cloud, as a router knows them.
 */

import { parseCidr } from "../../model/address.ts";
import type { Network } from "../../model/change.ts";
import { InvalidCidrError } from "../../model/errors.ts";
import type { Cloud } from "./cloud.ts";

/** Pure; in the order of the API. A range that cannot be read is left out. */
export function networksOf(cloud: Cloud): Network[] {
  return [...cloud.networks].flatMap(([id, network]) => {
    if (id === "") return [];
    // Where a part of a network is reserved, `cidr` is only what CloudStack gives away.
    const texts = [network.networkcidr ?? network.cidr, network.ip6cidr];
    const cidrs = texts.flatMap((text) => (text ?? "").split(",")).flatMap(rangeOf);
    const { networkdomain: dnsDomain = "" } = network;
    return [{ id, cidrs: [...new Set(cidrs)], ...(dnsDomain !== "" && { dnsDomain }) }];
  });
}

function rangeOf(text: string): string[] {
  try {
    return [parseCidr(text.trim()).text];
  } catch (error) {
    if (error instanceof InvalidCidrError) return [];
    throw error;
  }
}
