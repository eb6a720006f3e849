/**
 * Words that the configuration and the file of instances share, each with its one meaning.
 */

import { z } from "zod";
import { parseCidr } from "../model/address.ts";

/** Characters of an id or a name: one line that people read. CloudStack's columns have 255. */
export const LINE_CHARS_MAX = 255;

/** One line of text, without control characters. */
export function line(description: string): z.ZodString {
  return z
    .string()
    .min(1)
    .max(LINE_CHARS_MAX)
    .regex(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]+$/, "must be one line of text")
    .describe(description);
}

/** A network's id: it also names a folder of the state directory. */
export function networkId(description: string): z.ZodString {
  return z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
      "must begin with a letter or digit and go on with letters, digits, dots, dashes; 64 at most",
    )
    .describe(description);
}

/** An address range. */
export const cidr: z.ZodString = z
  .string()
  .refine(isCidr, "is not an address range like 10.1.1.0/24")
  .describe("Address range in CIDR notation");

function isCidr(text: string): boolean {
  try {
    parseCidr(text);
    return true;
  } catch {
    return false;
  }
}
