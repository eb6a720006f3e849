/**
 * The guest networks of this router, and its own addresses in them: from ips.json,
 * guestnetwork.json and cmdline.json.
 *
 * One device is one network, with as many ranges as it has. CloudStack marks what it takes back
 * with `add: false`; a device that vanishes without that was lost with its databag, and stays.
 */

import { type Cidr, contains, type Ip, parseCidr, tryParseIp } from "../../model/address.ts";
import type { NetworkId } from "../../model/binding.ts";
import type { Endpoint, Network } from "../../model/change.ts";
import type { Delta, Value } from "./bag.ts";

/** What is kept of an entry of one of the three files. A flaw is the end of a sentence about it. */
export type NetworkEntry = { readonly value: unknown } | { readonly flaw: string };

/** @throws {SyntaxError} if the value is no JSON. */
export function readNetworkEntry({ key, raw, refused }: Value): NetworkEntry {
  if (refused !== undefined) return { flaw: refused };
  const value: unknown = JSON.parse(raw.toString());
  if (key === "id" || key === "config") return { value };
  if (!NAME.test(key)) return { flaw: "is not the name of a device" };
  return Array.isArray(value) ? { value } : { flaw: "is not a list" };
}

/** Names of devices and networks: they appear in logs and in the names of folders. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/;

/** The network where no file names one. */
const DEFAULT_ID = "guest";

/** What a device has in the guests' network. */
interface Part {
  readonly addresses: readonly Ip[];
  readonly cidrs: readonly Cidr[];
  readonly id?: NetworkId;
  readonly dnsDomain?: string;
}

/** What cmdline.json says of guests. */
interface Config {
  readonly dnsDomain?: string;
  /** The address that two redundant routers share. */
  readonly shared?: Ip;
}

interface Guests {
  readonly network: Network;
  readonly ranges: readonly Cidr[];
  readonly addresses: readonly Ip[];
}

export interface NetworkDeltas {
  readonly ips: Delta<NetworkEntry> | undefined;
  readonly guestNetworks: Delta<NetworkEntry> | undefined;
  readonly cmdline: Delta<NetworkEntry> | undefined;
}

export class Networks {
  /** `--network`. */
  readonly #chosen: NetworkId | undefined;
  readonly #devices = new Map<string, Part>();
  readonly #tiers = new Map<string, Part>();
  readonly #lostDevices = new Set<string>();
  readonly #lostTiers = new Set<string>();
  /** Those of an earlier run, for as long as no file says anything. */
  readonly #restored = new Set<NetworkId>();
  #config: Config = {};
  #guests: readonly Guests[] = [];
  #endpoints: readonly Endpoint[] = [];

  constructor(chosen: NetworkId | undefined) {
    this.#chosen = chosen;
  }

