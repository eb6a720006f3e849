/**
 * The router's own firewall as nftables' text: one table, `inet frontdesk`, and nothing else.
 *
 * Pure. What is written depends on the settings only, so that the digest in the table's comment
 * says whether it is there already. The leases are sets beside it, so that they can change alone.
 */

import { createHash } from "node:crypto";
import {
  askedRules,
  askedSets,
  type LeaseElements,
  leasedChain,
  leaseElements,
  leaseSets,
  SYN,
} from "./lease-sets.ts";
import {
  checked,
  type FirewallNetwork,
  type FirewallSettings,
  type GuestLimits,
  type HostPort,
  isEnforced,
} from "./settings.ts";
import {
  type Chain,
  chainText,
  declare,
  drop,
  family,
  isAny,
  oneOf,
  quoted,
  safe,
  TABLE,
  versionOf,
  widest,
} from "./text.ts";

/**
 * Sources that are counted in one network. Beyond these a source is not limited, so that one that
 * invents addresses takes the limit from others, and not the service; about 3 MiB when full.
 */
const SOURCES_MAX = 8192;
/** How long a source is remembered that opens no connection. Seconds. */
const SOURCE_SECONDS = 10;
/** A guest that boots asks many things at once: seconds' worth of connections. */
const BURST_SECONDS = 2;
/** Where clouds below ours have their own metadata: never through us. */
const METADATA_ADDRESSES = { 4: "169.254.169.254", 6: "fd00:ec2::254" } as const;

export interface Ruleset {
  /** Replaces the table in one transaction. */
  readonly text: string;
  /** Stands in the table's comment: the same for the same settings, whatever the leases. */
  readonly digest: string;
  /** How many rules each chain has. */
  readonly rules: ReadonlyMap<string, number>;
  /** Elements of the sets of leases. */
  readonly leases: LeaseElements;
}

/** @throws {ConfigError} as `checked`. */
export function render(given: FirewallSettings): Ruleset {
  const settings = checked(given);
  const chains = [
    ...settings.networks.flatMap((network, index) => networkChains(network, index, settings)),
    ...(settings.networks.some(isEnforced) ? [leasedChain()] : []),
    guestsChain(settings),
    ...adminChain(settings),
    inputChain(settings),
    ...beyondChains(settings),
    ...replyChains(settings),
  ];
  const body = [
    ...ownSets(settings),
    ...settings.networks.flatMap((network, index) => limitSets(network, index)),
    ...(settings.networks.some(isEnforced) ? askedSets(SOURCES_MAX) : []),
    ...chains.flatMap(chainText),
  ];
  const digest = createHash("sha256").update(body.join("\n")).digest("hex").slice(0, 16);
  const leases = leaseElements(settings);
  const text = [
    "# Replaces the table in one transaction: the first two lines are for one that is there.",
    `table ${TABLE}`,
    `delete table ${TABLE}`,
    `table ${TABLE} {`,
    `\tcomment "frontdesk ${digest}"`,
    ...leaseSets(leases),
    ...body,
    "}",
    "",
  ];
  return {
    ...{ text: text.join("\n"), digest, leases },
    rules: new Map(chains.map(({ name, rules }) => [name, rules.length])),
  };
}

/** What we are, and which network a guest is of. */
function ownSets({ networks, listen, passwordListen, managementCidrs }: FirewallSettings) {
  const ours = [...listen, ...passwordListen];
  const lines = [4, 6].flatMap((version) => {
    const type = `ipv${version}_addr`;
    const at = ours.filter(({ host }) => versionOf(host) === version && !isAny(host));
    const ranges = networks.flatMap(({ cidrs }, index) =>
      widest(cidrs, version).map((text) => `${text} : goto network${index}`),
    );
    return [
      ...declare(
        { kind: "set", name: `ours${version}`, type: `${type} . inet_service` },
        at.map(({ host, port }) => `${host} . ${port}`),
      ),
      ...declare(
        { kind: "map", name: `networks${version}`, type: `${type} : verdict`, interval: true },
        ranges,
      ),
      ...declare(
        { kind: "set", name: `management${version}`, type, interval: true },
        widest(managementCidrs, version),
      ),
    ];
  });
  const links = new Map<string, string>();
  networks.forEach(({ devices }, index) => {
    for (const device of devices) {
      if (!links.has(device)) links.set(device, `"${device}" : goto network${index}`);
    }
  });
  return [
    ...lines,
    ...declare({ kind: "map", name: "links", type: "ifname : verdict" }, links.values()),
  ];
}

