/**
 * What is reset while an instance is stopped: its SSH keys, its password, its user data.
 */

import { type InstanceRecord, isSealed, type Secret } from "../../../model/record.ts";
import { type Command, define } from "../command.ts";
import { refuse } from "../errors.ts";
import { chosenKeyPairs, KEY_PAIR_PARAMS } from "../keys.ts";
import type { Known } from "../lab.ts";
import type { Management } from "../management.ts";
import { checkDetails, withDetails } from "../metadata.ts";
import { hasPassword, newSecret, PASSWORD_PARAM } from "../passwords.ts";
import { chosenUserData, USER_DATA_PARAMS, withUserData } from "../user-data.ts";
import { answerOf } from "../view.ts";

const ID = { id: { kind: "text", required: true } } as const;

export const resetSshKey: Command = define({
  kind: "job",
  params: { ...ID, ...KEY_PAIR_PARAMS },
  begin: async (given, call) => {
    const { lab } = call;
    const { id } = await lab.get(given.id);
    const pairs = chosenKeyPairs(given, call);
    if (pairs.length === 0) throw refuse("parameter", "The parameter keypair is missing");
    const work = async () => {
      const { management } = checkStopped(await lab.get(id));
      const publicKeys = pairs.map((pair) => pair.publicKey);
      await lab.update(id, (record): InstanceRecord => ({ ...record, publicKeys }));
      const keypairs = pairs.map((pair) => pair.name);
      await lab.instances.put([[id, { ...management, keypairs }]]);
      return answerOf(lab, id);
    };
    return { instance: id, work };
  },
});

export const resetPassword: Command = define({
  kind: "job",
  params: { ...ID, ...PASSWORD_PARAM },
  begin: async (given, { lab }) => {
    const { id } = await lab.get(given.id);
    const secret = newSecret(given.password);
    const work = async () => {
      const { management } = checkStopped(await lab.get(id));
      if (!hasPassword(management.templateid)) {
        throw refuse("parameter", "The instance's template has no password");
      }
      await lab.update(id, (record, isFirst): InstanceRecord => {
        return isFirst ? withPassword(record, secret) : record;
      });
      return answerOf(lab, id, { password: secret.password });
    };
    return { instance: id, work };
  },
});

export const resetUserData: Command = define({
  kind: "change",
  params: { ...ID, ...USER_DATA_PARAMS },
  answer: async (given, call) => {
    const { lab } = call;
    const { id, management } = checkStopped(await lab.get(given.id));
    // Without any, an instance made of a template has the template's: here that is none.
    const chosen = chosenUserData(given, call) ?? {};
    const before = management.userdatadetails;
    const details = checkDetails(given.userdatadetails ?? []);
    await lab.update(id, (record): InstanceRecord => {
      const keys = withDetails(record.keys, before, details);
      return withUserData({ ...record, keys }, chosen.bytes);
    });
    const { userdataid: _, ...rest } = management;
    const after: Management = {
      ...rest,
      ...(chosen.userdataid !== undefined && { userdataid: chosen.userdataid }),
      userdatadetails: details.map(([key, value]) => [key, value]),
    };
    await lab.instances.put([[id, after]]);
    return answerOf(lab, id);
  },
});

/** @throws {ClientApiError} 431 if an operator has closed the instance */
function withPassword(record: InstanceRecord, password: Secret): InstanceRecord {
  if (!isSealed(record)) return { ...record, password };
  throw refuse("parameter", "The instance is sealed: an operator must open it before a reset");
}

/** @throws {ClientApiError} 431 */
function checkStopped(known: Known): Known {
  if (known.management.state === "Stopped") return known;
  throw refuse("parameter", "The instance must be stopped first");
}
