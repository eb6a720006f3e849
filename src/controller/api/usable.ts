/**
 * What a store keeps and a router serves as it stands, and no guest can use: host names, public
 * keys, characters of keys. A source says what its cloud says; who writes here is told.
 *
 * What is there already may stay: a record may be older than these rules, or a source's. Pure.
 */

import type { KeyValue } from "../../model/binding.ts";
import { RecordError } from "../../model/errors.ts";
import type { InstanceRecord } from "../../model/record.ts";
import { isHostName } from "../../protocol/host-name.ts";
import { isPublicKey } from "../../protocol/public-keys.ts";

/** No text has them. Lines and tabs it may have. */
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;
const HOST_NAME = "local-hostname";

/** @throws {RecordError} that names the first field that no guest can use. */
export function checkUsable(record: InstanceRecord, before: InstanceRecord | undefined): void {
  checkPublicKeys(record, before);
  const known = new Set(keysOf(before).map(([, [name, value]]) => `${name} ${value}`));
  for (const [field, [name, value]] of keysOf(record)) {
    if (value === null || value === "" || known.has(`${name} ${value}`)) continue;
    if (CONTROL.test(value)) throw new RecordError(field, `${name} has a control character`);
    if (name !== HOST_NAME || isHostName(value)) continue;
    const rule = "is no host name: letters, digits and dashes, parts with dots between";
    if (value !== record.name) throw new RecordError(field, `${name} ${rule}`);
    const remedy = `; to call it so, give the key ${name} another value`;
    throw new RecordError("name", rule + remedy);
  }
}

/** @throws {RecordError} that names the first that is none. */
export function checkPublicKeys(
  { publicKeys }: InstanceRecord,
  before: InstanceRecord | undefined,
): void {
  const at = publicKeys.findIndex((key) => {
    return !isPublicKey(key) && before?.publicKeys.includes(key) !== true;
  });
  if (at === -1) return;
  throw new RecordError(
    `publicKeys[${at}]`,
    "is no public key: write TYPE BASE64, as ssh-keygen does",
  );
}

/** All keys, the record's and its NICs', with where they stand. */
function keysOf(record: InstanceRecord | undefined): (readonly [field: string, KeyValue])[] {
  const { keys = [], nics = [] } = record ?? {};
  return [
    ...keys.map((key, at) => [`keys[${at}]`, key] as const),
    ...nics.flatMap((nic, of) =>
      (nic.keys ?? []).map((key, at) => [`nics[${of}].keys[${at}]`, key] as const),
    ),
  ];
}