/** A packet of a guest of one network, to us. */
function networkChains(
  network: FirewallNetwork,
  index: number,
  settings: FirewallSettings,
): Chain[] {
  const { maxConnections, newPerSecond } = limitsOf(network, settings);
  const keys = limitKeys(network);
  const burst = newPerSecond * BURST_SECONDS;
  const rate = `limit rate over ${newPerSecond}/second burst ${burst} packets`;
  return [
    {
      name: `limits${index}`,
      rules: [
        ...keys.map(([key, set]) => drop("rate", `update @new${index}${set} { ${key} ${rate} }`)),
        ...keys.map(([key, set]) =>
          drop("open", `add @open${index}${set} { ${key} ct count over ${maxConnections} }`),
        ),
      ],
    },
    {
      name: `network${index}`,
      rules: [
        ...(network.devices.length > 0
          ? [drop("device", `iifname != ${oneOf(network.devices.map(quoted))}`)]
          : []),
        ...(isEnforced(network)
          ? [
              ...["ip saddr @leased4 jump leased", "ip6 saddr @leased6 jump leased"],
              "iifname . ip saddr @learned4 jump leased",
              "iifname . ip6 saddr @learned6 jump leased",
            ]
          : []),
        `${SYN} jump limits${index}`,
        ...(isEnforced(network) ? askedRules() : []),
        `accept comment ${quoted(safe(network.id))}`,
      ],
    },
  ];
}

/** What a guest is counted by: its MAC address, and its IPv4 address, of which it has few. */
function limitKeys({ routed }: FirewallNetwork): (readonly [key: string, set: string])[] {
  return routed
    ? [
        ["ip saddr", "ip4"],
        ["ip6 saddr", "ip6"],
      ]
    : [
        ["ether saddr", "mac"],
        ["ip saddr", "ip4"],
      ];
}

function limitSets(network: FirewallNetwork, index: number): string[] {
  const types = { mac: "ether_addr", ip4: "ipv4_addr", ip6: "ipv6_addr" };
  return limitKeys(network).flatMap(([, set]) => {
    const type = `\t\ttype ${types[set as keyof typeof types]}`;
    const size = `\t\tsize ${SOURCES_MAX}`;
    return [
      ...[`\tset new${index}${set} {`, type, size, "\t\tflags dynamic,timeout"],
      ...[`\t\ttimeout ${SOURCE_SECONDS}s`, "\t}"],
      // The kernel forgets a source itself when its last connection ends.
      ...[`\tset open${index}${set} {`, type, size, "\t\tflags dynamic", "\t}"],
    ];
  });
}

/** A packet to us: which network's guest is it? */
function guestsChain({ networks }: FirewallSettings): Chain {
  const hasLinks = networks.some(({ devices }) => devices.length > 0);
  const [only, ...others] = networks;
  const isPlain = only !== undefined && others.length === 0 && !hasLinks;
  return {
    name: "guests",
    rules: [
      `iifname "lo" accept`,
      "ip saddr vmap @networks4",
      "ip6 saddr vmap @networks6",
      // An address of the link itself says nothing about the network; the device does.
      ...(hasLinks ? ["ip6 saddr fe80::/10 iifname vmap @links"] : []),
      ...(isPlain ? ["ip6 saddr fe80::/10 goto network0"] : []),
      drop("outside"),
    ],
  };
}

function adminChain({ admin, networks, managementCidrs }: FirewallSettings): Chain[] {
  if (admin === undefined) return [];
  const allowed = ([4, 6] as const).flatMap((version) =>
    widest(managementCidrs, version).length > 0
      ? [`${family(version)} saddr @management${version} accept`]
      : [],
  );
  const closed = allowed.length > 0 ? [drop("admin")] : ["accept"];
  const rules = [
    `iifname "lo" accept`,
    ...fromGuests(networks).map((match) => drop("admin", match)),
  ];
  return [{ name: "admin", rules: [...rules, ...allowed, ...closed] }];
}

