/**
 * DHCP and DNS of a CloudStack router: the real dnsmasq on the files that CloudStack writes for
 * an isolated network.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Lab, ROUTER_ADDRESS } from "./lab.ts";
import type { Program } from "./program.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures/cloudstack");

/** What CloudStack's own dnsmasq.conf says beside the file of one network. */
const STANDING = [
  "domain-needed",
  "expand-hosts",
  "localise-queries",
  "no-resolv",
  "domain=cs2cloud.internal",
  "local=/cs2cloud.internal/",
  "interface=eth0",
];

/** What a test needs beside: no file outside of its folder, and a log that it can read. */
const APART = ["no-hosts", "pid-file", "user=root", "log-facility=-", "log-queries", "log-dhcp"];

export interface DnsmasqOptions {
  /** Whether the name `data-server` leads to the router, as it does on CloudStack's. */
  readonly dataServer: boolean;
  /** The default gateway that DHCP names; the router itself unless it is said. */
  readonly gateway?: string;
  /** Further lines of its configuration. */
  readonly more?: readonly string[];
}

/** Starts dnsmasq at the lab's router; it serves once this resolves. */
export async function startDnsmasq(lab: Lab, options: DnsmasqOptions): Promise<Program> {
  const network = networkConfig(options.gateway);
  let hosts = fixture("etc-hosts.isolated");
  if (!options.dataServer) hosts = hosts.replace(" data-server", "");
  const write = (name: string, text: string): string => {
    const path = join(lab.folder, name);
    writeFileSync(path, text);
    return path;
  };
  const lines = [
    ...STANDING,
    ...APART,
    ...(options.more ?? []),
    `addn-hosts=${write("hosts", hosts)}`,
    `dhcp-hostsfile=${write("dhcphosts.txt", fixture("dhcphosts.txt.isolated"))}`,
    `dhcp-leasefile=${write("dnsmasq.leases", "")}`,
  ];
  const config = write("dnsmasq.conf", `${network}\n${lines.join("\n")}\n`);
  const program = lab.router.start(["dnsmasq", "-k", "-C", config]);
  await program.says(/DHCP, sockets bound/);
  return program;
}

/** What CloudStack writes of the network. */
export function networkConfig(gateway: string = ROUTER_ADDRESS): string {
  return fixture("dnsmasq.d-cloud.conf.isolated").replace(",3,10.1.1.1", `,3,${gateway}`);
}

function fixture(name: string): string {
  return readFileSync(join(FIXTURES, name), "utf8");
}
