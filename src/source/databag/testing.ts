/**
 * For the tests of this folder: bags from texts, and folders of databags that tests may write to.
 */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Ip } from "../../model/address.ts";
import type { Binding, Withheld } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import { Conditions } from "../../observe/conditions.ts";
import { Slices } from "../slices.ts";
import type { Source, SourceContext } from "../source.ts";
import type { Bag, Delta } from "./bag.ts";
import { openDatabag } from "./databag.ts";
import type { Readable } from "./stream.ts";

export const FIXTURES = "fixtures/cloudstack";

export type Json = Record<string, unknown>;

/** A file that is not on the disk. */
export function fileOf(text: string): Readable {
  const bytes = Buffer.from(text);
  return {
    size: bytes.length,
    read: async (into, at) => void bytes.copy(into, 0, at, at + into.length),
  };
}

export function slices(): Slices {
  return new Slices(new AbortController().signal);
}

/** Reads a text into a bag, puts it in force, and says what differed. */
export async function take<T>(bag: Bag<T>, content: string | Json): Promise<Delta<T>> {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  const delta = await bag.read(fileOf(text), slices());
  delta.commit();
  return delta;
}

export function fixture(topology: string, name: string): Json {
  return JSON.parse(readFileSync(join(FIXTURES, topology, "etc-cloudstack", name), "utf8"));
}

/** The commands of a topology, in the order in which CloudStack sent them. */
export function commands(topology: string): { name: string; text: string }[] {
  const dir = join(FIXTURES, topology, "commands");
  const names = readdirSync(dir).sort();
  return names.map((name) => ({ name, text: readFileSync(join(dir, name), "utf8") }));
}

/** A folder of databags. Held with `using`. */
export class BagDir {
  readonly path: string = mkdtempSync(join(tmpdir(), "frontdesk-databag-"));

  /** With the files of a topology, if one is named. */
  constructor(topology?: string) {
    if (topology === undefined) return;
    const dir = join(FIXTURES, topology, "etc-cloudstack");
    for (const name of readdirSync(dir))
      this.writeText(name, readFileSync(join(dir, name), "utf8"));
  }

  read(name: string): Json {
    return JSON.parse(readFileSync(join(this.path, name), "utf8"));
  }

  readText(name: string): string | undefined {
    const path = join(this.path, name);
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  }

  /** In place and in CloudStack's formatting. */
  write(name: string, content: Json): void {
    this.writeText(name, JSON.stringify(content, undefined, 2));
  }

  writeText(name: string, text: string): void {
    writeFileSync(join(this.path, name), text);
  }

  edit(name: string, change: (content: Json) => void): void {
    const content = this.read(name);
    change(content);
    this.write(name, content);
  }

