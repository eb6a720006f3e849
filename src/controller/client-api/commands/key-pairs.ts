/** SSH key pairs: made or registered, listed without the keys, and deleted. */

import { randomUUID } from "node:crypto";
import type { Fields } from "../../../source/cloudstack/answer.ts";
import { ACCOUNT, DOMAIN } from "../catalogue.ts";
import { type Command, define } from "../command.ts";
import { refuse } from "../errors.ts";
import type { Lab } from "../lab.ts";
import { KEY_PAIRS_MAX, PUBLIC_KEY_CHARS_MAX } from "../limits.ts";
import type { KeyPair } from "../management.ts";
import { is, matches, PAGING, paged } from "../page.ts";
import { checkProject, PROJECT } from "../projects.ts";
import { makeKeyPair, parsePublicKey } from "../ssh.ts";
import { present } from "../view.ts";

const NAME = { name: { kind: "text", required: true } } as const;

export const createKeyPair: Command = define({
  kind: "change",
  params: NAME,
  answer: async ({ name }, { lab }) => {
    checkNew(lab, name);
    const { privateKey, text, fingerprint } = await makeKeyPair();
    const pair: KeyPair = { id: randomUUID(), name, publicKey: text, fingerprint };
    await lab.keyPairs.put([[name, pair]]);
    return { keypair: show(pair, privateKey) };
  },
});

export const registerKeyPair: Command = define({
  kind: "change",
  params: {
    ...NAME,
    publickey: { kind: "body", required: true },
  },
  answer: async ({ name, publickey }, { lab }) => {
    checkNew(lab, name);
    if (publickey.length > PUBLIC_KEY_CHARS_MAX) {
      throw refuse("parameter", `publickey: it is longer than ${PUBLIC_KEY_CHARS_MAX} characters`);
    }
    const { text, fingerprint } = parsePublicKey(publickey);
    if ([...lab.keyPairs.values()].some((pair) => pair.fingerprint === fingerprint)) {
      throw refuse("parameter", "publickey: it is registered under another name");
    }
    const pair: KeyPair = { id: randomUUID(), name, publicKey: text, fingerprint };
    await lab.keyPairs.put([[name, pair]]);
    return { keypair: show(pair) };
  },
});

export const listKeyPairs: Command = define({
  kind: "read",
  params: {
    id: { kind: "text" },
    name: { kind: "text" },
    fingerprint: { kind: "text" },
    ...PAGING,
    ...PROJECT,
  },
  answer: async (given, { lab }) => {
    checkProject(given);
    const found = [...lab.keyPairs.values()].filter(
      ({ id, name, fingerprint }) =>
        is(given.id, id) &&
        is(given.name, name) &&
        is(given.fingerprint, fingerprint) &&
        matches(given.keyword, name),
    );
    return paged("sshkeypair", found, given, (pair) => show(pair));
  },
});

/** Instances keep the key that they were given. */
export const deleteKeyPair: Command = define({
  kind: "change",
  params: NAME,
  answer: async ({ name }, { lab }) => {
    if (lab.keyPairs.get(name) === undefined) {
      throw refuse("parameter", "name: there is no key pair of that name");
    }
    await lab.keyPairs.delete([name]);
    return { success: true };
  },
});

/** @throws {ClientApiError} 431, 532 */
function checkNew({ keyPairs }: Lab, name: string): void {
  if (keyPairs.get(name) !== undefined) {
    throw refuse("parameter", "name: there is a key pair of that name");
  }
  // Several are given with commas between.
  if (name.includes(",")) throw refuse("parameter", "name: it has a comma");
  if (keyPairs.size >= KEY_PAIRS_MAX) {
    throw refuse("limit", `There are ${KEY_PAIRS_MAX} key pairs already; delete one first`);
  }
}

function show({ id, name, fingerprint }: KeyPair, privatekey?: string): Fields {
  return present({
    id,
    privatekey,
    name,
    account: ACCOUNT.name,
    domainid: DOMAIN.id,
    domain: DOMAIN.name,
    fingerprint,
  });
}
