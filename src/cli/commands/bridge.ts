/**
 * `frontdesk bridge`: IPv6 guests before a metadata service that speaks IPv4 only.
 */

import { isIP } from "node:net";
import { type BridgeSettings, type Listen, openBridge } from "../../bridge/daemon.ts";
import { Sources, type Target } from "../../bridge/kernel.ts";
import { LeaseBook } from "../../bridge/leases.ts";
import { DEFAULTS } from "../../config/resolve.ts";
import { isLinkLocal, tryParseHostPort, tryParseIp } from "../../model/address.ts";
import { quote, UsageError } from "../../model/errors.ts";
import { FileSink } from "../../observe/sink.ts";
import { listenAdmin } from "../../router/admin-socket.ts";
import { chooseRim } from "../../router/http/index.ts";
import { parseAdmin } from "../addresses.ts";
import { type Command, EXIT, type Invocation, JSON_OPTION, type Options } from "../command.ts";
import { DRAIN_MS, OPTIONS } from "../daemon-options.ts";
import { untilTold } from "../until-told.ts";
import { version } from "../version.ts";

/** Names that the kernel gives to devices. */
const DEVICE = /^[A-Za-z0-9_.:@+-]{1,15}$/;

// biome-ignore format: a table reads best with one line for each option
export const bridge: Command = {
  description:
    "Answers over IPv6 with what a service answers over IPv4, CloudStack's own virtual router " +
    "for instance. A guest is known by the MAC address behind its IPv6 address; the service " +
    "sees the IPv4 address that this MAC address has a lease for.\n\n" +
    "Runs on Linux, needs CAP_NET_ADMIN and nft, and leaves nothing behind. " +
    "With --proxy-protocol it needs neither.",
  options: [
    { flags: "--device <name...>", summary: "the device of the guests' network; several where there are several", repeatable: true, env: "FRONTDESK_BRIDGE_DEVICE" },
    { flags: "--listen <address...>", summary: "[IPV6]:PORT for metadata; [fe80::1%eth0]:PORT too", repeatable: true, env: "FRONTDESK_BRIDGE_LISTEN" },
    { flags: "--password-listen <address...>", summary: "[IPV6]:PORT for passwords", repeatable: true, env: "FRONTDESK_BRIDGE_PASSWORD_LISTEN" },
    { flags: "--upstream <address>", summary: "IPV4:PORT of the metadata service", env: "FRONTDESK_BRIDGE_UPSTREAM" },
    { flags: "--password-upstream <address>", summary: "IPV4:PORT of the password server", env: "FRONTDESK_BRIDGE_PASSWORD_UPSTREAM" },
    { flags: "--leases <file...>", summary: "dhcpentry.json, or a lease file of dnsmasq", repeatable: true, env: "FRONTDESK_BRIDGE_LEASES" },
    { flags: "--proxy-protocol", summary: "name the guest in a PROXY header (version 2)" },
    { flags: "--admin-listen <address>", summary: "/livez, /readyz and /metrics: unix:PATH or 127.0.0.1:PORT", env: "FRONTDESK_BRIDGE_ADMIN_LISTEN" },
    { flags: "--print", summary: "print what would be put into the kernel, and who is known; do nothing" },
    OPTIONS.logLevel,
    JSON_OPTION,
  ],
  exits: [
    [EXIT.done, "ended because it was told to, by SIGTERM or SIGINT; or printed"],
    [EXIT.failed, "cannot start or go on; the reason is one line on standard error"],
    [EXIT.usage, "called wrongly"],
  ],
  examples: [
    ["frontdesk bridge --device eth0 --listen [fd00:ec2::254]:80 --upstream 10.1.1.1:80 --leases /etc/cloudstack/dhcpentry.json", "metadata over IPv6 on a virtual router that is as CloudStack made it"],
    ["frontdesk bridge --device eth0 --listen [fd00::1]:80 --password-listen [fd00::1]:8080 --upstream 10.1.1.1:80 --password-upstream 10.1.1.1:8080 --leases /var/lib/misc/dnsmasq.leases", "passwords too"],
  ],
  async run({ options, out }) {
    const settings = settingsOf(options);
    if (options.flag("print")) return print(settings, { options, out });
    if (options.flag("json")) throw new UsageError("--json goes with --print");
    const sink = new FileSink(1);
    const rim = await chooseRim(process.env);
    const logLevel = options.string("log-level") ?? DEFAULTS.logLevel;
    const text = options.string("admin-listen");
    const at = text === undefined ? undefined : parseAdmin(text);
    const started = await openBridge(settings, {
      ...{ guestSide: rim, sink, logLevel, version: version(), runtime: rim.name },
      ...(at !== undefined && {
        // Guests may be on any address of this machine but loopback.
        listenAdmin: (handler) => listenAdmin(at, rim, { handler, guestHosts: "auto" }),
      }),
    });
    const told = untilTold();
    await told.ended;
    await started.close(DRAIN_MS);
    sink.flushSync();
    told.release();
    return EXIT.done;
  },
};