  /** Devices that a databag lost, by the databag. */
  get lost(): { readonly ips: number; readonly guestNetworks: number } {
    return { ips: this.#lostDevices.size, guestNetworks: this.#lostTiers.size };
  }

  restore(id: NetworkId): void {
    this.#restored.add(id);
  }

  /** @returns whether anything is other than before. */
  update({ ips, guestNetworks, cmdline }: NetworkDeltas): boolean {
    if (ips) follow(ips, { parts: this.#devices, lost: this.#lostDevices, read: readDevice });
    if (guestNetworks) {
      follow(guestNetworks, { parts: this.#tiers, lost: this.#lostTiers, read: readTier });
    }
    const config = cmdline?.changes.find(({ key }) => key === "config")?.after?.data;
    if (config !== undefined && "value" in config) this.#config = readConfig(config.value);

    const before = JSON.stringify([this.list(), this.#endpoints]);
    this.#guests = this.#join();
    this.#endpoints = this.#own();
    return before !== JSON.stringify([this.list(), this.#endpoints]);
  }

  list(): readonly Network[] {
    if (this.#guests.length > 0) return this.#guests.map(({ network }) => network);
    const ids = this.#restored.size > 0 ? [...this.#restored] : [this.#chosen ?? DEFAULT_ID];
    return ids.map((id) => ({ id, cidrs: [], ...this.#domain() }));
  }

  endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  /**
   * The network of an address; `undefined` if it is in none.
   *
   * @param former where the address was, for as long as no network is known
   */
  of(address: Ip, former: NetworkId | undefined): NetworkId | undefined {
    if (this.#guests.length === 0) return former ?? this.list()[0]?.id;
    const number = ipv4Number(address);
    for (const { network, ranges } of this.#guests) {
      for (const range of ranges) {
        const isWithin =
          number === undefined
            ? contains(range, address)
            : range.version === 4 && number >= Number(range.first) && number <= Number(range.last);
        if (isWithin) return network.id;
      }
    }
    return undefined;
  }

  /** One network for each device, and for each id. */
  #join(): Guests[] {
    const names = new Set([...this.#devices.keys(), ...this.#tiers.keys()]);
    const parts = [...names].sort().map((name) => ({
      name,
      device: this.#devices.get(name) ?? NOTHING,
      tier: this.#tiers.get(name) ?? NOTHING,
    }));
    const guests = parts.filter(({ device, tier }) => device.cidrs.length + tier.cidrs.length > 0);
    const only = guests.length === 1 ? this.#chosen : undefined;
    const byId = new Map<NetworkId, Guests>();
    for (const { name, device, tier } of guests) {
      const id = tier.id ?? only ?? name;
      const former = byId.get(id);
      const ranges = unique([...(former?.ranges ?? []), ...device.cidrs, ...tier.cidrs]);
      const addresses = [...(former?.addresses ?? []), ...device.addresses, ...tier.addresses];
      const cidrs = ranges.map(({ text }) => text);
      const network = { id, cidrs, ...this.#domain(tier.dnsDomain) };
      byId.set(id, { network, ranges, addresses: [...new Set(addresses)] });
    }
    return [...byId.values()];
  }

  #own(): Endpoint[] {
    const byAddress = new Map<Ip, NetworkId>();
    for (const { network, addresses } of this.#guests) {
      for (const address of addresses) byAddress.set(address, network.id);
    }
    const { shared } = this.#config;
    const network = shared && this.#guests.length > 0 ? this.of(shared, undefined) : undefined;
    if (shared !== undefined && network !== undefined) byAddress.set(shared, network);
    return [...byAddress].map(([address, id]) => ({ address, network: id }));
  }

  #domain(own?: string): { dnsDomain?: string } {
    const dnsDomain = own ?? this.#config.dnsDomain;
    return dnsDomain === undefined ? {} : { dnsDomain };
  }
}

const NOTHING: Part = { addresses: [], cidrs: [] };

/** Takes over what a databag says of devices. */
function follow(
  { changes }: Delta<NetworkEntry>,
  to: { parts: Map<string, Part>; lost: Set<string>; read: (value: unknown[]) => Part },
): void {
  for (const { key, after } of changes) {
    if (key === "id") continue;
    if (after === undefined) {
      if (to.parts.has(key)) to.lost.add(key);
      continue;
    }
    if ("flaw" in after.data) continue;
    to.lost.delete(key);
    const part = to.read(after.data.value as unknown[]);
    const isThere = part.addresses.length > 0 || part.id !== undefined;
    if (isThere) to.parts.set(key, part);
    else to.parts.delete(key);
  }
}

/** The guest addresses of one device in ips.json. */
function readDevice(list: unknown[]): Part {
  const addresses: Ip[] = [];
  const cidrs: Cidr[] = [];
  for (const item of list) {
    const { add, nw_type, public_ip, network, cidr, size } = fieldsOf(item);
    if (add === false || String(nw_type).toLowerCase() !== "guest") continue;
    const address = tryParseIp(public_ip);
    if (address === undefined) continue;
    addresses.push(address);
    const range = tryCidr(network) ?? tryCidr(cidr) ?? tryCidr(`${address}/${size}`);
    if (range !== undefined) cidrs.push(range);
  }
  return { addresses, cidrs };
}

/** A tier of a VPC: what guestnetwork.json says of one device. */
function readTier(list: unknown[]): Part {
  const addresses: Ip[] = [];
  const cidrs: Cidr[] = [];
  let id: NetworkId | undefined;
  let dnsDomain: string | undefined;
  for (const item of list) {
    const fields = fieldsOf(item);
    if (fields.add === false) continue;
    const own = tryParseIp(fields.router_guest_ip);
    const gateway = tryParseIp(fields.router_guest_gateway);
    if (own !== undefined) {
      addresses.push(own);
      // `cidr` is the size alone.
      const range = tryCidr(`${own}/${fields.cidr}`);
      if (range !== undefined) cidrs.push(range);
    }
    if (gateway !== undefined && fields.is_vr_guest_gateway === true) addresses.push(gateway);
    const network = String(fields.network_id ?? "");
    if (NAME.test(network)) id = network;
    dnsDomain = domainOf(fields.domain_name) ?? dnsDomain;
  }
  return {
    ...{ addresses, cidrs },
    ...(id === undefined ? {} : { id }),
    ...(dnsDomain === undefined ? {} : { dnsDomain }),
  };
}

function readConfig(value: unknown): Config {
  const { domain, redundant_router, guestgw } = fieldsOf(value);
  const dnsDomain = domainOf(domain);
  const shared = redundant_router === "true" ? tryParseIp(guestgw) : undefined;
  return {
    ...(dnsDomain === undefined ? {} : { dnsDomain }),
    ...(shared === undefined ? {} : { shared }),
  };
}

function domainOf(value: unknown): string | undefined {
  return typeof value === "string" && /^[A-Za-z0-9.-]{1,253}$/.test(value) ? value : undefined;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function tryCidr(value: unknown): Cidr | undefined {
  if (typeof value !== "string" || value.length > 64) return undefined;
  try {
    return parseCidr(value);
  } catch {
    return undefined;
  }
}

function unique(ranges: readonly Cidr[]): Cidr[] {
  return [...new Map(ranges.map((range) => [range.text, range])).values()];
}

/** An IPv4 address as a number, without the cost of a BigInt: this is asked for each address. */
function ipv4Number(address: Ip): number | undefined {
  if (address.includes(":")) return undefined;
  return address.split(".").reduce((number, part) => number * 256 + Number(part), 0);
}
