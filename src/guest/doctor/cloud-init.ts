/**
 * What cloud-init left about itself: whether it ran, what it chose, what it complained of.
 */

import type { System } from "../system.ts";

export interface CloudInit {
  /** Why it does not run at all; `undefined`: it does. */
  readonly disabledBy: string | undefined;
  /** `DataSourceCloudStack`; `undefined`: it has not chosen yet. */
  readonly source: string | undefined;
  readonly errors: readonly string[];
  readonly done: boolean;
  /** The data sources that its configuration lists, by the last file that does. */
  readonly list: readonly string[] | undefined;
}

const FOLDER = "/etc/cloud/cloud.cfg.d";
/** More errors say no more. */
const ERRORS_MAX = 5;

/** `undefined`: cloud-init is not installed. */
export function readCloudInit(system: System): CloudInit | undefined {
  const text = (path: string): string | undefined => system.read(path)?.toString("utf8");
  if (text("/etc/cloud/cloud.cfg") === undefined) return undefined;
  const status = object(text("/run/cloud-init/status.json"))?.v1;
  const result = object(text("/run/cloud-init/result.json"))?.v1;
  const chosen = named(result) ?? named(status);
  const kept = /^(DataSource\w+)/.exec(text("/var/lib/cloud/instance/datasource") ?? "")?.[1];
  const files = ["/etc/cloud/cloud.cfg", ...system.list(FOLDER).map((name) => `${FOLDER}/${name}`)];
  const lists = files.flatMap((file) => listIn(text(file) ?? ""));
  return {
    disabledBy: disabledBy(text),
    source: chosen ?? kept,
    errors: errorsIn(result).slice(0, ERRORS_MAX),
    done: result !== undefined,
    list: lists.at(-1),
  };
}

function disabledBy(text: (path: string) => string | undefined): string | undefined {
  if (text("/etc/cloud/cloud-init.disabled") !== undefined) return "/etc/cloud/cloud-init.disabled";
  const line = text("/proc/cmdline") ?? "";
  if (/(?:^|\s)cloud-init=disabled(?:\s|$)/.test(line)) return "the kernel's command line";
  if (text("/run/cloud-init/disabled") !== undefined) return "ds-identify";
  return undefined;
}

/** `DataSourceCloudStack [seed=...]`: the first word. */
function named(value: unknown): string | undefined {
  const source = (value as { datasource?: unknown } | undefined)?.datasource;
  return typeof source === "string" ? /^\w+/.exec(source)?.[0] : undefined;
}

function errorsIn(value: unknown): string[] {
  const errors = (value as { errors?: unknown } | undefined)?.errors;
  return Array.isArray(errors) ? errors.filter((one) => typeof one === "string") : [];
}

/** ds-identify reads it line by line too: `datasource_list: [ CloudStack, None ]`. */
function listIn(text: string): string[][] {
  return [...text.matchAll(/^datasource_list:\s*\[([^\]]*)\]/gm)].map(([, names = ""]) =>
    names
      .split(",")
      .map((name) => name.trim().replace(/^['"]|['"]$/g, ""))
      .filter((name) => name !== ""),
  );
}

function object(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null ? (value as never) : undefined;
  } catch {
    return undefined; // Not there, or being written.
  }
}