/** @throws {UsageError} if one is wrong or missing. */
function settingsOf(options: Options): BridgeSettings {
  const devices = [...new Set(options.strings("device"))];
  if (devices.length === 0) throw new UsageError("--device is missing: write the guests' device");
  for (const device of devices) {
    if (DEVICE.test(device)) continue;
    throw new UsageError(`--device ${quote(device)}: is no device's name`);
  }
  const listen = options.strings("listen").map((text) => listenOf(text, "--listen", devices));
  if (listen.length === 0) throw new UsageError("--listen is missing: write [IPV6]:PORT");
  const passwordListen = options
    .strings("password-listen")
    .map((text) => listenOf(text, "--password-listen", devices));
  const upstream = targetOf(
    needed(options.string("upstream"), "--upstream", "IPV4:PORT"),
    "--upstream",
  );
  const passwords = options.string("password-upstream");
  if ((passwords === undefined) !== (passwordListen.length === 0)) {
    throw new UsageError("--password-listen and --password-upstream go together");
  }
  const leaseFiles = options.strings("leases");
  if (leaseFiles.length === 0) throw new UsageError("--leases is missing: write its file");
  return {
    ...{ devices, listen, passwordListen, upstream, leaseFiles },
    passwordUpstream:
      passwords === undefined ? undefined : targetOf(passwords, "--password-upstream"),
    proxyProtocol: options.flag("proxy-protocol"),
  };
}

function needed(value: string | undefined, flag: string, what: string): string {
  if (value === undefined || value === "")
    throw new UsageError(`${flag} is missing: write ${what}`);
  return value;
}

/** An address of ours, by name: on "every address" the IPv4 service's own port would be taken. */
function listenOf(text: string, flag: string, devices: readonly string[]): Listen {
  const [, host = "", given, digits = ""] =
    /^\[([0-9A-Fa-f:.]+)(?:%([^\]]+))?\]:(\d{1,5})$/.exec(text) ?? [];
  const address = isIP(host) === 6 ? tryParseIp(host) : undefined;
  const port = Number(digits);
  if (address?.includes(":") !== true || address === "::" || port < 1 || port > 65_535) {
    throw new UsageError(`${flag} ${quote(text)}: write [IPV6]:PORT, one address`);
  }
  if (!isLinkLocal(address)) {
    if (given === undefined) return { host: address, port };
    throw new UsageError(`${flag} ${quote(text)}: only a link-local address has a zone`);
  }
  const zone = given ?? (devices.length === 1 ? devices[0] : undefined);
  if (zone !== undefined && devices.includes(zone)) return { host: address, zone, port };
  throw new UsageError(`${flag} ${quote(text)}: a link-local address has the zone of a --device`);
}

function targetOf(text: string, flag: string): Target {
  const target = tryParseHostPort(text);
  const isOne = target !== undefined && !target.host.includes(":") && target.port > 0;
  if (!isOne || target.host === "0.0.0.0") {
    throw new UsageError(`${flag} ${quote(text)}: write IPV4:PORT`);
  }
  return target;
}

/** What is known before anything is done. */
function print(settings: BridgeSettings, { options, out }: Pick<Invocation, "options" | "out">) {
  const { upstream, passwordUpstream, proxyProtocol, leaseFiles } = settings;
  const upstreams = passwordUpstream === undefined ? [upstream] : [upstream, passwordUpstream];
  const listen = [...settings.listen, ...settings.passwordListen];
  const sources = proxyProtocol ? undefined : new Sources({ upstreams, listen });
  const nft = sources?.text ?? "";
  const route = sources?.route;
  const guests = [...new LeaseBook(leaseFiles).list()].map(([mac, found]) => ({
    mac,
    address: typeof found === "string" ? found : found.address,
  }));
  if (options.flag("json"))
    out.json({ ...settings, ...(route !== undefined && { route }), nft, guests });
  else {
    if (route !== undefined) out.print(`# ${route}`);
    for (const line of nft.split("\n").filter((line) => line !== "")) out.print(line);
    out.table(
      ["mac", "address"],
      guests.map(({ mac, address }) => [mac, address]),
    );
  }
  return EXIT.done;
}
