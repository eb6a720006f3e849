/**
 * From bindings to the file that `file:` reads: how a router is replayed elsewhere.
 *
 * Unmasked, reading the file gives the same bindings. Masked (the way to hand a file around), user
 * data is replaced by a note of its size, and keys that are named like secrets lose their value.
 * Passwords are never written.
 */

import { isIP } from "node:net";
import { Document, isScalar, isSeq, Scalar, type ToStringOptions, visit } from "yaml";
import { contains, type Ip, type Mac, parseCidr } from "../../model/address.ts";
import type { Binding, KeyValue } from "../../model/binding.ts";
import type { Network } from "../../model/change.ts";
import { counted } from "../../model/count.ts";
import { type NumberedBody, numberBodies, type WrittenBody } from "./bodies.ts";
import { keysOf } from "./keys.ts";
import { PUBLIC_KEYS_MAX } from "./limits.ts";
import { toLoopback } from "./loopback.ts";

export interface WriteOptions {
  /** Leave out secrets. */
  readonly mask: boolean;
  /** Move IPv4 addresses to 127.0.0.0/8, so that a laptop can be every guest. */
  readonly loopback?: boolean;
  /** Is told of each address that the file cannot hold, and why, as the end of a phrase. */
  readonly onLeftOut?: (address: Ip, why: string) => void;
}

/** Text in quotes is written as in JSON, on one line: folded lines lose a space here and there. */
const STYLE: ToStringOptions = {
  lineWidth: 0,
  flowCollectionPadding: false,
  doubleQuotedAsJSON: true,
  singleQuote: false,
};

/** Keys whose name says that the value is nobody else's business. */
const SECRET_NAME = /pass(word|wd|phrase)|secret|token|credential|private|api[-_.]?key/i;
const MASKED = "masked";

/**
 * Writes the file.
 *
 * @throws {UsageError} if `loopback` would give two guests one address.
 * @throws {StateError} if user data cannot be read back.
 */
export async function toYaml(
  bindings: readonly Binding[],
  networks: readonly Network[],
  options: WriteOptions,
): Promise<string> {
  const moved = options.loopback === true ? toLoopback(bindings, networks) : { bindings, networks };
  const inside = moved.bindings.filter((binding) => isInside(binding, moved.networks));
  tellLeftOut(bindings, { moved: moved.bindings, inside }, options);
  const bodies = await numberBodies(inside, options.mask);
  const all = withMissing(moved.networks, inside);
  const instances = group(inside, bodies, options.mask).flatMap((members) =>
    recordsOf(members, all.length > 1),
  );
  const content = { networks: all.map(plainNetwork), instances };
  // Records alike are written out, so that each can be edited on its own.
  const document = new Document(content, { aliasDuplicateObjects: false });
  if (all.length === 0) document.delete("networks");
  style(document);
  const left = bindings.length - inside.length;
  const head = [
    "Instances for: frontdesk router --source file:PATH",
    ...(options.mask ? ["User data, and what is named like a secret, is masked."] : []),
    "Passwords are left out.",
    ...(left > 0
      ? [`Left out as well: ${counted(left, "address", "addresses")} that cannot be replayed.`]
      : []),
  ];
  const text = document.toString(STYLE);
  return `${head.map((line) => `# ${line}`).join("\n")}\n\n${text}`;
}

function tellLeftOut(
  bindings: readonly Binding[],
  { moved, inside }: { moved: readonly Binding[]; inside: readonly Binding[] },
  { loopback, onLeftOut }: WriteOptions,
): void {
  if (onLeftOut === undefined) return;
  for (const { address } of bindings) {
    if (loopback === true && isIP(address) === 6)
      onLeftOut(address, "that loopback has no place for");
  }
  const written = new Set(inside);
  for (const binding of moved) {
    if (!written.has(binding)) onLeftOut(binding.address, "outside its network's range");
  }
}

/** A binding with what is written of it. */
interface Member {
  readonly binding: Binding;
  readonly keys: readonly KeyValue[];
  readonly body: NumberedBody | undefined;
}

/** The fields of a record from which its keys follow. */
interface KeyFields {
  readonly id: string;
  readonly name: string;
  readonly zone?: string;
  readonly serviceOffering?: string;
  readonly keys?: [name: string, value: string | null][];
  readonly standardKeys?: boolean;
  readonly publicKeys?: string[];
}

interface WrittenNic {
  readonly mac?: Mac;
  readonly addresses: Ip[];
}

interface WrittenRecord extends KeyFields {
  readonly network?: string;
  readonly address?: Ip;
  readonly nics?: readonly WrittenNic[];
  readonly userData?: WrittenBody;
  readonly epoch?: number;
}

/** Members of one group differ in nothing but their NIC, so they may be one record. */
function group(
  bindings: readonly Binding[],
  bodies: ReadonlyMap<Binding, NumberedBody>,
  mask: boolean,
): Member[][] {
  const groups = new Map<string, Member[]>();
  for (const binding of bindings) {
    const keys = mask ? binding.keys.map(maskKey) : binding.keys;
    const body = bodies.get(binding);
    const { network, instance, name, epoch } = binding;
    // `local-ipv4` differs by NIC, and is derived from it.
    const common = keys.filter(([name]) => name !== "local-ipv4");
    const id = JSON.stringify([network, instance, name, epoch, body?.number ?? 0, common]);
    const members = groups.get(id) ?? [];
    groups.set(id, members);
    members.push({ binding, keys, body });
  }
  return [...groups.values()];
}

function maskKey([name, value]: KeyValue): KeyValue {
  return [name, SECRET_NAME.test(name) && value !== null && value !== "" ? MASKED : value];
}

