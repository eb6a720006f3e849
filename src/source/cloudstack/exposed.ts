/**
 * Reads CloudStack's settings of what guests may know: by account, by domain and by zone.
 */

import { isFields } from "./answer.ts";
import { accountName, type Exposed, type Instance } from "./cloud.ts";
import { ACCOUNT } from "./fields.ts";
import { SCOPES_MAX } from "./limits.ts";
import { ifPermitted, type ListReader, listOf } from "./reader.ts";
import type { Params } from "./sign.ts";

const COMMAND = "listConfigurations";
const HOSTS = "global.allow.expose.host.hostname";
const ACCOUNT_HOSTS = "account.allow.expose.host.hostname";
const DOMAINS = "metadata.allow.expose.domain";
const CLOUD_NAME = "metadata.custom.cloud.name";

const NOTHING: Exposed = { hosts: new Set(), domains: new Set(), cloudNames: new Map() };

/** Without the permission nothing is exposed, as by default. */
export async function readExposed(
  reader: ListReader,
  instances: readonly Instance[],
): Promise<Exposed> {
  const keys = ["hypervisor-host-name", "cloud-domain", "cloud-domain-id", "cloud-name"];
  const exposed = await ifPermitted(reader, COMMAND, keys, async () => {
    const domainids = distinct(instances.map(({ domainid }) => domainid));
    const zoneids = distinct(instances.map(({ zoneid }) => zoneid));
    const [hosts, domains, names] = await Promise.all([
      readHosts(reader, instances),
      scoped(reader, DOMAINS, "domainid", domainids),
      scoped(reader, CLOUD_NAME, "zoneid", zoneids),
    ]);
    return {
      hosts,
      domains: new Set([...domains].filter(isTrue).map(([id]) => id)),
      cloudNames: new Map([...names].filter(([, name]) => name.trim() !== "")),
    };
  });
  return exposed ?? NOTHING;
}

async function readHosts(
  reader: ListReader,
  instances: readonly Instance[],
): Promise<ReadonlySet<string>> {
  const shown = await setting(reader, HOSTS, {});
  if (shown !== "true") return new Set();
  const owners = new Set(instances.map((one) => accountName(one.domainid, one.account)));
  const list = { command: "listAccounts", item: "account" };
  const accounts = (await listOf(reader, list, ACCOUNT, ["hypervisor-host-name"])) ?? [];
  const ids = new Map<string, string>();
  for (const { id, name, domainid } of accounts) {
    const owner = accountName(domainid, name);
    if (id !== undefined && owners.has(owner)) ids.set(id, owner);
  }
  const values = await scoped(reader, ACCOUNT_HOSTS, "accountid", [...ids.keys()]);
  return new Set([...values].filter(isTrue).map(([id]) => ids.get(id) ?? ""));
}

/** A setting's value in each scope; not there where it has none. */
async function scoped(
  reader: ListReader,
  name: string,
  scope: "accountid" | "domainid" | "zoneid",
  ids: readonly string[],
): Promise<Map<string, string>> {
  if (ids.length > SCOPES_MAX) reader.findings.add("scopes-left-out", `${COMMAND} by ${scope}`);
  const values = await Promise.all(
    ids.slice(0, SCOPES_MAX).map(async (id) => {
      return [id, await setting(reader, name, { [scope]: id })] as const;
    }),
  );
  return new Map(values.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

async function setting(
  { api, signal }: ListReader,
  name: string,
  scope: Params,
): Promise<string | undefined> {
  const { configuration } = await api.read(COMMAND, { name, ...scope }, signal);
  const settings = Array.isArray(configuration) ? configuration.filter(isFields) : [];
  // Asked by name, it may list every setting whose name begins so.
  const value = settings.find((one) => one.name === name)?.value;
  return typeof value === "string" ? value : undefined;
}

function isTrue([, value]: readonly [string, string]): boolean {
  return value === "true";
}

function distinct(values: readonly (string | undefined)[]): string[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}
