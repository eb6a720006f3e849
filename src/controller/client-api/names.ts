/** Names that become host names. */

import { refuse } from "./errors.ts";

/** CloudStack's rule: a label of DNS that does not begin with a digit. */
const HOST_NAME = /^[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;

/** @throws {ClientApiError} 431 */
export function checkName(name: string): string {
  if (HOST_NAME.test(name)) return name;
  const rule = "letters, digits and hyphens, 63 at most, a letter first, no hyphen last";
  throw refuse("parameter", `name: it is no host name (${rule})`);
}
