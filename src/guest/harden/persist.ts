/**
 * The units that put the rules in force at each boot, and keep them true.
 *
 * A service runs `harden --apply` before the network is up, with the addresses of now written into
 * it. The same service runs again when a lease or the list of users changes (a path unit; the
 * router's address may have changed), and each minute (a timer; another program may have flushed
 * the rules, and not every DHCP client writes a file). A run that finds all as it should be
 * changes nothing.
 */

import { isIP } from "node:net";
import type { Ip } from "../../model/address.ts";
import { HardenError } from "../../model/errors.ts";
import { must } from "../../platform/nftables.ts";
import { endpointAt, HTTP_PORT } from "../endpoint.ts";
import type { HardenOptions } from "./options.ts";
import type { Wish } from "./pin.ts";
import { PORTS } from "./policy.ts";
import type { HardenPorts } from "./ports.ts";

const NAME = "frontdesk-guest-harden";
const FOLDER = "/etc/systemd/system";
const UNITS = [`${NAME}.service`, `${NAME}.path`, `${NAME}.timer`] as const;

/** Where DHCP clients write, and where users come and go. */
const WATCHED = [
  "/run/systemd/netif/leases",
  "/run/NetworkManager/devices",
  "/var/lib/NetworkManager",
  "/var/lib/dhcp",
  "/var/lib/dhclient",
  "/var/lib/dhcpcd",
  "/run/udhcpc",
  "/etc/passwd",
  "/etc/group",
] as const;

/** Words that systemd takes as they are: no quotes, `%`, `$` or blanks. */
const PLAIN_WORD = /^[A-Za-z0-9_.,:@+/[\]=-]+$/;
/** Writable by others than its owner. */
const OTHERS_MAY_WRITE = 0o022;

export function unitFiles(
  options: HardenOptions,
  { addresses, ports: guarded }: { addresses: readonly Ip[]; ports: readonly number[] },
  ports: HardenPorts,
): readonly Wish[] {
  const words = [
    ...ports.self,
    ...["--apply", "--skip-unknown"],
    ...options.allow.flatMap((name) => ["--allow", name]),
    ...options.allowGroups.flatMap((name) => ["--allow-group", name]),
    ...(options.backend === undefined ? [] : ["--backend", options.backend]),
    ...addresses.flatMap((address) => ["--endpoint", address]),
    ...otherPorts(addresses, guarded),
  ];
  for (const word of words) {
    if (PLAIN_WORD.test(word)) continue;
    throw new HardenError("HARDEN_UNSAFE_PROGRAM", `a unit cannot start ${JSON.stringify(word)}`);
  }
  checkProgram(ports);
  const texts = [service(words), path(), timer()];
  return UNITS.map((unit, index) => ({ path: `${FOLDER}/${unit}`, text: texts[index] }));
}

/**
 * A sentence, if units of an earlier run would soon undo what these options do.
 */
export function unitConflict(options: HardenOptions, { files }: HardenPorts): string | undefined {
  const unit = files.read(`${FOLDER}/${UNITS[0]}`);
  if (unit === undefined || options.persist) return undefined;
  const words = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(" ") ?? [];
  const given = (flag: string): string[] =>
    words.filter((_, index) => words[index - 1] === flag).sort();
  const same =
    given("--allow").join() === [...options.allow].sort().join() &&
    given("--allow-group").join() === [...options.allowGroups].sort().join();
  if (same) return undefined;
  return "units of an earlier --persist let others ask, within a minute: give --persist too";
}

/** Ports beside the usual ones are told with an address. */
function otherPorts(addresses: readonly Ip[], guarded: readonly number[]): string[] {
  const host = addresses.find((address) => isIP(address) === 4) ?? "169.254.169.254";
  return guarded
    .filter((port) => !(PORTS as readonly number[]).includes(port) && port !== HTTP_PORT)
    .flatMap((port) => ["--endpoint", endpointAt(host, { via: "option", port }).url]);
}

/**
 * Root will run this program at each boot: nobody else may be able to exchange it.
 *
 * @throws {HardenError}
 */
function checkProgram({ self, files }: HardenPorts): void {
  for (const program of self.filter((word) => word.startsWith("/"))) {
    const parts = program.split("/").slice(1);
    for (let length = parts.length; length >= 0; length -= 1) {
      const place = `/${parts.slice(0, length).join("/")}`;
      const found = files.stat(place);
      if (found?.uid === 0 && (found.mode & OTHERS_MAY_WRITE) === 0) continue;
      const why = found === undefined ? "is not there" : "could be changed by others than root";
      throw new HardenError(
        "HARDEN_UNSAFE_PROGRAM",
        `--persist: ${place} ${why}; install the program as root, in /usr/local/bin`,
      );
    }
  }
}

function service(words: readonly string[]): string {
  return `[Unit]
Description=Only chosen users may ask the metadata service
DefaultDependencies=no
After=local-fs.target nftables.service firewalld.service ufw.service netfilter-persistent.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target
# Leases may change many times in a row.
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=${words.join(" ")}
TimeoutStartSec=60
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=-/run
ProtectHome=read-only

[Install]
WantedBy=multi-user.target
`;
}

function path(): string {
  return `[Unit]
Description=Looks again at who may ask the metadata service when a lease changes

[Path]
${WATCHED.map((place) => `PathChanged=${place}`).join("\n")}

[Install]
WantedBy=multi-user.target
`;
}

function timer(): string {
  return `[Unit]
Description=Looks again at who may ask the metadata service each minute

[Timer]
OnBootSec=30s
OnUnitInactiveSec=1min
AccuracySec=5s

[Install]
WantedBy=timers.target
`;
}

/** The unit files, gone. */
export function noUnitFiles(): readonly Wish[] {
  return UNITS.map((unit) => ({ path: `${FOLDER}/${unit}`, text: undefined }));
}

/** After the files were written. What is enabled already stays so. */
export async function enableUnits(ports: HardenPorts): Promise<void> {
  await systemctl(ports, ["enable", ...UNITS]);
  if (!ports.systemdRuns) return;
  await systemctl(ports, ["daemon-reload"]);
  await systemctl(ports, ["restart", ...UNITS.slice(1)]);
}

/** Before the files are removed. */
export async function disableUnits(ports: HardenPorts): Promise<void> {
  await systemctl(ports, ["disable", ...(ports.systemdRuns ? ["--now"] : []), ...UNITS]);
}

/** After they were removed. */
export async function forgetUnits(ports: HardenPorts): Promise<void> {
  if (ports.systemdRuns) await systemctl(ports, ["daemon-reload"]);
}

async function systemctl(ports: HardenPorts, words: readonly string[]): Promise<void> {
  const { root } = ports.files;
  const argv = ["systemctl", "--quiet", ...(root === "/" ? [] : ["--root", root]), ...words];
  must("systemctl", await ports.exec(argv));
}
