/** Passwords of instances: random unless one is given, and only where the template has them. */

import { randomInt, randomUUID } from "node:crypto";
import type { Secret } from "../../model/record.ts";
import { PASSWORD_CHARS_MAX } from "../../model/record-limits.ts";
import { isDeliverable } from "../../protocol/password.ts";
import { TEMPLATES } from "./catalogue.ts";
import { refuse } from "./errors.ts";
import { PASSWORD_CHARS } from "./limits.ts";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** For a command's schema. */
export const PASSWORD_PARAM = {
  password: { kind: "text", charsMax: PASSWORD_CHARS_MAX },
} as const;

/** @throws {ClientApiError} if a guest would not take what is given for a password. */
export function newSecret(given: string | undefined): Secret {
  const letter = (): string => LETTERS[randomInt(LETTERS.length)] ?? "";
  const password = given ?? Array.from({ length: PASSWORD_CHARS }, letter).join("");
  if (!isDeliverable(password)) {
    const rule = "choose one that is no word of the password server, without spaces at its ends";
    throw refuse("parameter", `password: ${rule}`);
  }
  return { id: randomUUID(), password };
}

export function hasPassword(templateid: string): boolean {
  return TEMPLATES.some(({ id, passwordenabled }) => id === templateid && passwordenabled);
}
