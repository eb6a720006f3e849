/**
 * CloudStack's command files: one instance's metadata, password or lease.
 *
 * An error names the file and the field, never a value: some are secrets.
 */

import { type Ip, tryParseIp } from "../../model/address.ts";
import { CommandError } from "../../model/errors.ts";
import type { Lease } from "./bindings.ts";
import { type Content, readContent } from "./entry.ts";
import { readLease } from "./leases.ts";
import { COMMAND_BYTES_MAX, PASSWORD_LENGTH_MAX } from "./limits.ts";

export type Command =
  | { readonly type: "vmdata"; readonly address: Ip; readonly content: Content }
  | { readonly type: "vmpassword"; readonly address: Ip; readonly password: string }
  /** Without a lease, the one of the address is deleted. */
  | { readonly type: "dhcpentry"; readonly address: Ip; readonly lease: Lease | undefined };

type Fields = Readonly<Record<string, unknown>>;

interface CommandType {
  readonly type: Command["type"];
  /** How CloudStack names the files. */
  readonly file: string;
  readonly read: (fields: Fields, name: string) => Command;
}

const TYPES: readonly CommandType[] = [
  { type: "vmdata", file: "vm_metadata", read: readMetadata },
  { type: "vmpassword", file: "vm_password", read: readPassword },
  { type: "dhcpentry", file: "vm_dhcp_entry", read: readDhcpEntry },
];

/**
 * Reads a command.
 *
 * @param name the file's, for messages and for the type where the command has none
 * @throws {CommandError} if it is malformed, of another type, or names no address.
 */
export function parseCommand(text: string, name: string): Command {
  if (Buffer.byteLength(text) > COMMAND_BYTES_MAX) {
    throw new CommandError(`is longer than ${COMMAND_BYTES_MAX} bytes`, { file: name });
  }
  const fields = parseObject(text, name);
  const known = TYPES.find(({ type, file }) =>
    fields.type === undefined ? name.includes(`${file}.json`) : fields.type === type,
  );
  if (known === undefined) {
    const files = TYPES.map(({ file }) => file).join(", ");
    throw new CommandError(`is not of a type that is taken: ${files}`, {
      ...{ file: name, field: "type" },
    });
  }
  return known.read(fields, name);
}

function parseObject(text: string, name: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text.
    throw new CommandError("is not JSON", { file: name });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CommandError("is not a JSON object", { file: name });
  }
  return value as Fields;
}

function readMetadata(fields: Fields, name: string): Command {
  const address = addressIn(fields, "vm_ip_address", name);
  const content = readContent(fields.vm_metadata, address);
  if (content === undefined) {
    const place = { file: name, field: "vm_metadata" };
    throw new CommandError("is not a list of [folder, file, contents]", place);
  }
  return { type: "vmdata", address, content };
}

function readPassword(fields: Fields, name: string): Command {
  const address = addressIn(fields, "ip_address", name);
  const password = readPasswordValue(fields.password);
  if (password === undefined) {
    const message = `is not a text of 1 to ${PASSWORD_LENGTH_MAX} characters`;
    throw new CommandError(message, { file: name, field: "password" });
  }
  return { type: "vmpassword", address, password };
}

function readDhcpEntry(fields: Fields, name: string): Command {
  const address = addressIn(fields, "ipv4_address", name);
  if (fields.add === false) return { type: "dhcpentry", address, lease: undefined };
  const lease = readLease(fields);
  if (lease === undefined) {
    throw new CommandError("is not a MAC address", { file: name, field: "mac_address" });
  }
  return { type: "dhcpentry", address, lease };
}

/** A password as CloudStack writes it; `undefined` if it is none. */
export function readPasswordValue(value: unknown): string | undefined {
  if (typeof value !== "string" || value === "") return undefined;
  return value.length > PASSWORD_LENGTH_MAX ? undefined : value;
}

function addressIn(fields: Fields, field: string, name: string): Ip {
  const address = tryParseIp(fields[field]);
  if (address === undefined) throw new CommandError("is not an address", { file: name, field });
  return address;
}
