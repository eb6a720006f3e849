/**
 * From a record of the file to what answers: one claim for each address of each NIC.
 *
 * A claim is a binding without its epoch, because only the source knows who had the address before.
 */

import type { Path } from "../../config/field-name.ts";
import { type Ip, type Mac, parseIp, parseMac } from "../../model/address.ts";
import type { Binding, NetworkId } from "../../model/binding.ts";
import { keysOf } from "./keys.ts";
import type { FileRecord } from "./schema.ts";

export interface Claim {
  readonly content: Omit<Binding, "epoch">;
  /** The epoch that the record states at least. */
  readonly epochMin: number;
  readonly password?: string;
  /** Where in the record the address stands. */
  readonly field: Path;
}

/** What a record does not say itself. */
export interface Setting {
  readonly network: NetworkId;
  readonly userData: Uint8Array | undefined;
  /** The file, for `why`. */
  readonly place: string;
}

interface Nic {
  readonly mac?: Mac;
  readonly addresses: readonly Ip[];
  readonly default: boolean;
  readonly field: Path;
}

export function claimsOf(record: FileRecord, setting: Setting): Claim[] {
  const nics = nicsOf(record);
  const { password } = record;
  const passwordAt = passwordAddress(nics);
  return nics.flatMap((nic) => {
    const keys = keysOf(record, nic.addresses);
    return nic.addresses.map((address, index) => ({
      content: {
        network: setting.network,
        address,
        ...(nic.mac !== undefined && { mac: nic.mac }),
        instance: record.id,
        name: record.name,
        keys,
        ...(setting.userData !== undefined && { userData: setting.userData }),
        origin: { kind: "file", place: setting.place },
      },
      epochMin: record.epoch ?? 1,
      ...(password !== undefined && address === passwordAt && { password }),
      field: record.address === undefined ? [...nic.field, "addresses", index] : ["address"],
    }));
  });
}

/** User data that stands in the record; `undefined` where there is none, or a file holds it. */
export function userDataOf(record: FileRecord): Uint8Array | undefined {
  const given = record.userData;
  if (typeof given === "string") return new TextEncoder().encode(given);
  if (given?.text !== undefined) return new TextEncoder().encode(given.text);
  if (given?.base64 !== undefined) return new Uint8Array(Buffer.from(given.base64, "base64"));
  return undefined;
}

function nicsOf(record: FileRecord): Nic[] {
  if (record.nics === undefined) {
    return [{ addresses: [parseIp(record.address ?? "")], default: true, field: [] }];
  }
  return record.nics.map((nic, index) => ({
    ...(nic.mac !== undefined && { mac: parseMac(nic.mac) }),
    addresses: nic.addresses.map(parseIp),
    default: nic.default ?? false,
    field: ["nics", index],
  }));
}

/**
 * CloudStack delivers a password to the default NIC, over IPv4. One address only: a copy at another
 * one would stay pending after the guest has acknowledged the first.
 */
function passwordAddress(nics: readonly Nic[]): Ip | undefined {
  const nic = nics.find((nic) => nic.default) ?? nics[0];
  return nic?.addresses.find((address) => !address.includes(":")) ?? nic?.addresses[0];
}
