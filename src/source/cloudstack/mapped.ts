/**
 * For the tests of this folder: what a cloud maps to, read through an API as the controller does.
 */

import type { InstanceRecord } from "../../model/record.ts";
import { CloudStackClient } from "./client.ts";
import { fill } from "./example.ts";
import { Findings } from "./findings.ts";
import type { Installation } from "./incarnation.ts";
import { networksOf } from "./networks.ts";
import { readCloud } from "./read-cloud.ts";
import { recordsOf } from "./records.ts";
import { FakeApi, KEYS, type Cloud as Lists, SIGNAL } from "./testing.ts";

type Raw = Readonly<Record<string, unknown>>;

export interface Given {
  readonly instances?: readonly Raw[];
  readonly addresses?: readonly Raw[];
  readonly accounts?: readonly Raw[];
  readonly offerings?: readonly Raw[];
  readonly identifier?: string;
  readonly userData?: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, string>>;
  /** The root disk of each instance. */
  readonly disks?: Readonly<Record<string, string>>;
}

export interface Mapped {
  readonly records: readonly InstanceRecord[];
  readonly installations: ReadonlyMap<string, Installation>;
  /** Those of which nothing certain is known. */
  readonly unsure: readonly string[];
  readonly networks: ReturnType<typeof networksOf>;
  readonly findings: string[];
}

/** What a cloud maps to, through the API, so that the answers are read as they come. */
export async function mapped(
  given: Given,
  last: ReadonlyMap<string, Installation> = new Map(),
  filled?: FakeApi,
): Promise<Mapped> {
  await using own = filled === undefined ? await FakeApi.open() : undefined;
  const api = filled ?? own ?? never();
  if (own !== undefined) fill(own.cloud);
  put(api.cloud, given);
  using client = new CloudStackClient({ endpoint: api.url, credentials: KEYS });
  const findings = new Findings();
  const cloud = await readCloud({ api: client, apiKey: KEYS.apiKey, findings, signal: SIGNAL });
  const all = [...recordsOf(cloud, last, findings)];
  return {
    records: all.flatMap(({ records }) => records ?? []),
    installations: new Map(all.map(({ id, installation }) => [id, installation])),
    unsure: all.filter(({ records }) => records === undefined).map(({ id }) => id),
    networks: networksOf(cloud),
    findings: findings.list().map(({ kind }) => kind),
  };
}

function put(cloud: Lists, given: Given): void {
  cloud.instances.push(...(given.instances ?? []));
  cloud.publicAddresses.push(...(given.addresses ?? []));
  cloud.offerings.push(...(given.offerings ?? []));
  cloud.identifier = given.identifier ?? cloud.identifier;
  cloud.accounts.push(...(given.accounts ?? []));
  for (const [id, text] of Object.entries(given.userData ?? {})) cloud.userData.set(id, text);
  for (const [name, value] of Object.entries(given.settings ?? {})) cloud.settings.set(name, value);
  for (const [virtualmachineid, id] of Object.entries(given.disks ?? {})) {
    cloud.volumes.push({ id, virtualmachineid, state: "Ready" });
  }
}

/** What a cloud maps to that has one instance in one network. */
export async function only(given: Given): Promise<Mapped & { readonly record: InstanceRecord }> {
  const result = await mapped(given);
  const [record = never(), ...others] = result.records;
  if (others.length > 0) throw new Error("there are several records");
  return { ...result, record };
}

export function never(): never {
  throw new Error("there is none");
}