  remove(name: string): void {
    rmSync(join(this.path, name), { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A databag source over a folder, with a clock of its own and what it told so far. */
export class Lab {
  readonly dir: BagDir;
  readonly conditions: Conditions;
  /** What the router would know: by address. */
  readonly known = new Map<Ip, Binding | Withheld>();
  now = 1_000_000;
  #source: Source | undefined;
  readonly #context: Partial<SourceContext>;

  constructor(dir: BagDir, context: Partial<SourceContext> = {}) {
    this.dir = dir;
    this.conditions = new Conditions(() => this.now);
    this.#context = context;
  }

  get source(): Source {
    if (this.#source === undefined) throw new Error("not open");
    return this.#source;
  }

  /** Opens the source, with what another one told as an earlier run's state. */
  async open(earlier?: Lab): Promise<this> {
    const context = { conditions: this.conditions, now: () => this.now, firstStart: true };
    this.#source = await openDatabag(this.dir.path, { ...context, ...this.#context });
    if (earlier === undefined) return this;
    for (const [address, known] of earlier.known) this.known.set(address, known);
    this.#source.restore([...this.known.values()].map(changeOf));
    return this;
  }

  async poll(): Promise<readonly Change[]> {
    return this.take(await this.source.poll(new AbortController().signal));
  }

  apply(command: Json | string, name = "command.json"): readonly Change[] {
    const text = typeof command === "string" ? command : JSON.stringify(command);
    return this.take(this.source.apply?.(text, name) ?? []);
  }

  /** The changes of the next poll, written short. */
  async told(): Promise<string[]> {
    return (await this.poll()).map(shorten);
  }

  /** What is known at an address, written short. */
  at(address: string): string {
    const known = this.known.get(address as Ip);
    return known === undefined ? "unknown" : shorten(changeOf(known));
  }

  keys(address: string): Record<string, string | null> {
    const known = this.known.get(address as Ip);
    return known !== undefined && "keys" in known ? Object.fromEntries(known.keys) : {};
  }

  /** The conditions that hold, as `CODE subject`. */
  get raised(): string[] {
    return this.conditions.list().map(({ code, subject }) => `${code} ${subject}`);
  }

  detail(code: string): string | undefined {
    return this.conditions.list().find((condition) => condition.code === code)?.detail;
  }

  take(changes: readonly Change[]): readonly Change[] {
    for (const change of changes) {
      if (change.kind === "put") this.known.set(change.binding.address, change.binding);
      else if (change.kind === "withhold") this.known.set(change.withheld.address, change.withheld);
      else if (change.kind === "delete") {
        // As a router does: what is deleted in one network may be known in another.
        const known = this.known.get(change.address);
        if (known?.network === change.network) this.known.delete(change.address);
      }
    }
    return changes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source?.[Symbol.asyncDispose]();
    this.dir[Symbol.dispose]();
  }
}

function changeOf(known: Binding | Withheld): Change {
  return "keys" in known ? { kind: "put", binding: known } : { kind: "withhold", withheld: known };
}

/** `10.1.1.57 serve 1 5d6a7f10`: address, verdict, epoch, and of whom. */
export function shorten(change: Change): string {
  if (change.kind === "put") {
    const { address, epoch, instance } = change.binding;
    return `${address} serve ${epoch} ${instance.slice(0, 8)}`;
  }
  if (change.kind === "withhold") {
    const { address, epoch, reason } = change.withheld;
    return `${address} ${reason} ${epoch}`;
  }
  if (change.kind === "delete") return `${change.address} delete ${change.network}`;
  const { address, epoch, password = "-", via, standing } = change;
  return `${address} password ${epoch} ${password} ${via}${standing ? " standing" : ""}`;
}

/** A lease as dhcpentry.json has it. */
export function lease(mac: string, remove = false, host?: string): Json {
  const name = host === undefined ? {} : { host_name: host };
  return { mac_address: `02:00:00:00:00:${mac}`, remove, type: "dhcpentry", ...name };
}

/** An instance's entry as vmdata.json has it. */
export function entry(instance: string, more: readonly (readonly [string, unknown])[] = []): Json {
  const items = [
    ["userdata", "user-data", Buffer.from(`#${instance}`).toString("base64")],
    ["metadata", "local-hostname", `host-${instance}`],
    ["metadata", "instance-id", instance],
    ...more.map(([name, value]) => ["metadata", name, value]),
  ];
  return items as unknown as Json;
}

export const X = "10.1.1.5";
export const Y = "10.1.1.6";

/** Two instances, I at X and M at Y, that are served. */
export async function served(context: Partial<SourceContext> = {}): Promise<Lab> {
  const dir = new BagDir();
  dir.write("vmdata.json", { [X]: entry("I"), [Y]: entry("M"), id: "vmdata" });
  dir.write("dhcpentry.json", { [X]: lease("0a"), [Y]: lease("0d"), id: "dhcpentry" });
  dir.write("ips.json", { eth0: [guest("10.1.1.1")], id: "ips" });
  const lab = await new Lab(dir, context).open();
  assert.deepEqual(await lab.told(), [`${X} serve 1 I`, `${Y} serve 1 M`]);
  return lab;
}

export function guest(public_ip: string): Json {
  return { add: true, nw_type: "guest", public_ip, cidr: `${public_ip}/24`, device: "eth0" };
}

export function edit(lab: Lab, entries: Record<string, Json | undefined>): void {
  lab.dir.write("vmdata.json", { ...lab.dir.read("vmdata.json"), ...entries });
}

export function leases(lab: Lab, entries: Record<string, Json | undefined>, text?: string): void {
  const before = text === undefined ? lab.dir.read("dhcpentry.json") : JSON.parse(text);
  lab.dir.write("dhcpentry.json", { ...before, ...entries });
}
