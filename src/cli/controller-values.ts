/**
 * The values of the controller's settings: a flag's or its variable's, else the file's. What a
 * value must be beyond its form is one check, wherever it is given; `config check` asks the same.
 */

import type { Problem } from "../config/document.ts";
import type { Config, LoadedConfig } from "../config/load.ts";
import { checkApiListen, isEvery } from "../controller/http.ts";
import { CLOUDSTACK, checkLookSource } from "../controller/open-look.ts";
import { tryParseHostPort, tryParseListen } from "../model/address.ts";
import { ConfigError, quote, UsageError } from "../model/errors.ts";
import { USER_DATA_CHARS_MAX } from "../source/cloudstack/limits.ts";
import { parseSource } from "../source/index.ts";
import { parseStore } from "../store/index.ts";
import type { Options } from "./command.ts";

/** Between two looks at everything. More often is a hint's work; seldomer, and changes are lost. */
const POLL_SECONDS_MAX = 86_400;

export const AMQP_USER = "FRONTDESK_AMQP_USER";
export const AMQP_PASSWORD = "FRONTDESK_AMQP_PASSWORD";

type Section = NonNullable<Config["controller"]>;
type Name = Exclude<keyof Section, "insecure" | "guestListen">;

/** Settings that stand beside the section, because the router has them too. */
type Shared = "stateDir" | "sealKey" | "network" | "cacheDir" | "logLevel";

/** Each throws a `UsageError` that does not name the setting. */
const CHECKS: { readonly [N in Name]?: (text: string) => unknown } = {
  source: (text) => checkLookSource(text, parseSource),
  store: parseStore,
  apiListen: parseHostPort,
  pollSeconds: (text) => parseCount(text, POLL_SECONDS_MAX),
  userDataMax: (text) => parseCount(text, USER_DATA_CHARS_MAX),
  amqp: parseBus,
};

export interface ControllerValues {
  /** Checked. @throws {UsageError} if a flag's or variable's value is wrong */
  text(name: Name): string | undefined;
  number(name: "pollSeconds" | "userDataMax"): number | undefined;
  shared(name: Shared): string | undefined;
  readonly guestListen: readonly string[];
  readonly insecure: boolean;
  /** @throws {UsageError | ConfigError} if a setting is missing, where the other one was said. */
  refuseLack(): void;
}

/** @throws {ConfigError} if a value of the file is wrong, with its line. */
export function controllerValues(
  options: Options,
  file: LoadedConfig | undefined,
): ControllerValues {
  if (file !== undefined) refuseProblems(file);
  const section: Section = file?.config.controller ?? {};
  // A variable that is set but empty is one that is not set.
  const given = (name: Name | Shared): string | undefined =>
    options.string(flagOf(name)) || undefined;
  const text = (name: Name): string | undefined => {
    const own = given(name);
    if (own === undefined) return section[name]?.toString();
    const flaw = flawOf(name, own);
    if (flaw !== undefined) throw new UsageError(`--${flagOf(name)}: ${flaw}`);
    return own;
  };
  const guests = options.strings("guest-listen");
  const refuseLack = (): void => {
    const lack = lackOf((name) => text(name) !== undefined);
    if (lack === undefined) return;
    const { name, inFile, inFlags } = lack;
    const isOfFile = given(name) === undefined && section[name] !== undefined;
    if (file !== undefined && isOfFile) refuse(file, problemOf(file, name, inFile));
    throw new UsageError(inFlags);
  };
  return {
    text,
    number: (name) => {
      const number = text(name);
      return number === undefined ? undefined : Number(number);
    },
    shared: (name) => given(name) ?? file?.config[name],
    guestListen: guests.length > 0 ? guests : (section.guestListen ?? []),
    insecure: options.flag("insecure") || section.insecure === true,
    refuseLack,
  };
}

function refuseProblems(loaded: LoadedConfig): void {
  const [first] = controllerProblems(loaded);
  if (first !== undefined) refuse(loaded, first);
}

function refuse({ file }: LoadedConfig, { message, line, field }: Problem): never {
  throw new ConfigError(message, { file, line, field });
}

function problemOf({ line }: LoadedConfig, name: Name, message: string): Problem {
  return { line: line(["controller", name]), field: `controller.${name}`, message };
}

