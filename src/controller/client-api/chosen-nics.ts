/**
 * The NICs of an instance as a deployment asks for them: networks alone, or networks with the
 * addresses that are wanted there. What is not asked for is given: a free address, a random MAC.
 */

import { randomBytes } from "node:crypto";
import { type Ip, type Mac, parseMac, tryParseIp, tryParseMac } from "../../model/address.ts";
import type { Network } from "../../model/change.ts";
import type { RecordNic } from "../../model/record.ts";
import { belongs, nextFree } from "./addresses.ts";
import { LAB_FIRST, LAB_NETWORK } from "./catalogue.ts";
import type { Call } from "./command.ts";
import { refuse } from "./errors.ts";
import type { Values } from "./params.ts";

/** For a command's schema. */
export const NIC_PARAMS = {
  networkids: { kind: "list" },
  iptonetworklist: { kind: "rows" },
  ipaddress: { kind: "address" },
  macaddress: { kind: "mac" },
} as const;

export interface ChosenNic {
  readonly network: Network;
  readonly ipv4: Ip | undefined;
  readonly ipv6: Ip | undefined;
  readonly mac: Mac | undefined;
}

/**
 * The first one is the default one. Nobody else has an address of them now.
 *
 * @throws {ClientApiError} 431
 */
export async function chosenNics(
  given: Values<typeof NIC_PARAMS>,
  call: Call,
): Promise<readonly ChosenNic[]> {
  const { iptonetworklist: rows, networkids, ipaddress, macaddress } = given;
  const networks = await call.lab.ports.store.networks();
  if (rows === undefined) {
    const [first, ...rest] = chosenNetworks(networks, networkids).map(bare);
    if (first === undefined) throw refuse("parameter", "networkids: there is no network");
    const family = ipaddress?.includes(":") === true ? "ipv6" : "ipv4";
    const nic = { ...first, [family]: ipaddress, mac: macaddress };
    if (ipaddress !== undefined) await checkFree(call, nic.network, ["ipaddress", ipaddress]);
    return [nic, ...rest];
  }
  if (networkids !== undefined || ipaddress !== undefined || macaddress !== undefined) {
    const others = "networkids, ipaddress or macaddress";
    throw refuse("parameter", `iptonetworklist can't be specified along with ${others}`);
  }
  const nics: ChosenNic[] = [];
  for (const row of rows) {
    const nic = await nicOf(row, networks, call);
    if (nics.some(({ network }) => network.id === nic.network.id)) {
      throw refuse("parameter", "iptonetworklist: a network is named twice");
    }
    nics.push(nic);
  }
  return nics;
}

/** What its record keeps. @throws {ClientApiError} 431, 533 where no address is free */
export async function madeNic(
  call: Call,
  { network, ipv4, ipv6, mac }: ChosenNic,
  isDefault: boolean,
): Promise<RecordNic> {
  const wanted = [ipv4, ipv6].filter((address) => address !== undefined);
  // Where a network has IPv4 first, a guest has it too, whatever else it asked for.
  const isEnough = ipv4 !== undefined || (ipv6 !== undefined && !isIpv4(network.cidrs[0]));
  const addresses = isEnough ? wanted : [await freeIn(call, network), ...wanted];
  return { mac: mac ?? newMac(), addresses, default: isDefault };
}

const IN = "iptonetworklist";

/** One row. Keys that are not known are ignored, as parameters are. */
async function nicOf(
  row: ReadonlyMap<string, string>,
  networks: readonly Network[],
  call: Call,
): Promise<ChosenNic> {
  const value = (key: string): string | undefined => row.get(key) || undefined;
  const read = <T>(key: string, what: string, parse: (text: string) => T | undefined) => {
    const text = value(key);
    if (text === undefined) return undefined;
    const parsed = parse(text);
    if (parsed === undefined) throw refuse("parameter", `${IN}: its ${key} is not ${what}`);
    return parsed;
  };
  const id = value("networkid");
  if (id === undefined) throw refuse("parameter", `${IN}: a networkid is missing`);
  const network = networks.find((one) => one.id === id);
  if (network === undefined) throw refuse("parameter", `${IN}: there is no such network`);
  const ipv4 = read("ip", "an IPv4 address", ofFamily(isIpv4));
  const ipv6 = read("ipv6", "an IPv6 address", ofFamily(isIpv6));
  const mac = read("mac", "a MAC address", tryParseMac);
  for (const address of [ipv4, ipv6]) {
    if (address !== undefined) await checkFree(call, network, [IN, address]);
  }
  return { network, ipv4, ipv6, mac };
}

function ofFamily(is: (text: string) => boolean): (text: string) => Ip | undefined {
  return (text) => {
    const address = tryParseIp(text);
    return address !== undefined && is(address) ? address : undefined;
  };
}

/** Of an address, or of a range. */
function isIpv4(text: string | undefined): boolean {
  return text?.includes(":") === false;
}

function isIpv6(text: string): boolean {
  return text.includes(":");
}

function bare(network: Network): ChosenNic {
  return { network, ipv4: undefined, ipv6: undefined, mac: undefined };
}

/** Those that are named, each once; without a name the lab's, or the only one there is. */
function chosenNetworks(
  networks: readonly Network[],
  ids: readonly string[] | undefined,
): readonly Network[] {
  if (ids === undefined) {
    const own = networks.find(({ id }) => id === LAB_NETWORK.id) ?? networks[0];
    return own === undefined ? [] : [own];
  }
  return [...new Set(ids)].map((id) => {
    const network = networks.find((one) => one.id === id);
    if (network === undefined) throw refuse("parameter", "networkids: there is no such network");
    return network;
  });
}

async function checkFree(
  { lab }: Call,
  network: Network,
  [param, address]: readonly [param: string, address: Ip],
): Promise<void> {
  if (!belongs(network, address)) {
    throw refuse("parameter", `${param}: an address is outside of the network's range`);
  }
  if ((await lab.inventory.addresses(network.id)).has(address)) {
    throw refuse("parameter", `${param}: an address is another instance's`);
  }
}

async function freeIn({ lab }: Call, network: Network): Promise<Ip> {
  const taken = await lab.inventory.addresses(network.id);
  const first = network.id === LAB_NETWORK.id ? { first: LAB_FIRST } : {};
  const address = nextFree(network, { taken, ...first, last: lab.lastGiven.get(network.id) });
  lab.lastGiven.set(network.id, address);
  return address;
}

/** In the range in which CloudStack makes them. */
function newMac(): Mac {
  const bytes = [...randomBytes(4)].map((byte) => byte.toString(16).padStart(2, "0"));
  return parseMac(`02:00:${bytes.join(":")}`);
}
