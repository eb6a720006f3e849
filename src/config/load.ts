/**
 * The configuration file. Its libraries are loaded with the first file, so a program that was given
 * none starts without them.
 */

import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { ConfigError } from "../model/errors.ts";
import type { Problem } from "./document.ts";
import type { ReadConfig } from "./read.ts";
import type { Config, NetworkConfig } from "./schema.ts";

export type { Config, NetworkConfig };

/** Bytes of the file. A thousand networks, each with all its fields, stay below. */
export const CONFIG_BYTES_MAX = 1024 * 1024;

export interface LoadedConfig {
  /** Absolute. */
  readonly file: string;
  readonly config: Config;
  /** The line on which a field stands, by its name: `listen`, or `["networks", 0, "id"]`. */
  line(path: readonly PropertyKey[]): number;
}

/** What `config check` shows of such a file. */
export interface ConfigReport {
  /** All that is wrong, in the order of the lines; empty where the file is good. */
  readonly problems: readonly Problem[];
  /** Absent where something is wrong. */
  readonly loaded?: LoadedConfig;
  /** Where something is wrong: what is not, to look for more. */
  readonly rest?: LoadedConfig;
}

/**
 * Loads the configuration file.
 *
 * @throws {ConfigError} naming the first problem with its line and field, and counting the others.
 */
export async function loadConfig(path: string): Promise<LoadedConfig> {
  const file = resolve(path);
  const { config, problems, line } = await read(await readBytes(file), file);
  const [first, ...others] = problems;
  if (first !== undefined) {
    const { firstOf } = await import("./document.ts");
    const { message, line, field } = firstOf([first, ...others]);
    throw new ConfigError(message, { file, line, ...(field !== "" && { field }) });
  }
  if (config === undefined) throw new ConfigError("holds nothing that can be used", { file });
  return { file, config, line };
}

/**
 * Says all that is wrong with a configuration file of this content.
 *
 * @param file its path, absolute
 * @throws {ConfigError} if it is no text, or too long.
 */
export async function checkConfig(bytes: Uint8Array, file: string): Promise<ConfigReport> {
  if (bytes.length > CONFIG_BYTES_MAX) throw tooLarge(file);
  const { config, rest, problems, line } = await read(bytes, file);
  return {
    problems: [...problems].sort((a, b) => a.line - b.line),
    ...(config !== undefined && { loaded: { file, config, line } }),
    ...(rest !== undefined && { rest: { file, config: rest, line } }),
  };
}

async function read(bytes: Uint8Array, file: string): Promise<ReadConfig> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ConfigError("is not UTF-8", { file });
  }
  const { readConfig } = await import("./read.ts");
  return readConfig(text, file);
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    const info = await stat(file);
    if (!info.isFile()) throw new ConfigError("is not a regular file", { file });
    if (info.size > CONFIG_BYTES_MAX) throw tooLarge(file);
    return await readFile(file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(REASONS[code ?? ""] ?? `cannot be read: ${code}`, { file });
  }
}

function tooLarge(file: string): ConfigError {
  return new ConfigError("is larger than 1 MiB", { file });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist",
  ENOTDIR: "does not exist: a part of its path is not a directory",
  EACCES: "may not be read by this program",
  EPERM: "may not be read by this program",
};
