/**
 * Where the metadata service may be: an address, how we came to it, and what it answered.
 *
 * `candidates.ts` lists addresses without asking them, `discover.ts` asks them side by side. The
 * order of `VIAS` is the order of preference.
 */

import { UsageError } from "../model/errors.ts";

/** How an address was found, best first. */
export const VIAS = ["option", "link-local", "data-server", "dhcp", "gateway", "ipv6"] as const;

export type Via =
  /** Named by the caller: `--endpoint URL`. Nothing else is asked then. */
  | "option"
  /** 169.254.169.254. */
  | "link-local"
  /** The name `data-server`, as the resolver of this instance knows it. */
  | "data-server"
  /** The DHCP server of a lease (option 54, dhcp-server-identifier). */
  | "dhcp"
  /** A default gateway. */
  | "gateway"
  /** fd00:ec2::254, or fe80::a9fe:a9fe on an interface. */
  | "ipv6";

/** What each way is, for people. */
export const VIA_TITLES: Readonly<Record<Via, string>> = {
  option: "named by --endpoint",
  "link-local": "the link-local address",
  "data-server": "the name data-server",
  dhcp: "the DHCP server",
  gateway: "the default gateway",
  ipv6: "a well-known IPv6 address",
};

export interface Endpoint {
  /** `http://10.1.1.1`, `http://[fd00:ec2::254]:8775`; without a slash at its end. */
  readonly url: string;
  /** A name or an address as a socket takes it: no brackets, a zone with `%`. */
  readonly host: string;
  readonly port: number;
  readonly via: Via;
  /** Where it was read: `/run/systemd/netif/leases/2`, `eth0`. */
  readonly source?: string;
}

/** What a candidate said when it was asked for the listing of the metadata. */
export type Answer =
  /** It serves this instance. */
  | {
      readonly kind: "metadata";
      readonly status: number;
      readonly ms: number;
      /** The listing, one entry a name. */
      readonly names: readonly string[];
      readonly etag?: string;
      /** Whether it gives out session tokens (EC2's IMDSv2). */
      readonly tokens: boolean;
    }
  /** It speaks HTTP and does not serve this instance: 404, 503, 500, a redirect, another page. */
  | {
      readonly kind: "unknown-instance" | "not-yet" | "refused" | "broken" | "redirect" | "other";
      readonly status: number;
      readonly ms: number;
    }
  /** No HTTP answer. `code` is the system's: `ECONNREFUSED`, `EHOSTUNREACH`, `ENETUNREACH`, … */
  | {
      readonly kind: "connection-refused" | "unreachable" | "timeout" | "malformed";
      readonly code: string;
      readonly ms: number;
    }
  /** Another one had answered before this one was needed. */
  | { readonly kind: "abandoned"; readonly ms: number };

export interface Candidate {
  readonly endpoint: Endpoint;
  readonly answer: Answer;
}

/** What discovery found. */
export interface Discovery {
  /** All that were asked, in order of preference. */
  readonly candidates: readonly Candidate[];
  /** The best that serves this instance; `undefined` when none does. */
  readonly chosen: Endpoint | undefined;
  readonly ms: number;
}

export const HTTP_PORT = 80;
/** Where the password is. */
export const PASSWORD_PORT = 8080;

/** An endpoint at an address or name. */
export function endpointAt(
  host: string,
  { via, port = HTTP_PORT, source }: { via: Via; port?: number; source?: string },
): Endpoint {
  // In a URL the percent sign of a zone is escaped (RFC 6874).
  const name = host.includes(":") ? `[${host.replace("%", "%25")}]` : host;
  const url = `http://${name}${port === HTTP_PORT ? "" : `:${port}`}`;
  return { url, host, port, via, ...(source === undefined ? {} : { source }) };
}

const URL_FORM =
  /^http:\/\/(?:\[([0-9A-Fa-f:.]+(?:%(?:25)?[\w.-]+)?)\]|([\w.-]+))(?::(\d{1,5}))?\/?$/;

/**
 * Parses `--endpoint`: `http://HOST`, `http://HOST:PORT`, IPv6 in brackets.
 *
 * @throws {UsageError} if it is anything else: a path, a user, another scheme.
 */
export function parseEndpoint(text: string): Endpoint {
  const [, v6, name, digits] = URL_FORM.exec(text) ?? [];
  const host = v6?.replace("%25", "%") ?? name;
  const port = digits === undefined ? HTTP_PORT : Number(digits);
  // A socket tells what is no address; that there are colons at all is asked here.
  if (host === undefined || (v6 !== undefined && !v6.includes(":")) || !isPort(port)) {
    throw new UsageError(`an endpoint is http://HOST or http://HOST:PORT, not ${quoted(text)}`);
  }
  return endpointAt(host, { via: "option", port });
}

function isPort(port: number): boolean {
  return port >= 1 && port <= 65_535;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