function inputChain({ listen, passwordListen, admin }: FirewallSettings): Chain {
  return {
    name: "input",
    // Before the chains of others, who may drop what we let pass.
    hook: "type filter hook input priority filter - 10; policy accept;",
    rules: [
      ...toOurs([...listen, ...passwordListen], "d").map((match) => `${match} goto guests`),
      ...(admin === undefined ? [] : [`${toOne(admin)} goto admin`]),
    ],
  };
}

/** What guests may not reach through this router, where it forwards for them. */
function beyondChains({ networks, managementCidrs }: FirewallSettings): Chain[] {
  const targets = ([4, 6] as const).flatMap((version) => [
    `${family(version)} daddr ${METADATA_ADDRESSES[version]}`,
    ...(widest(managementCidrs, version).length > 0
      ? [`${family(version)} daddr @management${version}`]
      : []),
  ]);
  const hook = "type filter hook forward priority filter - 10; policy accept;";
  return [
    { name: "beyond", rules: targets.map((match) => drop("beyond", match)) },
    { name: "forward", hook, rules: fromGuests(networks).map((match) => `${match} goto beyond`) },
  ];
}

/** The hop limit of replies, in networks that have one. */
function replyChains(settings: FirewallSettings): Chain[] {
  const rules = settings.networks.flatMap((network) => {
    const hops = network.hopLimit ?? settings.hopLimit;
    if (hops === undefined) return [];
    const { devices } = network;
    const v4 = widest(network.cidrs, 4);
    const v6 = widest(network.cidrs, 6);
    const out = devices.length > 0 ? [`oifname ${oneOf(devices.map(quoted))}`] : [];
    return [
      ...(v4.length > 0 ? [`ip daddr ${oneOf(v4)} ip ttl set ${hops}`] : []),
      ...(v6.length > 0 ? [`ip6 daddr ${oneOf(v6)} ip6 hoplimit set ${hops}`] : []),
      ...out.map((match) => `${match} ip6 daddr fe80::/10 ip6 hoplimit set ${hops}`),
    ];
  });
  if (rules.length === 0) return [];
  const ours = toOurs([...settings.listen, ...settings.passwordListen], "s");
  const hook = "type filter hook output priority filter - 10; policy accept;";
  return [
    { name: "replies", rules },
    { name: "output", hook, rules: ours.map((match) => `${match} goto replies`) },
  ];
}

/** Packets to (`d`) or from (`s`) the addresses that we listen on. */
function toOurs(ours: readonly HostPort[], side: "d" | "s"): string[] {
  const matches = ([4, 6] as const).flatMap((version) =>
    ours.some(({ host }) => versionOf(host) === version && !isAny(host))
      ? [`${family(version)} ${side}addr . tcp ${side}port @ours${version}`]
      : [],
  );
  // A listener on `::` takes IPv4 too.
  const wild = (host: string): string[] => {
    const ports = ours.filter((each) => each.host === host).map(({ port }) => String(port));
    return ports.length === 0 ? [] : [`tcp ${side}port ${oneOf(ports)}`];
  };
  return [
    ...matches,
    ...wild("0.0.0.0").map((match) => `meta nfproto ipv4 ${match}`),
    ...wild("::"),
  ];
}

function toOne({ host, port }: HostPort): string {
  if (host === "::") return `tcp dport ${port}`;
  if (host === "0.0.0.0") return `meta nfproto ipv4 tcp dport ${port}`;
  return `${family(versionOf(host))} daddr ${host} tcp dport ${port}`;
}

/** What comes from guests, by device where that is known, and by address in any case. */
function fromGuests(networks: readonly FirewallNetwork[]): string[] {
  const devices = networks.flatMap((network) => network.devices);
  const cidrs = networks.flatMap((network) => network.cidrs);
  return [
    ...(devices.length > 0 ? [`iifname ${oneOf(devices.map(quoted))}`] : []),
    ...([4, 6] as const).flatMap((version) => {
      const ranges = widest(cidrs, version);
      return ranges.length > 0 ? [`${family(version)} saddr ${oneOf(ranges)}`] : [];
    }),
  ];
}

function limitsOf({ guests }: FirewallNetwork, settings: FirewallSettings): GuestLimits {
  return { ...settings.guests, ...guests };
}
