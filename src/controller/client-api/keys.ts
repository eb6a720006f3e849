/** Key pairs as commands name them: one with `keypair`, several with `keypairs`. */

import type { Call } from "./command.ts";
import { refuse } from "./errors.ts";
import type { KeyPair } from "./management.ts";

/** For a command's schema. */
export const KEY_PAIR_PARAMS = {
  keypair: { kind: "text" },
  keypairs: { kind: "list" },
} as const;

/** @throws {ClientApiError} 431 if there is no such key pair. */
export function chosenKeyPairs(
  given: {
    readonly keypair: string | undefined;
    readonly keypairs: readonly string[] | undefined;
  },
  { lab }: Call,
): readonly KeyPair[] {
  const names = new Set([...(given.keypairs ?? []), ...(given.keypair ? [given.keypair] : [])]);
  return [...names].map((name) => {
    const pair = lab.keyPairs.get(name);
    if (pair === undefined) throw refuse("parameter", "keypair: there is no key pair of that name");
    return pair;
  });
}
