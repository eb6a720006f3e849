/**
 * The shape of the configuration file: what stands in `docs/formats/config.md`, as a schema.
 *
 * The JSON schema for editors is made from it, so each field carries its description. Whether
 * ranges overlap is checked in `read.ts`, because it takes two lines to say so.
 */

import { z } from "zod";
import { tryParseIp } from "../model/address.ts";
import { CONTROLLER } from "./controller.ts";
import { fields } from "./issues.ts";
import { flaw, HOSTS_MODES, LOG_LEVELS, listFlaw, type SettingKind } from "./settings.ts";
import { cidr, line, networkId } from "./terms.ts";

/** Networks in one file. A router has a dozen at most. */
const NETWORKS_MAX = 1000;
/** Entries of any other list: addresses, ranges, files. */
const LIST_MAX = 100;

const setting = (kind: SettingKind, description: string): z.ZodString =>
  z
    .string()
    .superRefine((text, context) => {
      const message = flaw(kind, text);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    })
    .describe(description);

const listens = (description: string) =>
  z
    .array(setting("listen", "ADDR:PORT, [IPV6]:PORT or auto"))
    .min(1)
    .max(LIST_MAX)
    .superRefine((values, context) => {
      const message = listFlaw(values);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    })
    .describe(description);

const named = (description: string) =>
  z
    .array(setting("listen", "ADDR:PORT or [IPV6]:PORT"))
    .min(1)
    .max(LIST_MAX)
    .superRefine((values, context) => {
      if (!values.includes("auto")) return;
      context.addIssue({ code: "custom", message: "auto is not possible here; name addresses" });
    })
    .describe(description);

const paths = (description: string) =>
  z.array(setting("path", "A file")).max(LIST_MAX).describe(description);

const cidrs = (description: string) => z.array(cidr).max(LIST_MAX).describe(description);

const count = (description: string): z.ZodInt =>
  z.int().min(1).max(1_000_000).describe(description);

const source = setting("place", "Where instances come from: databag:DIR or file:PATH");
const store = setting("store", "The store that another program writes: sqlite:PATH");
const hosts = z
  .enum(HOSTS_MODES)
  .describe("What to do about Host headers that name another server");

const BOTH = "give source or store, not both";

const network = fields({
  id: networkId("The network's id"),
  cidrs: cidrs("The address ranges of its guests").min(1),
  netns: line("The network namespace it lies in; this program's own when absent").optional(),
  listen: listens("Addresses that its guests ask for metadata").optional(),
  passwordListen: listens("Addresses that its guests ask for passwords").optional(),
  source: source.optional(),
  store: store.optional(),
  macEvidence: z
    .enum(["off", "audit", "enforce"])
    .default("audit")
    .describe("What to do about a guest whose MAC address is not the one of its lease"),
  hosts: hosts.optional(),
  routed: z.boolean().default(false).describe("Guests may be behind a router of their own"),
  hopLimit: z.int().min(1).max(255).optional().describe("Hops that a reply may take"),
  leaseFiles: paths("Files of leases, as dnsmasq writes them").default([]),
  guests: fields({
    maxConnections: count("Connections that one guest may have open").optional(),
    newPerSecond: count("Connections that one guest may open in a second").optional(),
  })
    .optional()
    .describe("Limits for each guest"),
});

const trusted = z
  .string()
  .refine(
    (text) => tryParseIp(text) !== undefined || cidr.safeParse(text).success,
    "must be an address like 10.1.1.9, or a range like 10.1.1.0/24",
  )
  .describe("An address, or a range in CIDR notation");

const proxied = fields({
  listen: named("Addresses that bridges ask for metadata").optional(),
  passwordListen: named("Addresses that bridges ask for passwords").optional(),
  trusted: z.array(trusted).min(1).max(LIST_MAX).describe("Who is believed there: the bridges"),
  netns: line("The network namespace it lies in; this program's own when absent").optional(),
}).superRefine((given, context) => {
  if (given.listen !== undefined || given.passwordListen !== undefined) return;
  context.addIssue({ code: "custom", path: ["listen"], message: "is missing: name an address" });
});

export const CONFIG = fields({
  source: source.optional(),
  store: store.optional(),
  listen: listens("Addresses that guests ask for metadata").optional(),
  passwordListen: listens("Addresses that guests ask for passwords").optional(),
  adminListen: setting("admin", "The admin listener: unix:PATH or ADDR:PORT").optional(),
  network: networkId("The network's name, where the source does not know one").optional(),
  stateDir: setting("path", "Where bindings and passwords are kept, sealed").optional(),
  sealKey: setting("path", "A file of 32 bytes that seals the state").optional(),
  cacheDir: setting("path", "CloudStack's /var/cache/cloud, for passwords").optional(),
  passwordTokenFile: setting("path", "The token of CloudStack's save_password").optional(),
  hosts: hosts.optional(),
  hostNames: z
    .array(line("A name"))
    .max(LIST_MAX)
    .default([])
    .describe("Further names that guests may call the router by"),
  logLevel: z.enum(LOG_LEVELS).optional().describe("How much to log"),
  networks: z
    .array(network)
    .max(NETWORKS_MAX)
    .default([])
    .describe("Networks of guests, where there are several or one has settings of its own"),
  proxied: z
    .array(proxied)
    .max(LIST_MAX)
    .optional()
    .describe("Listeners for bridges, where a PROXY header of version 2 says who asks"),
  firewall: fields({
    manage: z.boolean().default(false).describe("Whether the router keeps its own firewall table"),
    managementCidrs: cidrs("Ranges that may reach the admin listener").default([]),
  }).optional(),
  admin: fields({ listen: setting("admin", "The same as adminListen") }).optional(),
  controller: CONTROLLER.optional().describe("Settings of frontdesk controller"),
}).superRefine((given, context) => {
  given.proxied?.forEach(({ netns }, index) => {
    if (netns === undefined || given.networks.some((each) => each.netns === netns)) return;
    const message = "no network lies in this namespace";
    context.addIssue({ code: "custom", path: ["proxied", index, "netns"], message });
  });
  for (const [{ source, store }, path] of [
    [given, []] as const,
    ...given.networks.map((network, index) => [network, ["networks", index]] as const),
  ]) {
    if (source === undefined || store === undefined) continue;
    context.addIssue({ code: "custom", path: [...path, "store"], message: BOTH });
  }
  if (given.adminListen === undefined || given.admin === undefined) return;
  const message = "give adminListen or admin.listen, not both";
  context.addIssue({ code: "custom", path: ["admin", "listen"], message });
});

export type Config = z.output<typeof CONFIG>;
export type NetworkConfig = Config["networks"][number];

/** The JSON schema of the file, as `docs/schema/config.schema.json` holds it. */
export function configJsonSchema(): object {
  const description = "Configuration for `frontdesk router --config FILE`";
  return {
    title: "Frontdesk configuration",
    description,
    ...z.toJSONSchema(CONFIG, { io: "input" }),
  };
}
