/**
 * For the tests of this folder: a small cloud with each topology, as the API describes it.
 */

import type { Cloud as Lists } from "./testing.ts";

type Raw = Readonly<Record<string, unknown>>;

export const ZONE = "31313131-0000-4000-8000-000000000001";
export const DOMAIN = "0f9e8d7c-6b5a-4948-8776-655443322110";
export const OFFERING = "61616161-0000-4000-8000-000000000003";

/** An instance as the API writes it; fields that are `undefined` are not in the answer. */
export function instance(id: string, more: Raw = {}): Raw {
  return {
    id,
    name: `name-of-${id}`,
    displayname: "Display Name",
    account: "acme",
    domainid: DOMAIN,
    domain: "Acme",
    state: "Running",
    zoneid: ZONE,
    zonename: "zone-ber-1",
    hostname: "kvm-7",
    templatename: "Debian 12",
    serviceofferingid: OFFERING,
    serviceofferingname: "small",
    cpunumber: 1,
    memory: 1024,
    userdatadetails: "{tier=front}",
    keypairs: "alice",
    details: { "SSH.PublicKey": "ssh-ed25519 AAAA alice", "Encrypted.Password": "never-kept" },
    nic: [nic("net-isolated", "10.1.1.57")],
    ...more,
  };
}

export function nic(networkid: string, ipaddress?: string, more: Raw = {}): Raw {
  const last = Number(ipaddress?.split(".")[3] ?? 0);
  return {
    id: `nic-${networkid}-${last}`,
    networkid,
    networkname: networkid,
    netmask: "255.255.255.0",
    ...(ipaddress !== undefined && { ipaddress }),
    traffictype: "Guest",
    type: "Isolated",
    isdefault: true,
    macaddress: `02:00:5A:10:00:${last.toString(16).padStart(2, "0")}`,
    secondaryip: [],
    ...more,
  };
}

/** The networks, offerings and settings that the instances of the tests refer to. */
export function fill(cloud: Lists): void {
  cloud.networks.push(
    network("net-isolated", "Isolated", { cidr: "10.1.1.0/24", networkdomain: "cs1.example" }),
    network("net-tier", "Isolated", { cidr: "10.2.1.0/24", vpcid: "vpc-1" }),
    network("net-shared", "Shared", { cidr: "192.0.2.0/25", networkcidr: "192.0.2.0/24" }),
    network("net-l2", "L2", {}),
    network("net-project", "Isolated", { cidr: "10.3.1.0/24", projectid: "p-1" }),
  );
  cloud.publicAddresses.push(
    address("203.0.113.20", { issourcenat: true, associatednetworkid: "net-isolated" }),
    address("203.0.113.30", { issourcenat: true, vpcid: "vpc-1" }),
    address("203.0.113.40", { associatednetworkid: "net-isolated" }),
  );
  cloud.offerings.push({ id: OFFERING, name: "small", displaytext: "Small Instance" });
}

export function address(ipaddress: string, more: Raw): Raw {
  const id = `ip-${ipaddress}`;
  return { id, ipaddress, state: "Allocated", issourcenat: false, isstaticnat: false, ...more };
}

function network(id: string, type: string, more: Raw): Raw {
  return { id, name: id, type, traffictype: "Guest", state: "Implemented", ...more };
}
