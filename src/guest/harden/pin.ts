/**
 * Makes cloud-init use CloudStack's data source, at the router of now, and nothing else: so a
 * stranger on the network who answers DNS or DHCP first, or at 169.254.169.254, is not believed.
 *
 * What DataSourceCloudStack honours was read in cloud-init 22.4.2. Of `datasource: CloudStack:` it
 * takes `max_wait` and `timeout`, and there is no setting for an address. It looks up the name
 * `data-server` first, then leases, then the default gateway, and uses the first that it gets. So
 * the address is pinned where every resolver looks first, in /etc/hosts. `datasource_list` stands
 * on one line, because ds-identify reads it line by line; None lets an instance boot without a
 * router, as the list does that ds-identify writes itself.
 */

import { isIP } from "node:net";
import { type Ip, tryParseIp } from "../../model/address.ts";
import { quote, UsageError } from "../../model/errors.ts";
import { type Endpoint, HTTP_PORT } from "../endpoint.ts";
import type { Files } from "./files.ts";

/** Read after all others: of two that set one key the later name wins. */
export const PIN_FILE = "/etc/cloud/cloud.cfg.d/zz-frontdesk-guest.cfg";
export const HOSTS_FILE = "/etc/hosts";
const NAME = "data-server";

const PIN_TEXT = `# Written by "frontdesk guest harden --pin"; "harden --remove" removes it.
# The router's address is pinned in ${HOSTS_FILE}: cloud-init has no setting for it.
datasource_list: [ CloudStack, None ]
`;

const BEGIN = '# begin: written by "frontdesk guest harden --pin"';
const END = '# end: written by "frontdesk guest harden --pin"';
const BLOCK = new RegExp(`${BEGIN}\n[\\s\\S]*?${END}\n`, "g");

/** A file as it shall be; `undefined`: not there. */
export interface Wish {
  readonly path: string;
  readonly text: string | undefined;
}

export interface Pin {
  readonly address: Ip;
  readonly wishes: readonly Wish[];
  readonly notes: readonly string[];
}

/** @throws {UsageError} where pinning would break the next boot, or it is unclear to what. */
export function planPin(named: readonly Endpoint[], found: readonly Endpoint[], files: Files): Pin {
  if (files.read("/etc/cloud/cloud.cfg") === undefined) {
    throw new UsageError(
      "--pin is for cloud-init, which is not installed (no /etc/cloud/cloud.cfg)",
    );
  }
  // `DataSourceCloudStack: DataSourceCloudStack`, of the last boot.
  const source = /^DataSource(\w+)/.exec(
    files.read("/var/lib/cloud/instance/datasource") ?? "",
  )?.[1];
  if (source !== undefined && !/^(CloudStack|CloudStackLocal|None)$/.test(source)) {
    throw new UsageError(`--pin is for CloudStack's data source; here cloud-init uses ${source}`);
  }
  const address = routerOf(named, found);
  const hosts = files.read(HOSTS_FILE) ?? "";
  const others = withoutBlock(hosts);
  const clash = others.split("\n").findIndex((line) => namesIt(line, address));
  if (clash !== -1) {
    throw new UsageError(
      `${HOSTS_FILE} names ${NAME} already: remove ${quote(others.split("\n")[clash] ?? "")}`,
    );
  }
  return {
    address,
    wishes: [
      { path: PIN_FILE, text: PIN_TEXT },
      { path: HOSTS_FILE, text: `${BEGIN}\n${address} ${NAME}\n${END}\n${others}` },
    ],
    notes: pinNotes(files),
  };
}

/** The files without the pin. */
export function planUnpin(files: Files): readonly Wish[] {
  const hosts = files.read(HOSTS_FILE);
  return [
    { path: PIN_FILE, text: undefined },
    ...(hosts === undefined ? [] : [{ path: HOSTS_FILE, text: withoutBlock(hosts) }]),
  ];
}

/** The block stands first, so that what is left without it is what was there before. */
export function withoutBlock(hosts: string): string {
  return hosts.replace(BLOCK, "");
}

/** Named by the user, else what DNS and DHCP agree on, else the only gateway. Never a guess. */
function routerOf(named: readonly Endpoint[], found: readonly Endpoint[]): Ip {
  // cloud-init puts the address into a URL as it is, which fails with an IPv6 one.
  const distinct = (endpoints: readonly Endpoint[]): Ip[] => [
    ...new Set(endpoints.flatMap(({ host }) => (isIP(host) === 4 ? (tryParseIp(host) ?? []) : []))),
  ];
  if (named.length > 0) {
    const [address, second] = distinct(named);
    if (address === undefined || second !== undefined) {
      throw new UsageError("--pin needs one --endpoint, with an IPv4 address");
    }
    if (named.some(({ port }) => port !== HTTP_PORT)) {
      throw new UsageError(`--pin: cloud-init asks port ${HTTP_PORT}, and no other`);
    }
    return address;
  }
  const told = found.filter(({ via }) => via === "data-server" || via === "dhcp");
  const gateways = found.filter(({ via }) => via === "gateway");
  const choices = distinct(told).length > 0 ? distinct(told) : distinct(gateways);
  const [address] = choices;
  if (address === undefined) {
    throw new UsageError("--pin found no router: name it with --endpoint ADDRESS");
  }
  if (choices.length > 1) {
    throw new UsageError(
      `--pin: DNS and DHCP name several routers (${choices.join(", ")}): choose with --endpoint`,
    );
  }
  return address;
}

/** A line of ours would not be alone: which of two addresses is taken is the resolver's choice. */
function namesIt(line: string, address: Ip): boolean {
  const [first, ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
  return names.includes(NAME) && first !== address;
}

function pinNotes(files: Files): readonly string[] {
  const notes: string[] = [];
  const folder = "/etc/cloud/cloud.cfg.d";
  const own = PIN_FILE.slice(folder.length + 1);
  const configs = files.list(folder).filter((name) => name.endsWith(".cfg") && name !== own);
  const reads = (name: string): string => files.read(`${folder}/${name}`) ?? "";
  for (const name of configs.filter((name) => name > own)) {
    if (/^datasource_list:/m.test(reads(name))) notes.push(`${folder}/${name} overrides the pin`);
  }
  const texts = [files.read("/etc/cloud/cloud.cfg") ?? "", ...configs.map(reads)];
  if (texts.some((text) => /^manage_etc_hosts:\s*['"]?(true|yes|on|template)\b/im.test(text))) {
    notes.push(
      `cloud-init writes ${HOSTS_FILE} anew at each boot (manage_etc_hosts): the pin is lost then`,
    );
  }
  const hosts = /^\s*hosts:\s*(.*)$/m.exec(files.read("/etc/nsswitch.conf") ?? "")?.[1] ?? "files";
  if (!/^(files|mymachines\s+files|resolve|mymachines\s+resolve)\b/.test(hosts)) {
    notes.push(
      `names are not looked up in ${HOSTS_FILE} first (/etc/nsswitch.conf: hosts: ${hosts})`,
    );
  }
  const cmdline = files.read("/proc/cmdline") ?? "";
  if (/(^|\s)(ci\.ds|ci\.datasource|ds)=|cc:.*datasource_list/.test(cmdline)) {
    notes.push("the kernel's command line names a data source, which overrides the pin");
  }
  if (files.list("/var/lib/cloud/seed/cs").length > 0) {
    notes.push(
      "cloud-init has a seed in /var/lib/cloud/seed/cs, which it uses instead of the router",
    );
  }
  return notes;
}