/** What is wrong with `controller:` of a file whose form is good. */
export function controllerProblems(loaded: LoadedConfig): readonly Problem[] {
  const { controller } = loaded.config;
  if (controller === undefined) return [];
  const problems = (Object.keys(CHECKS) as Name[]).flatMap((name) => {
    const value = controller[name];
    const flaw = value === undefined ? undefined : flawOf(name, String(value));
    return flaw === undefined ? [] : [problemOf(loaded, name, flaw)];
  });
  const flaw = apiListenFlaw(controller);
  if (flaw !== undefined) problems.push(problemOf(loaded, "apiListen", flaw));
  return problems;
}

/** Why the controller does not start with a file without a mistake, unless flags say more. */
export function controllerRefusal(loaded: LoadedConfig): Problem | undefined {
  const { controller = {} } = loaded.config;
  const lack = lackOf((name) => controller[name] !== undefined);
  // Whoever names no store may mean the one of frontdesk serve.
  if (lack === undefined || controller[lack.name] === undefined) return undefined;
  return problemOf(loaded, lack.name, lack.inFile);
}

/** That a setting is no use, said for who wrote it into the file and for who gave flags. */
interface Lack {
  readonly name: Name;
  readonly inFile: string;
  readonly inFlags: string;
}

/** What is for the APIs only. */
const OF_APIS = ["apiCert", "webhookSecretFile"] as const;

function lackOf(has: (name: Name) => boolean): Lack | undefined {
  if (has("apiListen")) return undefined;
  const name = OF_APIS.find(has);
  if (name !== undefined) {
    const inFile = "is for apiListen, which is missing";
    return { name, inFile, inFlags: `--${flagOf(name)} is for --api-listen, which is missing` };
  }
  if (has("source")) return undefined;
  const forms = `--source ${CLOUDSTACK}URL, or --api-listen ADDR:PORT to write by the API`;
  return {
    name: "store",
    inFile: "nothing to keep it true by: give source, or apiListen to write by the API",
    inFlags: `nothing to keep the store true by: write ${forms}`,
  };
}

/** Why the APIs may not be at an address that is one: guests ask there, or could. */
function apiListenFlaw({ apiListen, guestListen = [] }: Section): string | undefined {
  const at = apiListen === undefined ? undefined : tryParseHostPort(apiListen);
  if (at === undefined) return undefined;
  try {
    checkApiListen(
      at,
      guestListen.flatMap((guest) => tryParseListen(guest) ?? []),
    );
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    // It names the flag, which nobody wrote.
    return error.message.replace(/^--api-listen \S+: /, "");
  }
  const isGuests = guestListen.includes("auto") && isEvery(at.host);
  return isGuests ? "every address includes those of guests; choose one address" : undefined;
}

function flawOf(name: Name, text: string): string | undefined {
  try {
    CHECKS[name]?.(text);
    return undefined;
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

/** `apiListen` is the flag `--api-listen`. */
function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

export function parseHostPort(text: string): { readonly host: string; readonly port: number } {
  const at = tryParseHostPort(text);
  if (at === undefined) throw new UsageError(`${quote(text)} is not ADDR:PORT`);
  return at;
}

/** Written as the router's own listeners are, because that is what it names. */
export function parseGuest(
  text: string,
): "auto" | { readonly host: string; readonly port: number } {
  if (text === "auto") return text;
  const at = tryParseListen(text);
  if (at !== undefined) return { host: at.host, port: at.port };
  throw new UsageError(`--guest-listen: ${quote(text)} is not ADDR:PORT, [IPV6]:PORT or auto`);
}

/** The user is no part of it: it would stand in `ps` and in logs. */
export function parseBus(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isAmqp = url !== undefined && /^amqps?:$/.test(url.protocol) && url.hostname !== "";
  if (!isAmqp) throw new UsageError("write amqp://HOST[:PORT][/VHOST], or amqps:");
  if (url.username !== "" || url.password !== "" || url.search !== "") {
    const place = `${AMQP_USER} and ${AMQP_PASSWORD}, or --amqp-credentials-file`;
    throw new UsageError(`has a user or a query; the user is read from ${place}`);
  }
  return url;
}

function parseCount(text: string, most: number): number {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= most) return value;
  throw new UsageError(`${quote(text)} is not a number from 1 to ${most}`);
}
