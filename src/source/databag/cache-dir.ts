/**
 * CloudStack's cache folder on its router: the passwords that its own password server kept, and the
 * command files that wait to be taken.
 *
 * What lies there comes and goes at any time. Nothing here fails: what cannot be read is not there.
 */

import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Ip, tryParseIp } from "../../model/address.ts";
import { CommandError } from "../../model/errors.ts";
import type { Conditions } from "../../observe/conditions.ts";
import { parseCommand, readPasswordValue } from "./command.ts";
import {
  COMMAND_BYTES_MAX,
  PASSWORDS_FILE_BYTES_MAX,
  PASSWORDS_FILES_MAX,
  RETRY_MS_MAX,
  STAMP_MS,
  WAITING_COMMAND_GRACE_MS,
  WAITING_COMMANDS_MAX,
} from "./limits.ts";

export interface AddressPassword {
  readonly address: Ip;
  readonly password: string;
}

interface Found {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
  readonly stamp: string;
}

export class CacheDir {
  readonly #dir: string;
  readonly #conditions: Conditions;
  /** Command files that were taken, or given up, by name. */
  #done = new Map<string, string>();
  /** Of the folder when it was last listed. */
  #listed = "";
  #unfinished = false;

  constructor(dir: string, conditions: Conditions) {
    this.#dir = dir;
    this.#conditions = conditions;
  }

  /** In how many milliseconds a look may find something that no event announces. */
  get wakeMs(): number | undefined {
    return this.#unfinished ? RETRY_MS_MAX : undefined;
  }

  /**
   * What CloudStack's password server kept: lines of `address=password`, in a file for each address
   * that it listened on. Of two that name one address, the file that was written last counts.
   *
   * @returns `undefined` if there is no such file.
   */
  async keptPasswords(): Promise<Map<Ip, string> | undefined> {
    const files = (await this.#find(/^passwords-/)).slice(-PASSWORDS_FILES_MAX);
    if (files.length === 0) return undefined;
    const kept = new Map<Ip, string>();
    for (const { name } of files) {
      const text = await this.#read(name, PASSWORDS_FILE_BYTES_MAX);
      for (const [index, line] of (text ?? "").split("\n").entries()) {
        if (line === "") continue;
        const at = line.indexOf("=");
        const address = tryParseIp(line.slice(0, Math.max(at, 0)));
        const password = readPasswordValue(line.slice(at + 1));
        if (address !== undefined && password !== undefined) kept.set(address, password);
        else {
          const detail = `line ${index + 1} is not an address and its password`;
          this.#conditions.raise("SOURCE_MALFORMED", name, detail);
        }
      }
    }
    return kept;
  }

  /**
   * The passwords in command files that wait and were not taken before, oldest first.
   *
   * @param since when vmpassword.json was written: older files were merged into it, or overtaken.
   */
  async waitingPasswords(since: number): Promise<AddressPassword[]> {
    const folder = await stampOf(this.#dir);
    const isYoung = folder !== undefined && Math.abs(Date.now() - folder.modified) < STAMP_MS;
    if (folder?.stamp === this.#listed && !this.#unfinished) return [];
    const files = (await this.#find(/^vm_password\.json\./)).slice(0, WAITING_COMMANDS_MAX);
    const done = new Map<string, string>();
    const passwords: AddressPassword[] = [];
    // A file that is made in the same tick of the clock does not change the folder's stamp.
    this.#unfinished = isYoung;
    for (const { name, modified, stamp } of files) {
      const wasDone = this.#done.get(name) === stamp;
      const password = wasDone || modified < since ? undefined : await this.#password(name);
      if (password === "unfinished" && Date.now() - modified < WAITING_COMMAND_GRACE_MS) {
        this.#unfinished = true;
        continue;
      }
      done.set(name, stamp);
      if (typeof password === "object") passwords.push(password);
    }
    this.#done = done;
    this.#listed = folder?.stamp ?? "";
    return passwords;
  }

  async #password(name: string): Promise<AddressPassword | "unfinished" | undefined> {
    const text = await this.#read(name, COMMAND_BYTES_MAX);
    if (text === undefined) return undefined;
    try {
      const command = parseCommand(text, name);
      if (command.type !== "vmpassword") return undefined;
      return { address: command.address, password: command.password };
    } catch (error) {
      if (error instanceof CommandError) return "unfinished";
      throw error;
    }
  }

  /** Regular files, oldest first. */
  async #find(pattern: RegExp): Promise<Found[]> {
    const names = await readdir(this.#dir).catch(() => []);
    const found: Found[] = [];
    for (const name of names.filter((name) => pattern.test(name))) {
      const info = await stampOf(join(this.#dir, name));
      if (info?.isFile === true) found.push({ name, ...info });
    }
    return found.sort((a, b) => a.modified - b.modified || (a.name < b.name ? -1 : 1));
  }

  async #read(name: string, bytesMax: number): Promise<string | undefined> {
    try {
      const path = join(this.#dir, name);
      const { size } = await stat(path);
      return size > bytesMax ? undefined : await readFile(path, "utf8");
    } catch {
      return undefined; // It was taken away meanwhile.
    }
  }
}

async function stampOf(
  path: string,
): Promise<{ isFile: boolean; modified: number; stamp: string } | undefined> {
  try {
    const info = await stat(path, { bigint: true });
    const stamp = `${info.dev} ${info.ino} ${info.size} ${info.mtimeNs}`;
    return { isFile: info.isFile(), modified: Number(info.mtimeMs), stamp };
  } catch {
    return undefined;
  }
}
