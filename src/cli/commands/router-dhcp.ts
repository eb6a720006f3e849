/**
 * `frontdesk router dhcp`: the dnsmasq lines that lead guests to this router where it is not
 * their gateway.
 */

import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { type Ip, tryParseIp } from "../../model/address.ts";
import { clean } from "../../model/clean.ts";
import { ConfigError, quote, UsageError } from "../../model/errors.ts";
import {
  type DhcpRange,
  dhcpLines,
  dhcpWarnings,
  type OwnAddress,
  rangesOf,
} from "../../router/dhcp-lines.ts";
import { type Command, EXIT, JSON_OPTION, type Options } from "../command.ts";

/** Where CloudStack keeps dnsmasq's configuration on a virtual router. */
const DNSMASQ_FILE = "/etc/dnsmasq.d/cloud.conf";

// biome-ignore format: a table reads best with one line for each option
export const dhcp: Command = {
  description:
    "On shared networks CloudStack's router is not the gateway, so 169.254.169.254 leads " +
    "elsewhere. DHCP option 121 mends that for guests that ask for it.\n\nChanges nothing: put " +
    "the lines into a file of their own in /etc/dnsmasq.d, because CloudStack writes cloud.conf " +
    "anew.",
  options: [
    { flags: "--print", summary: "print the lines (the default, and all that there is)" },
    { flags: "--dnsmasq <file>", summary: "the configuration that names ranges and gateways", default: DNSMASQ_FILE },
    { flags: "--router <address>", summary: "in place of the file: this router's address among its guests" },
    { flags: "--gateway <address>", summary: "and the guests' default gateway" },
    JSON_OPTION,
  ],
  examples: [
    ["frontdesk router dhcp > /etc/dnsmasq.d/frontdesk.conf", "on a virtual router; then restart dnsmasq"],
    ["frontdesk router dhcp --router 198.51.100.9 --gateway 198.51.100.1", "for another DHCP server"],
  ],
  async run({ options, out }) {
    const own = ownAddresses();
    const ranges = await rangesFor(options, own);
    const lines = ranges.flatMap(dhcpLines);
    const warnings = lines.length === 0 ? [] : dhcpWarnings(ranges, own);
    if (options.flag("json")) out.json({ ranges, lines, warnings });
    else {
      for (const line of lines) out.print(line);
      if (lines.length === 0) out.note("nothing is needed: this router is the guests' gateway");
      for (const warning of warnings) out.note(`warning: ${clean(warning)}`);
    }
    return EXIT.done;
  },
};

async function rangesFor(options: Options, own: readonly OwnAddress[]): Promise<DhcpRange[]> {
  const router = address(options, "router");
  const gateway = address(options, "gateway");
  if (router !== undefined && gateway === undefined) {
    throw new UsageError(
      "--router needs --gateway: option 121 takes the place of the default route; " +
        "where this router is the gateway, nothing is needed",
    );
  }
  if (router !== undefined && gateway !== undefined) return [{ router, gateway }];
  if (gateway !== undefined) throw new UsageError("--gateway needs --router");
  const file = options.string("dnsmasq") ?? DNSMASQ_FILE;
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    const hint = "; give --router and --gateway instead";
    throw new ConfigError(`cannot be read: ${error.code}${hint}`, { file });
  });
  const ranges = rangesOf(text, own);
  if (ranges.length > 0) return ranges;
  throw new ConfigError("names no range on a device that this machine has an address on", { file });
}

function address(options: Options, name: "router" | "gateway"): Ip | undefined {
  const text = options.string(name);
  if (text === undefined) return undefined;
  const found = tryParseIp(text);
  if (found !== undefined && !found.includes(":")) return found;
  throw new UsageError(`--${name}: ${quote(text)} is not an IPv4 address`);
}

function ownAddresses(): OwnAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([device, addresses]) =>
    (addresses ?? []).flatMap(({ address }) => {
      const ip = tryParseIp(address);
      return ip === undefined ? [] : [{ device, address: ip }];
    }),
  );
}
