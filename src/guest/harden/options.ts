/**
 * The options of `frontdesk guest harden`, as a table, and what they mean together.
 *
 * The command line, full or small, makes its flags and its help from the table, and hands the
 * values to `readHardenOptions`.
 */

import { tryParseIp } from "../../model/address.ts";
import { quote, UsageError } from "../../model/errors.ts";
import { type Endpoint, endpointAt, parseEndpoint } from "../endpoint.ts";

/** One option, in the form that the command line's tables have. */
export interface HardenOptionSpec {
  readonly flags: string;
  readonly summary: string;
  readonly repeatable?: boolean;
  readonly choices?: readonly string[];
}

// biome-ignore format: a table reads best with one line for each option
export const HARDEN_OPTIONS: readonly HardenOptionSpec[] = [
  { flags: "--allow <users>", summary: "users that may ask, by name or number; root always may", repeatable: true },
  { flags: "--allow-group <groups>", summary: "groups that may ask, and their members", repeatable: true },
  { flags: "--endpoint <where>", summary: "guard this address too: an address or http://HOST:PORT", repeatable: true },
  { flags: "--backend <name>", summary: "which firewall; what rules this host if not given", choices: ["nftables", "iptables"] },
  { flags: "--apply", summary: "put the rules in force; without it they are only shown" },
  { flags: "--persist", summary: "with systemd: at every boot, and again when the router's address changes" },
  { flags: "--pin", summary: "have cloud-init use CloudStack at the router of now, and nothing else" },
  { flags: "--check", summary: "are the rules in force? exit code 0, or 3 if not" },
  { flags: "--remove", summary: "undo all of it: rules, units, pin" },
  { flags: "--skip-unknown", summary: "leave out users and groups that do not exist; else that is an error" },
];

export const HARDEN_EXAMPLES: readonly (readonly [line: string, what: string])[] = [
  ["frontdesk guest harden --allow www-data", "show what would be done"],
  ["frontdesk guest harden --allow www-data --apply --persist", "do it, now and at each boot"],
  ["frontdesk guest harden --check", "see whether it is in force"],
  ["frontdesk guest harden --remove", "undo it"],
];

export type HardenMode = "show" | "apply" | "check" | "remove";
export type BackendName = "nftables" | "iptables";

export interface HardenOptions {
  readonly mode: HardenMode;
  readonly allow: readonly string[];
  readonly allowGroups: readonly string[];
  readonly endpoints: readonly Endpoint[];
  readonly backend: BackendName | undefined;
  readonly persist: boolean;
  readonly pin: boolean;
  readonly skipUnknown: boolean;
}

/** What was given on the command line, by long name without dashes. */
export interface OptionValues {
  string(name: string): string | undefined;
  strings(name: string): readonly string[];
  flag(name: string): boolean;
}

/** A list of names that nobody can oversee is a mistake. */
const NAMES_MAX = 200;

/** @throws {UsageError} if options contradict each other, or one is malformed. */
export function readHardenOptions(values: OptionValues): HardenOptions {
  const modes = (["apply", "check", "remove"] as const).filter((mode) => values.flag(mode));
  if (modes.length > 1) throw new UsageError(`--${modes.join(" and --")}: only one at a time`);
  const mode = modes[0] ?? "show";
  const persist = values.flag("persist");
  const pin = values.flag("pin");
  if (mode === "remove" && (persist || pin)) {
    throw new UsageError("--remove undoes --persist and --pin too: give it alone");
  }
  const backend = values.string("backend");
  if (backend !== undefined && backend !== "nftables" && backend !== "iptables") {
    throw new UsageError(`--backend is nftables or iptables, not ${quote(backend)}`);
  }
  return {
    mode,
    allow: names("allow", values.strings("allow")),
    allowGroups: names("allow-group", values.strings("allow-group")),
    endpoints: values.strings("endpoint").map(endpointOf),
    backend,
    persist,
    pin,
    skipUnknown: values.flag("skip-unknown"),
  };
}

/**
 * Names as useradd(8) makes them, and those of directories (`anna@example.org`). They go into a
 * unit file and to getent, so nothing else passes; a number names every other user.
 */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}$/;

function names(option: string, given: readonly string[]): readonly string[] {
  const list = [...new Set(given)];
  if (list.length > NAMES_MAX) {
    throw new UsageError(`--${option}: ${list.length} names are too many: ${NAMES_MAX} at most`);
  }
  for (const name of list) {
    if (NAME.test(name)) continue;
    throw new UsageError(`--${option}: ${quote(name)} is no name we take; give its number instead`);
  }
  return list;
}

/** An address alone, or a URL as `--endpoint` of the other guest commands takes it. */
function endpointOf(text: string): Endpoint {
  const address = tryParseIp(text);
  const endpoint =
    address === undefined ? parseEndpoint(text) : endpointAt(address, { via: "option" });
  if (tryParseIp(withoutZone(endpoint.host)) === undefined) {
    throw new UsageError(`--endpoint: a rule needs an address, not the name ${quote(text)}`);
  }
  return endpoint;
}

/** `fe80::1%eth0` is `fe80::1` on an interface; a rule holds on all of them. */
export function withoutZone(host: string): string {
  return host.replace(/%.*$/s, "");
}
