/**
 * The DHCP options that lead guests to this router where it is not their gateway: a host route to
 * 169.254.169.254, for dnsmasq. Pure.
 *
 * A client that gets option 121 must ignore the gateway of option 3 (RFC 3442), so the default
 * route stands in 121 too. Option 249 is the same under the number of old versions of Windows.
 */

import { contains, type Ip, parseCidr, tryParseIp } from "../model/address.ts";

export const METADATA_ADDRESS = "169.254.169.254";
const LINK_LOCAL = parseCidr("169.254.0.0/16");

/** Guests that dnsmasq tells apart: those of one range. */
export interface DhcpRange {
  /** dnsmasq's tag for the range; absent where there is one range only. */
  readonly tag?: string;
  /** This router's own address among its guests. */
  readonly router: Ip;
  /** Absent where the guests have none. */
  readonly gateway?: Ip;
}

/** What this machine has, for warnings. */
export interface OwnAddress {
  readonly device: string;
  readonly address: Ip;
}

/** A tag that dnsmasq takes as one word. */
const TAG = /^[A-Za-z0-9_.-]{1,64}$/;

/** The lines for one range; none where the router is the gateway: its guests come here anyway. */
export function dhcpLines({ tag, router, gateway }: DhcpRange): string[] {
  if (router === gateway) return [];
  const routes = [`${METADATA_ADDRESS}/32,${router}`];
  if (gateway !== undefined) routes.push(`0.0.0.0/0,${gateway}`);
  const to = tag === undefined ? "" : `tag:${tag},`;
  return ["121", "249"].map((code) => `dhcp-option=${to}${code},${routes.join(",")}`);
}

/**
 * The ranges of a dnsmasq configuration that CloudStack wrote: each has a tag, and perhaps a
 * gateway in option 3.
 *
 * @param own this machine's addresses: the router's is the one on the range's device
 */
export function rangesOf(text: string, own: readonly OwnAddress[]): DhcpRange[] {
  const gateways = new Map<string, Ip | undefined>();
  const ranges: { tag: string; device: string; start: Ip | undefined }[] = [];
  for (const line of text.split("\n")) {
    const [name, ...rest] = line.trim().split("=");
    const words = rest.join("=").split(",");
    const tag = /^(?:set|tag):(.*)$/.exec(words[0] ?? "")?.[1];
    if (tag === undefined || !TAG.test(tag)) continue;
    if (name === "dhcp-option" && /^(option:router|3)$/.test(words[1] ?? "")) {
      gateways.set(tag, tryParseIp(words[2]));
    }
    if (name !== "dhcp-range") continue;
    const device = /^interface-(.+)-\d+$/.exec(tag)?.[1] ?? "";
    ranges.push({ tag, device, start: tryParseIp(words[1]) });
  }
  return ranges.flatMap(({ tag, device, start }) => {
    const gateway = gateways.get(tag);
    const router = ownIn({ device, near: gateway ?? start }, own);
    if (router === undefined) return [];
    return [gateway === undefined ? { tag, router } : { tag, router, gateway }];
  });
}

/** Of several addresses on a device, the one that shares the most with the gateway. */
function ownIn(
  { device, near }: { device: string; near: Ip | undefined },
  own: readonly OwnAddress[],
): Ip | undefined {
  const here = own.filter((each) => each.device === device && isOfGuests(each.address));
  if (near === undefined) return here[0]?.address;
  const shared = ({ address }: OwnAddress): number => {
    for (let bits = 32; bits > 0; bits--) {
      if (contains(parseCidr(`${near}/${bits}`), address)) return bits;
    }
    return 0;
  };
  return here.sort((a, b) => shared(b) - shared(a))[0]?.address;
}

function isOfGuests(address: Ip): boolean {
  return !address.includes(":") && !contains(LINK_LOCAL, address);
}

/** What has to be so for the lines to work, and is not. One sentence each. */
export function dhcpWarnings(ranges: readonly DhcpRange[], own: readonly OwnAddress[]): string[] {
  const routers = new Set<string>(ranges.map(({ router }) => router));
  const guests = own.find(({ address }) => routers.has(address))?.device ?? "DEVICE";
  const has = own.find(({ address }) => address === METADATA_ADDRESS);
  const control = own.filter(
    ({ address }) => contains(LINK_LOCAL, address) && address !== METADATA_ADDRESS,
  );
  const warnings: string[] = [];
  for (const { device, address } of control) {
    warnings.push(
      `${device} has ${address}: the control link is 169.254.0.0/16, so give ${METADATA_ADDRESS} ` +
        "a prefix of /32 and never lead guests to the whole range",
    );
  }
  if (has === undefined) {
    const lost = control.length > 0 ? ", and requests to it would go to the control link" : "";
    warnings.push(
      `${METADATA_ADDRESS} is not this machine's${lost}: ` +
        `ip address add ${METADATA_ADDRESS}/32 dev ${guests}`,
    );
  }
  if (has !== undefined && control.some(({ device }) => device === has.device)) {
    warnings.push(`${METADATA_ADDRESS} is on ${has.device}, the control link, not on the guests'`);
  }
  return warnings;
}
