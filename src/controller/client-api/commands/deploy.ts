/** `deployVirtualMachine`: a new instance, with everything that its guest will be answered. */

import { randomUUID } from "node:crypto";
import type { Writable } from "../../../model/binding.ts";
import type { Network } from "../../../model/change.ts";
import type { InstanceRecord, RecordNic, Secret } from "../../../model/record.ts";
import { ACCOUNT, OFFERINGS, oneOf, TEMPLATES, ZONE } from "../catalogue.ts";
import { chosenNics, madeNic, NIC_PARAMS } from "../chosen-nics.ts";
import { type Command, define } from "../command.ts";
import { checkedDetails } from "../details.ts";
import { refuse } from "../errors.ts";
import { chosenKeyPairs, KEY_PAIR_PARAMS } from "../keys.ts";
import type { Management } from "../management.ts";
import { checkDetails, metadataKeys } from "../metadata.ts";
import { checkName } from "../names.ts";
import { hasPassword, newSecret, PASSWORD_PARAM } from "../passwords.ts";
import { chosenUserData, USER_DATA_PARAMS } from "../user-data.ts";
import { answerOf } from "../view.ts";

export const deploy: Command = define({
  kind: "job",
  params: {
    serviceofferingid: { kind: "text", required: true },
    templateid: { kind: "text", required: true },
    zoneid: { kind: "text", required: true },
    name: { kind: "text" },
    displayname: { kind: "text" },
    startvm: { kind: "flag" },
    details: { kind: "map" },
    ...NIC_PARAMS,
    ...USER_DATA_PARAMS,
    ...KEY_PAIR_PARAMS,
    ...PASSWORD_PARAM,
  },
  begin: async (given, call) => {
    const { lab } = call;
    const id = randomUUID();
    const name = checkName(given.name ?? `vm-${id}`);
    const offering = oneOf(OFFERINGS, given.serviceofferingid, "serviceofferingid");
    const template = oneOf(TEMPLATES, given.templateid, "templateid");
    oneOf([ZONE], given.zoneid, "zoneid");
    const nics = await chosenNics(given, call);
    if (given.password !== undefined && !hasPassword(template.id)) {
      throw refuse("parameter", "password: the template has no password");
    }
    const userData = chosenUserData(given, call);
    const keyPairs = chosenKeyPairs(given, call);
    const details = checkDetails(given.userdatadetails ?? []);
    const management: Management = {
      displayname: given.displayname ?? name,
      created: lab.ports.now(),
      state: given.startvm === false ? "Stopped" : "Running",
      serviceofferingid: offering.id,
      templateid: template.id,
      keypairs: keyPairs.map((pair) => pair.name),
      ...(userData?.userdataid !== undefined && { userdataid: userData.userdataid }),
      userdatadetails: details.map(([key, value]) => [key, value]),
      details: checkedDetails(given.details),
    };
    const secret = hasPassword(template.id) ? newSecret(given.password) : undefined;

    const work = async () => {
      const records: InstanceRecord[] = [];
      for (const [at, chosen] of nics.entries()) {
        const isFirst = at === 0;
        records.push(
          recordOf({
            network: chosen.network,
            nic: await madeNic(call, chosen, isFirst),
            described: { id, name, offering: offering.displaytext, details },
            template: template.name,
            publicKeys: keyPairs.map((pair) => pair.publicKey),
            userData: userData?.bytes,
            secret: isFirst ? secret : undefined,
          }),
        );
      }
      await lab.add(id, management, records);
      return answerOf(lab, id, secret && { password: secret.password });
    };
    return { id, instance: id, work };
  },
});

interface Made {
  readonly network: Network;
  readonly nic: RecordNic;
  readonly described: {
    readonly id: string;
    readonly name: string;
    readonly offering: string;
    readonly details: readonly (readonly [string, string])[];
  };
  readonly template: string;
  readonly publicKeys: readonly string[];
  readonly userData: Uint8Array | undefined;
  readonly secret: Secret | undefined;
}

function recordOf(made: Made): InstanceRecord {
  const { network, nic, described, template, publicKeys, userData, secret } = made;
  const ipv4 = nic.addresses.find((address) => !address.includes(":"));
  const record: Writable<InstanceRecord> = {
    network: network.id,
    id: described.id,
    name: described.name,
    account: ACCOUNT.name,
    zone: ZONE.name,
    template,
    nics: [nic],
    keys: metadataKeys({ ...described, ipv4 }),
    publicKeys,
    incarnation: 1,
    epoch: 1,
  };
  if (userData !== undefined) record.userData = userData;
  if (secret !== undefined) record.password = secret;
  return record;
}
