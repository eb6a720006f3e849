/**
 * IP addresses, networks and MAC addresses, parsed once at the edge and trusted afterwards.
 *
 * An `Ip` is a string in canonical form, so it can be compared with `===`, used as a
 * map key and stored. Only `parseIp` makes one. The same holds for `Mac` and `parseMac`.
 */

import { isIP } from "node:net";
import { Address4, Address6 } from "ip-address";
import { InvalidAddressError, InvalidCidrError, InvalidMacError } from "./errors.ts";

declare const ip: unique symbol;
declare const mac: unique symbol;

/** An IPv4 or IPv6 address in canonical form (RFC 5952); never IPv4-mapped, never with a zone. */
export type Ip = string & { readonly [ip]: true };

/** A 48-bit MAC address: lower case, colons, two digits each. */
export type Mac = string & { readonly [mac]: true };

/** A network: `first` and `last` are its lowest and highest address as numbers. */
export interface Cidr {
  readonly text: string;
  readonly version: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * Parses an address as the kernel prints it.
 *
 * `::ffff:10.1.1.5` becomes `10.1.1.5`, because a dual-stack socket reports IPv4 peers
 * that way. Octal and short forms (`010.1.1.5`, `10.1.5`) are refused: parsers disagree
 * about them, and two tenants must never share one spelling.
 *
 * @throws {InvalidAddressError} if `text` is anything else.
 * @see RFC 4291 section 2.5.5.2, RFC 5952 section 4
 */
export function parseIp(text: string): Ip {
  const version = isIP(text);
  if (version === 4) return text as Ip;
  if (version !== 6 || text.includes("%")) throw new InvalidAddressError(text);
  // Decide by the number, not by the spelling: ::ffff:a01:105 is 10.1.1.5 too.
  const number = new Address6(text).bigInt();
  const canonical =
    number >> 32n === 0xffffn
      ? Address4.fromBigInt(number & 0xffffffffn).correctForm()
      : Address6.fromBigInt(number).correctForm();
  return canonical as Ip;
}

/** `parseIp`, but `undefined` where that throws: for input in which junk is expected. */
export function tryParseIp(text: unknown): Ip | undefined {
  if (typeof text !== "string" || text.length > 64 || isIP(text) === 0 || text.includes("%")) {
    return undefined;
  }
  return parseIp(text);
}

/**
 * Parses a MAC address written with colons, in either case.
 *
 * @throws {InvalidMacError} if `text` is anything else.
 */
export function parseMac(text: string): Mac {
  if (!/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/.test(text)) throw new InvalidMacError(text);
  return text.toLowerCase() as Mac;
}

/** `parseMac`, but `undefined` where that throws. */
export function tryParseMac(text: unknown): Mac | undefined {
  if (typeof text !== "string" || text.length !== 17) return undefined;
  return /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/.test(text) ? parseMac(text) : undefined;
}

/**
 * Parses `ADDR:PORT`; an IPv6 address stands in brackets. Names are refused, because what they
 * mean may change.
 *
 * @returns `undefined` if it is anything else.
 */
export function tryParseHostPort(text: string): { host: Ip; port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const host = tryParseIp(match?.[1] ?? match?.[2]);
  const port = Number(match?.[3]);
  // Brackets are IPv6's: an IPv4 address within them is a mistake.
  if (host === undefined || port > 65_535) return undefined;
  return match?.[1] === undefined || isIP(match[1]) === 6 ? { host, port } : undefined;
}

/** The name of a network device, as the kernel allows it. */
const ZONE = /%([A-Za-z0-9_.:@+-]{1,15})\]/;

/**
 * As `tryParseHostPort`; a link-local IPv6 address may say, and without that nobody could listen on
 * it, which link it is on: `[fe80::a9fe:a9fe%eth1]:80`.
 */
export function tryParseListen(
  text: string,
): { host: Ip; zone?: string; port: number } | undefined {
  const zone = ZONE.exec(text)?.[1];
  const at = tryParseHostPort(text.replace(ZONE, "]"));
  if (at === undefined || zone === undefined) return at;
  return isLinkLocal(at.host) ? { ...at, zone } : undefined;
}

/** Whether it is an IPv6 address that is good on one link only. @see RFC 4291 section 2.5.6 */
export function isLinkLocal(address: Ip): boolean {
  return /^fe[89ab][0-9a-f]:/.test(address);
}

/**
 * Parses `10.1.1.0/24`, `10.1.1.1/24` (host bits are dropped) or `fd00::/64`.
 *
 * @throws {InvalidCidrError} if `text` is anything else.
 */
export function parseCidr(text: string): Cidr {
  const [address = "", bits = "", ...rest] = text.split("/");
  const version = isIP(address);
  const width = version === 4 ? 32 : 128;
  const prefix = /^[0-9]{1,3}$/.test(bits) ? Number(bits) : -1;
  if (version === 0 || address.includes("%") || rest.length > 0 || prefix < 0 || prefix > width) {
    throw new InvalidCidrError(text);
  }
  const hostBits = BigInt(width - prefix);
  const first = (toNumber(address as Ip) >> hostBits) << hostBits;
  const last = first + (1n << hostBits) - 1n;
  const base =
    version === 4
      ? Address4.fromBigInt(first).correctForm()
      : Address6.fromBigInt(first).correctForm();
  return { text: `${base}/${prefix}`, version: version === 4 ? 4 : 6, first, last };
}

export function versionOf(address: Ip): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

/** Whether `address` lies in `cidr`. */
export function contains(cidr: Cidr, address: Ip): boolean {
  return containedIn([cidr], address);
}

/** Whether `address` lies in one of `cidrs`. It is parsed once, however many there are. */
export function containedIn(cidrs: readonly Cidr[], address: Ip): boolean {
  const version = versionOf(address);
  let number: bigint | undefined;
  return cidrs.some((cidr) => {
    if (cidr.version !== version) return false;
    number ??= toNumber(address);
    return number >= cidr.first && number <= cidr.last;
  });
}

export function toNumber(address: Ip): bigint {
  return isIP(address) === 4 ? new Address4(address).bigInt() : new Address6(address).bigInt();
}
