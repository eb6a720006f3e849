/**
 * From the bindings of a source that stands for a router to records: one for each network and
 * instance. Pure.
 */

import { createHmac } from "node:crypto";
import type { Binding, KeyValue } from "../model/binding.ts";
import type { InstanceRecord, Secret } from "../model/record.ts";
import { parseRecord } from "../model/record-parse.ts";

/** Characters of a secret's id: 132 bits, which no two passwords share by chance. */
const ID_CHARS = 22;

/**
 * @param bindings of one instance in one network, one at least
 * @param password the one that waits, and the binding that it is for
 * @throws {RecordError} if they make no record.
 */
export function recordOf(
  bindings: readonly Binding[],
  password?: { readonly at: Binding; readonly secret: Secret },
): InstanceRecord {
  const [first] = bindings;
  if (first === undefined) throw new TypeError("a record needs a binding");
  const shared = sharedKeys(bindings);
  const nics = new Map<string, { mac: string | undefined; keys: KeyValue[]; of: Binding[] }>();
  for (const binding of bindings) {
    const keys = binding.keys.filter(([name]) => shared.differing.has(name));
    const name = JSON.stringify([binding.mac ?? binding.address, keys]);
    const nic = nics.get(name) ?? { mac: binding.mac, keys, of: [] };
    nic.of.push(binding);
    nics.set(name, nic);
  }
  const all = [...nics.values()];
  // A password is delivered to the default NIC. No source of these says which one that is.
  const main = all.find(({ of }) => password !== undefined && of.includes(password.at)) ?? all[0];
  return parseRecord({
    network: first.network,
    id: first.instance,
    name: first.name,
    nics: all.map((nic) => ({
      mac: nic.mac,
      addresses: nic.of.map(({ address }) => address),
      default: nic === main,
      ...(nic.keys.length > 0 && { keys: nic.keys }),
    })),
    keys: shared.keys,
    userData: first.userData,
    publicKeys: [],
    password: password?.secret,
    incarnation: 1,
    epoch: 1,
  });
}

/** The keys in one order, `""` where bindings differ: those have their own. */
function sharedKeys(bindings: readonly Binding[]): {
  readonly keys: readonly KeyValue[];
  readonly differing: ReadonlySet<string>;
} {
  const values = new Map<string, string | null>();
  const counts = new Map<string, number>();
  const differing = new Set<string>();
  // The fullest first: so each key has its place also where the first binding lacks it.
  for (const { keys } of [...bindings].sort((a, b) => b.keys.length - a.keys.length)) {
    for (const [name, value] of keys) {
      if (counts.has(name) && values.get(name) !== value) differing.add(name);
      values.set(name, value);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  for (const [name, count] of counts) if (count < bindings.length) differing.add(name);
  const keys = [...values].map(([name, value]): KeyValue => {
    return [name, differing.has(name) ? "" : value];
  });
  return { keys, differing };
}

/**
 * A password of a source has no id. This one is the same whenever the same is read again, so that
 * an acknowledgement holds, and says nothing of the password to who has not the key.
 */
export function secretOf(instance: string, password: string, key: Uint8Array): Secret {
  const own = createHmac("sha256", key).update("frontdesk: ids of passwords").digest();
  const hash = createHmac("sha256", own).update(`${instance}\0${password}`).digest("base64url");
  return { id: hash.slice(0, ID_CHARS), password };
}
