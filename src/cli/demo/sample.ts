/**
 * The demo's instances: a dozen guests on loopback, one of each kind worth looking at.
 */

import { parseIp } from "../../model/address.ts";
import type { Guest } from "./tries.ts";

export interface SampleInstance extends Guest {
  readonly about: string;
}

const RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDexampleexampleexampleexample1";
const ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexampleexampleexampleexample2";

/** The first guest is who plain curl is; the others need `--interface`. */
export const SAMPLES: readonly SampleInstance[] = [
  { address: parseIp("127.0.0.1"), name: "web-01", about: "cloud-config, two keys, a password" },
  { address: parseIp("127.0.0.11"), name: "db-01", about: "a shell script as user data" },
  { address: parseIp("127.0.0.12"), name: "cache-01", about: "no user data, no keys" },
  ...Array.from({ length: 9 }, (_, index) => ({
    address: parseIp(`127.0.0.${13 + index}`),
    name: `worker-${String(index + 1).padStart(2, "0")}`,
    about: "one of nine alike",
  })),
];

/** The sample file, with comments for whoever edits it. */
export function sampleYaml(): string {
  return `# The demo's instances. Edit and save: guests see the change at once.
# What can stand here: docs/formats/instances.md

networks:
  - id: demo
    cidrs: [127.0.0.0/8]
    dnsDomain: demo.internal

instances:
${SAMPLES.map(instance).join("\n")}`;
}

function instance({ address, name }: SampleInstance, index: number): string {
  const id = `5d6a7f10-3c2b-4a19-8e77-${String(index + 1).padStart(12, "0")}`;
  const lines = [
    `  - id: ${id}`,
    `    name: ${name}`,
    `    address: ${address}`,
    "    zone: demo-zone",
    "    serviceOffering: Small Instance",
    ...(EXTRAS[name] ?? [`    publicKeys: ["${ED25519} bob@laptop"]`]),
  ];
  return `${lines.join("\n")}\n`;
}

const EXTRAS: Readonly<Record<string, readonly string[]>> = {
  "web-01": [
    "    keys:",
    "      tier: front",
    "      public-ipv4: 203.0.113.45",
    "    publicKeys:",
    `      - ${RSA} alice@laptop`,
    `      - ${ED25519} bob@laptop`,
    "    password: fN7xvQ2p",
    "    userData: |",
    "      #cloud-config",
    "      write_files:",
    "      - path: /etc/motd",
    "        content: welcome to web-01",
  ],
  "db-01": [
    `    publicKeys: ["${RSA} alice@laptop"]`,
    "    userData: |",
    "      #!/bin/sh",
    "      echo hello > /root/hello",
  ],
  "cache-01": [],
};
