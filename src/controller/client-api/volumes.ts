/**
 * The disks of a lab: nothing is run, so each instance has one, the one it is installed on.
 *
 * Its id is made from the installation. It is the same one until the instance is installed anew,
 * and whoever follows the API learns so that it was.
 */

import type { Fields } from "../../source/cloudstack/answer.ts";
import { timestamp } from "../../source/cloudstack/sign.ts";
import { ACCOUNT, DOMAIN, OFFERINGS, ZONE } from "./catalogue.ts";
import type { Records } from "./inventory.ts";
import type { Known } from "./lab.ts";
import { HYPERVISOR, present, uuidOf } from "./view.ts";

/** The type of the disk that an instance is installed on. */
export const ROOT = "ROOT";

/** Which installation an instance is: its records rise together, and one may be written first. */
export function incarnationOf(records: Records): number {
  return Math.max(...records.map(({ record }) => record.incarnation));
}

export function volumeIdOf({ id, records }: Known): string {
  return uuidOf(`volume ${id}/${incarnationOf(records)}`);
}

export function volumeNameOf({ records }: Known): string {
  return `${ROOT}-${records[0].record.name}`;
}

export function showVolume(known: Known): Fields {
  const { management } = known;
  const { record } = known.records[0];
  const offering = OFFERINGS.find((one) => one.id === management.serviceofferingid);
  const created = management.restored ?? management.created;
  return present({
    id: volumeIdOf(known),
    name: volumeNameOf(known),
    zoneid: ZONE.id,
    zonename: record.zone ?? ZONE.name,
    type: ROOT,
    deviceid: 0,
    virtualmachineid: known.id,
    vmname: record.name,
    vmdisplayname: management.displayname,
    vmstate: management.state,
    provisioningtype: "thin",
    // Of a template that has no bytes.
    size: 0,
    created: created === 0 ? undefined : timestamp(created),
    state: "Ready",
    account: record.account ?? ACCOUNT.name,
    domainid: DOMAIN.id,
    domain: DOMAIN.name,
    storagetype: "shared",
    hypervisor: HYPERVISOR,
    serviceofferingid: offering?.id,
    serviceofferingname: offering?.name,
    serviceofferingdisplaytext: offering?.displaytext,
    isextractable: false,
    destroyed: false,
    quiescevm: false,
    displayvolume: true,
    tags: [],
  });
}
