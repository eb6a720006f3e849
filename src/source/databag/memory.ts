/**
 * What is noted beside a binding or a withheld address, so that a later run of this program can
 * tell news from what it has known: digests of the databags' entries, never their content.
 */

import type { Ip, Mac } from "../../model/address.ts";
import type { Binding, NetworkId, Origin, Withheld } from "../../model/binding.ts";
import type { Bond } from "./bindings.ts";

/** What is noted beside a binding. */
export interface BindingNote {
  /** Of the metadata's entry in the databag; `""` where there was none. */
  readonly digest: string;
  /** Something of it is not served and was reported: it must be reported again. */
  readonly flawed: boolean;
  /** Where a command brought the lease: the digest of the lease's entry then. */
  readonly leaseOver: string | undefined;
}

/** One object each for all bindings of a kind: there is a binding for each address. */
export const BAG_ORIGIN: Origin = { kind: "databag", place: "vmdata.json" };
export const APPLY_ORIGIN: Origin = { kind: "apply", place: "vm_metadata" };

/** What is noted beside a withheld address. */
export interface WithheldNote {
  /** The instance whose metadata is there, or was. */
  readonly instance?: string;
  readonly digest?: string;
  /** That metadata came by a command, and the entry with the digest is older. */
  readonly commanded?: true;
  readonly leaseOver?: string;
  /** While metadata is awaited: who had the address before. */
  readonly past?: { readonly mac?: Mac | undefined; readonly instance?: string | undefined };
}

export function writeBindingNote({ digest, flawed, leaseOver }: BindingNote): string {
  if (!flawed && leaseOver === undefined) return digest; // Kept once then.
  return `${digest}${flawed ? "!" : ""}${leaseOver === undefined ? "" : `/${leaseOver}`}`;
}

/** @returns `undefined` if there is none, or none of ours. */
export function readBindingNote(text: string | undefined): BindingNote | undefined {
  const parts = /^([\w-]*)(!?)(?:\/([\w-]*))?$/.exec(text ?? "?");
  if (parts === null) return undefined;
  return { digest: parts[1] ?? "", flawed: parts[2] === "!", leaseOver: parts[3] };
}

export function writeWithheldNote(note: WithheldNote): string {
  return JSON.stringify(note);
}

/** @returns `undefined` if there is none, or none of ours. */
export function readWithheldNote(withheld: Withheld): WithheldNote | undefined {
  if (typeof withheld.note !== "string") return undefined;
  try {
    const note: unknown = JSON.parse(withheld.note);
    return typeof note === "object" && note !== null ? (note as WithheldNote) : undefined;
  } catch {
    return undefined;
  }
}

/** What an earlier run knew of an address, and had told. */
export interface Remembered {
  readonly address: Ip;
  readonly network: NetworkId;
  readonly bond: Bond;
  readonly note: string | undefined;
}

export function rememberBinding(
  { address, network, mac, instance, epoch }: Binding,
  note: BindingNote | undefined,
  now: number,
): Remembered {
  const bond: Bond = {
    ...{ mac, instance, epoch, verdict: "serve", since: now },
    ...{ past: undefined, unconfirmed: false, unsure: false },
  };
  return { address, network, bond, note: note?.leaseOver };
}

export function rememberWithheld(withheld: Withheld, note: WithheldNote | undefined): Remembered {
  const { address, network, mac, reason, epoch, since } = withheld;
  const isUnknown = reason === "awaiting-metadata" && note === undefined;
  const before = isUnknown ? {} : note?.past;
  const past = before && { mac: before.mac, instance: before.instance };
  const bond: Bond = {
    ...{ mac, instance: note?.instance, epoch, verdict: reason, since },
    ...{ past, unconfirmed: false, unsure: note === undefined },
  };
  return { address, network, bond, note: withheld.note };
}