/** One short record where reading it gives these members again; else an exact one for each. */
function recordsOf(members: readonly Member[], several: boolean): WrittenRecord[] {
  const [first] = members;
  if (first === undefined) return [];
  const nics = nicsOf(members);
  const short = shorten(first);
  const same = members.every(({ binding, keys }) => {
    const nic = nics.find(({ addresses }) => addresses.includes(binding.address));
    return JSON.stringify(keysOf(short, nic?.addresses ?? [])) === JSON.stringify(keys);
  });
  if (same) return [record(first, { nics, fields: short, several })];
  if (members.length > 1) return members.flatMap((member) => recordsOf([member], several));
  const { id, name } = short;
  const fields = { id, name, standardKeys: false, keys: pairs(first.keys) };
  return [record(first, { nics, fields, several })];
}

/** The fields that CloudStack's keys are derived from, and as `keys` what they do not say. */
function shorten({ binding, keys }: Member): KeyFields {
  const value = new Map(keys);
  const line = (name: string): string | undefined => {
    const text = value.get(name) ?? "";
    return text === oneLine(text) ? text : undefined;
  };
  const zone = line("availability-zone");
  const serviceOffering = line("service-offering");
  const publicKeys = value.get("public-keys")?.split("\n") ?? [];
  const arePublicKeys =
    publicKeys.length > 0 &&
    publicKeys.length <= PUBLIC_KEYS_MAX &&
    publicKeys.every((key) => key !== "" && !key.includes("\r"));
  const fields = {
    id: oneLine(binding.instance),
    name: oneLine(binding.name),
    ...(zone !== undefined && { zone }),
    ...(serviceOffering !== undefined && { serviceOffering }),
    ...(arePublicKeys && { publicKeys }),
  };
  const derived = new Map(keysOf(fields, [binding.address]));
  const own = keys.filter(([name, value]) => name !== "local-ipv4" && derived.get(name) !== value);
  return { ...fields, ...(own.length > 0 && { keys: pairs(own) }) };
}

function nicsOf(members: readonly Member[]): WrittenNic[] {
  const nics = new Map<string, WrittenNic>();
  for (const { binding } of members) {
    const { mac, address } = binding;
    const key = mac ?? address;
    const nic = nics.get(key) ?? { ...(mac !== undefined && { mac }), addresses: [] };
    nics.set(key, nic);
    nic.addresses.push(address);
  }
  return [...nics.values()];
}

/** In the order in which people look for the fields. */
function record(
  { binding, body }: Member,
  { nics, fields, several }: { nics: readonly WrittenNic[]; fields: KeyFields; several: boolean },
): WrittenRecord {
  const { id, name, zone, serviceOffering, standardKeys, keys, publicKeys } = fields;
  const [nic] = nics;
  const address = nic?.mac === undefined && nics.length === 1 ? nic?.addresses : undefined;
  return {
    ...(several && { network: binding.network }),
    id,
    name,
    ...(address?.length === 1 && address[0] !== undefined ? { address: address[0] } : { nics }),
    ...(zone !== undefined && { zone }),
    ...(serviceOffering !== undefined && { serviceOffering }),
    ...(standardKeys !== undefined && { standardKeys }),
    ...(keys !== undefined && { keys }),
    ...(publicKeys !== undefined && { publicKeys }),
    ...(body !== undefined && { userData: body.written }),
    ...(binding.epoch > 1 && { epoch: binding.epoch }),
  };
}

/** Short lists on one line; user data as it stands. */
function style(document: Document): void {
  visit(document, {
    Pair(_key, { key, value }) {
      const name = isScalar(key) ? key.value : undefined;
      if (isSeq(value) && (name === "addresses" || name === "cidrs")) value.flow = true;
      if (isSeq(value) && name === "keys") {
        for (const pair of value.items) if (isSeq(pair)) pair.flow = true;
      }
      const isBody = name === "userData" || name === "base64";
      if (!isBody || !isScalar(value)) return;
      const text = String(value.value);
      // A block takes its indentation from its first line, so that must not begin with a space.
      if (/^[ \t\n]/.test(text)) value.type = Scalar.QUOTE_DOUBLE;
      else if (text.includes("\n")) value.type = Scalar.BLOCK_LITERAL;
    },
  });
}

/** The file refuses an address outside its network, so one such would refuse them all. */
function isInside({ network, address }: Binding, networks: readonly Network[]): boolean {
  const cidrs = networks.find(({ id }) => id === network)?.cidrs ?? [];
  return cidrs.length === 0 || cidrs.some((cidr) => contains(parseCidr(cidr), address));
}

/** Networks that only bindings know are named too, so that each record can refer to its own. */
function withMissing(networks: readonly Network[], bindings: readonly Binding[]): Network[] {
  const known = new Set(networks.map(({ id }) => id));
  const missing = new Set(bindings.map(({ network }) => network).filter((id) => !known.has(id)));
  return [...networks, ...[...missing].map((id) => ({ id, cidrs: [] }))];
}

function plainNetwork({ id, cidrs, dnsDomain }: Network): object {
  const domain = dnsDomain === undefined ? {} : { dnsDomain };
  return { id, ...(cidrs.length > 0 && { cidrs }), ...domain };
}

function pairs(keys: readonly KeyValue[]): [name: string, value: string | null][] {
  return keys.map(([name, value]) => [name, value]);
}

/** What the file takes as an id or a name; the same text where it is one already. */
function oneLine(text: string): string {
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, "?").slice(0, 255);
  return line === "" ? "unnamed" : line;
}
