/**
 * The metadata keys that CloudStack sends, in the order in which it sends them: one line each.
 *
 * The table is for documentation, for records that name no keys of their own, and for the place of
 * `public-keys`, which is always listed. Other keys are served all the same.
 *
 * @see docs/guests.md
 */

export interface KeyKind {
  /** For people: what the value is. */
  readonly about: string;
  readonly example: string;
}

export const KEYS = {
  "service-offering": { about: "the service offering's display text", example: "Small Instance" },
  "availability-zone": { about: "the zone's name", example: "zone-ber-1" },
  "local-ipv4": { about: "the address of the NIC that asks", example: "10.1.1.57" },
  "local-hostname": { about: "the instance's host name", example: "web-01" },
  "public-ipv4": { about: "the static NAT address, else the router's", example: "203.0.113.45" },
  "public-hostname": { about: "the name or address seen from outside", example: "203.0.113.45" },
  "instance-id": { about: "the instance's UUID", example: "5d6a7f10-3c2b-4a19-8e77-0f1e2d3c4b5a" },
  "vm-id": { about: "the same UUID", example: "5d6a7f10-3c2b-4a19-8e77-0f1e2d3c4b5a" },
  "public-keys": { about: "SSH keys, one a line", example: "ssh-ed25519 AAAA… ada@example.org" },
  "cloud-identifier": { about: "the cloud's UUID", example: "CloudStack-{6f1c2d4e-…}" },
  "hypervisor-host-name": { about: "the host, where the cloud shows it", example: "kvm-07" },
  "cloud-domain": { about: "the account's domain, where the cloud shows it", example: "Acme" },
  "cloud-domain-id": { about: "the UUID of that domain", example: "0f9e8d7c-6b5a-…" },
  "cloud-name": { about: "the cloud's name, where it has one", example: "Acme Cloud" },
} as const satisfies Readonly<Record<string, KeyKind>>;

/** Names that mean something of their own under `latest/`: keys so called get no short form. */
export const RESERVED: ReadonlySet<string> = new Set([
  "user-data",
  "meta-data",
  "metadata",
  "api",
  "dynamic",
]);
