/**
 * The instances behind the recordings: what CloudStack's router must have been given to answer so.
 *
 * 127.0.0.2 is a whole instance, with two keys that the user chose. 127.0.0.3 has no user data but
 * a domain. 127.0.0.4 had its public keys removed. 127.0.0.5 and others are nobody.
 */

import type { Entry, Network } from "../e2e/databags.ts";

const ID = "11111111-2222-4333-8444-555555555555";
const USER_DATA = "#cloud-config\nhostname: web-01\n";

const before = (address: string, name: string): readonly Entry[] => [
  ["metadata", "service-offering", "Small Instance"],
  ["metadata", "availability-zone", "zone-1"],
  ["metadata", "local-ipv4", address],
  ["metadata", "local-hostname", name],
];
const after = (keys: string | null): readonly Entry[] => [
  ["metadata", "public-ipv4", "203.0.113.7"],
  ["metadata", "public-hostname", "203.0.113.7"],
  ["metadata", "instance-id", ID],
  ["metadata", "vm-id", ID],
  ["metadata", "public-keys", keys],
  ["metadata", "cloud-identifier", "CloudStack-{11111111-0000-4000-8000-000000000000}"],
  ["metadata", "hypervisor-host-name", null],
];

export const RECORDED: Network = {
  router: "127.0.0.1",
  prefix: 24,
  instances: {
    "127.0.0.2": [
      ["userdata", "user-data", Buffer.from(USER_DATA).toString("base64")],
      ...before("127.0.0.2", "web-01"),
      ["metadata", "name", "n1"],
      ["metadata", "x", "1"],
      ...after("ssh-rsa AAAAB3 a@b\nssh-ed25519 AAAAC3 c@d"),
    ],
    "127.0.0.3": [
      ["userdata", "user-data", null],
      ...before("127.0.0.3", "db-01"),
      ...after(null),
      ["metadata", "cloud-domain", "Acme"],
      ["metadata", "cloud-domain-id", "22222222-2222-4333-8444-555555555555"],
    ],
    "127.0.0.4": [
      ["userdata", "user-data", null],
      ...before("127.0.0.4", "no-keys-01"),
      ...after(""),
    ],
  },
};
