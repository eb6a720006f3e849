/** Details of an instance: pairs for the management, which no guest is told. */

import { refuse } from "./errors.ts";

const NAME = /^[A-Za-z0-9._:-]{1,100}$/;

/** These say what the instance has otherwise, or are secrets. */
const OWN = /^(ssh\.publickey|encrypted\.password|password)$/i;

/** @throws {ClientApiError} 431 */
export function checkedDetails(
  details: readonly (readonly [string, string])[] | undefined,
): [string, string][] {
  return (details ?? []).map(([name, value]) => {
    if (!NAME.test(name)) throw refuse("parameter", "details: a name is not well formed");
    if (OWN.test(name)) throw refuse("parameter", "details: a name is one of CloudStack's own");
    return [name, value];
  });
}
