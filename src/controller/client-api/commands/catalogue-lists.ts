/** Lists of what a lab has from the start: zones, templates, offerings; and of its networks. */

import type { Fields } from "../../../source/cloudstack/answer.ts";
import {
  ACCOUNT,
  CREATED,
  DOMAIN,
  NETWORK_OFFERING,
  OFFERINGS,
  type Offering,
  TEMPLATES,
  type Template,
  ZONE,
} from "../catalogue.ts";
import { type Command, define } from "../command.ts";
import { refuse } from "../errors.ts";
import { is, matches, PAGING, paged } from "../page.ts";
import { checkProject, PROJECT } from "../projects.ts";
import { HYPERVISOR, nameOf, showNetwork } from "../view.ts";

const BY_NAME = {
  id: { kind: "text" },
  name: { kind: "text" },
  zoneid: { kind: "text" },
  ...PAGING,
} as const;

interface Wanted {
  readonly id: string | undefined;
  readonly name: string | undefined;
  readonly keyword: string | undefined;
  readonly zoneid: string | undefined;
}

interface Named {
  readonly id: string;
  readonly name: string;
}

/** Those that are asked for. @throws {ClientApiError} 431 if one is asked for by an id of none */
function wanted<T extends Named>(items: readonly T[], by: Wanted): readonly T[] {
  if (by.id !== undefined && !items.some(({ id }) => id === by.id)) {
    throw refuse("parameter", "id: there is no such thing in this lab");
  }
  return items.filter(
    ({ id, name }) =>
      is(by.id, id) && is(by.name, name) && is(by.zoneid, ZONE.id) && matches(by.keyword, name),
  );
}

export const listZones: Command = define({
  kind: "read",
  params: { ...BY_NAME, available: { kind: "flag" } },
  answer: async (given) =>
    paged("zone", wanted([ZONE], given), given, ({ id, name }) => ({
      id,
      name,
      networktype: "Advanced",
      securitygroupsenabled: false,
      allocationstate: "Enabled",
      dhcpprovider: "VirtualRouter",
      localstorageenabled: false,
      tags: [],
    })),
});

export const listTemplates: Command = define({
  kind: "read",
  params: { ...BY_NAME, templatefilter: { kind: "text", required: true } },
  answer: async (given) => paged("template", wanted(TEMPLATES, given), given, showTemplate),
});

export const listOfferings: Command = define({
  kind: "read",
  params: BY_NAME,
  answer: async (given) => paged("serviceoffering", wanted(OFFERINGS, given), given, showOffering),
});

export const listNetworks: Command = define({
  kind: "read",
  params: { ...BY_NAME, ...PROJECT },
  answer: async (given, { lab }) => {
    checkProject(given);
    const networks = await lab.ports.store.networks();
    const found = wanted(
      networks.map((network) => ({ ...network, name: nameOf(network.id) })),
      given,
    );
    return paged("network", found, given, (network) => ({
      ...showNetwork(network),
      networkofferingid: NETWORK_OFFERING.id,
      networkofferingname: NETWORK_OFFERING.name,
      networkofferingdisplaytext: NETWORK_OFFERING.displaytext,
      networkofferingavailability: "Optional",
      issystem: false,
      state: "Setup",
      related: network.id,
      type: "Shared",
      acltype: "Domain",
      subdomainaccess: true,
      domainid: DOMAIN.id,
      domain: DOMAIN.name,
      service: SERVICES,
      ...(network.dnsDomain !== undefined && { networkdomain: network.dnsDomain }),
      physicalnetworkid: NETWORK_OFFERING.id,
      restartrequired: false,
      specifyipranges: true,
      canusefordeploy: true,
      ispersistent: false,
      tags: [],
      strechedl2subnet: false,
      redundantrouter: false,
    }));
  },
});

const SERVICES = [{ name: "UserData", capability: [] }];

function showTemplate(template: Template): Fields {
  return {
    id: template.id,
    name: template.name,
    displaytext: template.displaytext,
    ispublic: true,
    created: CREATED,
    isready: true,
    passwordenabled: template.passwordenabled,
    format: "RAW",
    isfeatured: true,
    crossZones: true,
    ostypename: template.ostypename,
    account: ACCOUNT.name,
    zoneid: ZONE.id,
    zonename: ZONE.name,
    status: "Download Complete",
    size: 0,
    templatetype: "BUILTIN",
    hypervisor: HYPERVISOR,
    domain: DOMAIN.name,
    domainid: DOMAIN.id,
    isextractable: false,
    tags: [],
    sshkeyenabled: true,
    isdynamicallyscalable: false,
  };
}

function showOffering(offering: Offering): Fields {
  return {
    id: offering.id,
    name: offering.name,
    displaytext: offering.displaytext,
    cpunumber: offering.cpunumber,
    cpuspeed: offering.cpuspeed,
    memory: offering.memory,
    created: CREATED,
    storagetype: "shared",
    provisioningtype: "thin",
    offerha: false,
    limitcpuuse: false,
    isvolatile: false,
    issystem: false,
    defaultuse: false,
    iscustomized: false,
  };
}
