/**
 * Who may come in: whoever signs rightly, always. Failures are counted by peer.
 *
 * Beyond the limit, a request that cannot be right, because it names no key that is known or has
 * no signature, is refused before anything is computed. One with a known key is still checked:
 * else somebody at an operator's address could lock the operator out. The time that a refusal
 * takes then tells whether an API key is known, to who has that key already: it is not guessed.
 */

import { Attempts } from "../attempts.ts";
import { type SecretKeys, unauthorized, verify } from "./sign.ts";

export interface DoorOptions {
  readonly secretKeys: SecretKeys;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** What computes the signature. */
  readonly check?: typeof verify;
}

export class Door {
  readonly #options: DoorOptions;
  readonly #attempts: Attempts;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#attempts = new Attempts(options.now);
  }

  /**
   * @param params by their names as they were sent
   * @throws {ClientApiError} 401, in the same words whatever the reason
   */
  enter(params: ReadonlyMap<string, string>, peer: string | undefined): void {
    const { secretKeys, now, check = verify } = this.#options;
    try {
      if (this.#attempts.isOver(peer) && !mayBeRight(params, secretKeys)) throw unauthorized();
      check(params, secretKeys, now());
    } catch (error) {
      this.#attempts.fail(peer);
      throw error;
    }
  }
}

function mayBeRight(params: ReadonlyMap<string, string>, secretKeys: SecretKeys): boolean {
  let isKnown = false;
  let isSigned = false;
  for (const [name, value] of params) {
    const known = name.toLowerCase();
    if (known === "apikey") isKnown = (secretKeys.get(value) ?? "") !== "";
    if (known === "signature") isSigned = value !== "";
  }
  return isKnown && isSigned;
}
