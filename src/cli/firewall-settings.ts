/**
 * What the router's firewall is made of, from the command line: flags, the configuration file and
 * a source; or else the router that runs.
 */

import { readFile } from "node:fs/promises";
import type { LoadedConfig } from "../config/load.ts";
import { type ResolvedSettings, resolveRouterSettings } from "../config/resolve.ts";
import {
  type Cidr,
  type Ip,
  parseCidr,
  parseIp,
  tryParseHostPort,
  tryParseListen,
} from "../model/address.ts";
import type { Endpoint, Network } from "../model/change.ts";
import { ConfigError, UsageError } from "../model/errors.ts";
import { Conditions } from "../observe/conditions.ts";
import { devicesIn } from "../platform/devices.ts";
import { leaseOf } from "../router/firewall/leases.ts";
import {
  type FirewallNetwork,
  type FirewallSettings,
  GUEST_LIMITS,
  type HostPort,
  type Lease,
  type MacEvidence,
} from "../router/firewall/settings.ts";
import { isStore } from "../router/instances.ts";
import { parseDnsmasqLeases } from "../source/dnsmasq-leases.ts";
import { openSource } from "../source/index.ts";
import { openAdminClient } from "./admin-client.ts";
import { adminOf } from "./admin-options.ts";
import type { Options } from "./command.ts";

/** The virtual router's ports: what `auto` listens on. */
const PORTS = { listen: 80, passwordListen: 8080 } as const;
/** What `auto` listens on wherever a device has it. */
const METADATA_ADDRESSES = ["169.254.169.254", "fd00:ec2::254", "fe80::a9fe:a9fe"].map(parseIp);
/** A lease has 100 bytes. */
const LEASE_FILE_BYTES_MAX = 16 << 20;

/** What a source, or a router, says of the networks. */
interface Known {
  readonly networks: readonly Network[];
  readonly endpoints: readonly Endpoint[];
  readonly leases: readonly Lease[];
}

/** What the command needs of the router's settings. */
interface Given {
  readonly resolved: ResolvedSettings;
  readonly file?: LoadedConfig;
}

/** @throws {UsageError | ConfigError | SourceError | AdminError} */
export async function firewallSettings(
  options: Options,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<FirewallSettings> {
  const given = await settingsOf(options, env);
  const { resolved, file } = given;
  if (resolved.source === undefined && resolved.networks.length === 0) {
    return ofRunning(options, given);
  }
  const known = await readSource(resolved.source?.value, resolved.network?.value);
  const networks =
    resolved.networks.length > 0
      ? ownNamespace(resolved).map((network) => ofConfig(network))
      : known.networks.map(({ id, cidrs }) => ofSource(id, cidrs, options));
  const own = ownNamespace(resolved);
  const listens = (name: "listen" | "passwordListen"): HostPort[] => {
    const texts = [...(resolved[name]?.value ?? []), ...own.flatMap((each) => each[name] ?? [])];
    const isAuto = texts.length === 0 || texts.includes("auto");
    const hosts = [...known.endpoints.map(({ address }) => address), ...METADATA_ADDRESSES];
    const auto =
      known.endpoints.length === 0 ? [] : hosts.map((host) => ({ host, port: PORTS[name] }));
    return [...(isAuto ? auto : []), ...texts.flatMap((text) => tryParseListen(text) ?? [])];
  };
  // Of two leases for one address the later one holds: the source's, which knows what is meant.
  const leases = [...(await readLeaseFiles(own)), ...known.leases];
  return {
    ...{ networks, leases, listen: listens("listen"), passwordListen: listens("passwordListen") },
    ...adminAt(resolved.adminListen?.value),
    managementCidrs: managementOf(file),
    guests: GUEST_LIMITS,
  };
}

async function settingsOf(
  options: Options,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Given> {
  const path = options.string("config");
  const file =
    path === undefined ? undefined : await (await import("../config/load.ts")).loadConfig(path);
  const flags = {
    source: options.string("source"),
    listen: options.strings("listen"),
    passwordListen: options.strings("password-listen"),
    adminListen: options.string("admin-listen"),
    network: options.string("network"),
  };
  const resolved = resolveRouterSettings({ flags, env, ...(file && { file }) });
  return { resolved, ...(file && { file }) };
}

/** Asks the running router what it listens on and where its instances come from. */
async function ofRunning(options: Options, { file }: Given): Promise<FirewallSettings> {
  const admin = adminOf(options);
  using client = openAdminClient(admin);
  const status = (await client.get("/status")) as {
    readonly source?: string;
    readonly networks?: readonly Network[];
    /** What the router holds its networks to; absent in an older one. */
    readonly policies?: readonly RunningPolicy[];
    readonly firewall?: "kept" | "none";
    readonly listening?: readonly (HostPort & { readonly plane: string })[];
  };
  if (status.firewall === "kept" && options.flag("apply")) {
    throw new UsageError("the running router keeps this table itself (firewall.manage)");
  }
  const enforces = status.policies?.some(({ macEvidence }) => macEvidence === "enforce") === true;
  if (enforces && isStore(status.source ?? "")) {
    const why = "only the router knows the MAC addresses in its store";
    throw new UsageError(`${why}; let it keep the table itself (firewall.manage)`);
  }
  const known = await readSource(status.source, undefined);
  const at = (plane: string): HostPort[] =>
    (status.listening ?? [])
      .filter((each) => each.plane === plane)
      .map(({ host, port }) => ({ host, port }));
  return {
    networks:
      status.policies?.map((policy) => ofPolicy(policy, options)) ??
      (status.networks ?? known.networks).map(({ id, cidrs }) => ofSource(id, cidrs, options)),
    ...{ leases: known.leases, listen: at("metadata"), passwordListen: at("password") },
    ...adminAt(admin),
    managementCidrs: managementOf(file),
    guests: GUEST_LIMITS,
  };
}

type RunningPolicy = Omit<FirewallNetwork, "cidrs"> & { readonly cidrs: readonly string[] };

function ofPolicy({ cidrs, ...policy }: RunningPolicy, options: Options): FirewallNetwork {
  const given = options.string("mac-evidence") as MacEvidence | undefined;
  const macEvidence = given ?? policy.macEvidence;
  return { ...policy, cidrs: cidrs.map(parseCidr), macEvidence };
}

/** What the source says now. It is read as a router reads it, and left as it is. */
async function readSource(place: string | undefined, network: string | undefined): Promise<Known> {
  // A store is sealed with a key that only its programs have.
  if (place === undefined || isStore(place)) return { networks: [], endpoints: [], leases: [] };
  const source = await openSource(place, {
    ...{ conditions: new Conditions(Date.now), now: Date.now, firstStart: true },
    ...(network !== undefined && { network }),
  });
  try {
    const leases = new Map<Ip, Lease>();
    for (const change of await source.poll(new AbortController().signal)) {
      const lease = leaseOf(change);
      if (lease?.mac !== undefined) leases.set(lease.address, { ...lease, mac: lease.mac });
      else if (lease !== undefined) leases.delete(lease.address);
    }
    return {
      ...{ networks: source.networks(), endpoints: source.endpoints() },
      leases: [...leases.values()],
    };
  } finally {
    await source[Symbol.asyncDispose]();
  }
}

/** Networks in other namespaces have their own firewall there. */
function ownNamespace({ networks }: ResolvedSettings): ResolvedSettings["networks"] {
  return networks.filter(({ netns }) => netns === undefined);
}

function ofConfig(network: ResolvedSettings["networks"][number]): FirewallNetwork {
  const { id, routed, macEvidence, hopLimit, guests } = network;
  const cidrs = network.cidrs.map(parseCidr);
  return {
    ...{ id, routed, macEvidence, cidrs, devices: devicesIn(cidrs) },
    ...(hopLimit !== undefined && { hopLimit }),
    ...(guests !== undefined && {
      guests: {
        ...(guests.maxConnections !== undefined && { maxConnections: guests.maxConnections }),
        ...(guests.newPerSecond !== undefined && { newPerSecond: guests.newPerSecond }),
      },
    }),
  };
}

function ofSource(id: string, texts: readonly string[], options: Options): FirewallNetwork {
  const cidrs = texts.map(parseCidr);
  const macEvidence = (options.string("mac-evidence") ?? "audit") as MacEvidence;
  return { id, cidrs, devices: devicesIn(cidrs), routed: false, macEvidence };
}

function managementOf(file: LoadedConfig | undefined): readonly Cidr[] {
  return (file?.config.firewall?.managementCidrs ?? []).map(parseCidr);
}

/** A unix socket has its own permissions. */
function adminAt(text: string | undefined): { admin?: HostPort } {
  const admin = text === undefined ? undefined : tryParseHostPort(text);
  return admin === undefined ? {} : { admin };
}

async function readLeaseFiles(networks: ResolvedSettings["networks"]): Promise<Lease[]> {
  const leases: Lease[] = [];
  for (const file of networks.flatMap(({ leaseFiles }) => leaseFiles)) {
    const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
      throw new ConfigError(`cannot be read: ${error.code}`, { file });
    });
    if (text.length > LEASE_FILE_BYTES_MAX) throw new ConfigError("is over 16 MiB", { file });
    leases.push(...parseDnsmasqLeases(text));
  }
  return leases;
}
