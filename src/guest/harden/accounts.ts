/**
 * Users and groups as numbers, from the system's databases (getent, else /etc/passwd).
 *
 * nftables and iptables see a process's own group only, not its supplementary ones. So a group
 * stands for its number and for the numbers of its members, as of now.
 */

import { ExecError, UsageError } from "../../model/errors.ts";
import { ID_MAX } from "./policy.ts";
import type { HardenPorts } from "./ports.ts";

/** Members of a group that are looked up. */
const MEMBERS_MAX = 500;

export interface Account {
  readonly name: string;
  readonly id: number;
}

export interface Group extends Account {
  readonly members: readonly Account[];
}

export interface Accounts {
  readonly users: readonly Account[];
  readonly groups: readonly Group[];
  /** Names that nobody has, with the word `user` or `group` before them. */
  readonly unknown: readonly string[];
}

/** @throws {UsageError} if a name is unknown, unless `skipUnknown`. */
export async function resolveAccounts(
  { allow, allowGroups, skipUnknown }: Wanted,
  ports: HardenPorts,
): Promise<Accounts> {
  const unknown: string[] = [];
  const users: Account[] = [];
  for (const name of new Set(["root", ...allow])) {
    const id = name === "root" ? 0 : await idOf("passwd", name, ports);
    if (id === undefined) unknown.push(`user ${name}`);
    else users.push({ name, id });
  }
  const groups: Group[] = [];
  for (const name of new Set(allowGroups)) {
    const group = await groupOf(name, ports);
    if (group === undefined) unknown.push(`group ${name}`);
    else groups.push(group);
  }
  if (unknown.length > 0 && !skipUnknown) throw new UsageError(remedy(unknown));
  return { users, groups, unknown };
}

export interface Wanted {
  readonly allow: readonly string[];
  readonly allowGroups: readonly string[];
  readonly skipUnknown: boolean;
}

function remedy(unknown: readonly string[]): string {
  const make = unknown.map((entry) => {
    const [kind, name] = entry.split(" ");
    return `${kind}add --system ${name}`;
  });
  const cloudInit = unknown.includes("user cloud-init")
    ? "; cloud-init itself runs as root, which always may"
    : "";
  const first = make.join(", ");
  return `there is no ${unknown.join(", no ")}: leave it out, or first ${first}${cloudInit}`;
}

async function groupOf(name: string, ports: HardenPorts): Promise<Group | undefined> {
  const row = await rowOf("group", name, ports);
  const id = number(row?.[2]);
  if (row === undefined || id === undefined) {
    // A number needs no name: a container's group, perhaps.
    const bare = number(name);
    return bare === undefined ? undefined : { name, id: bare, members: [] };
  }
  const members: Account[] = [];
  for (const member of (row[3] ?? "").split(",").slice(0, MEMBERS_MAX)) {
    // A name in a group's list need not be anybody's.
    const uid = member === "" ? undefined : await idOf("passwd", member, ports);
    if (uid !== undefined) members.push({ name: member, id: uid });
  }
  return { name, id, members };
}

async function idOf(
  database: "passwd" | "group",
  name: string,
  ports: HardenPorts,
): Promise<number | undefined> {
  return number(name) ?? number((await rowOf(database, name, ports))?.[2]);
}

/** The fields of one row; `undefined` if there is none. */
async function rowOf(
  database: "passwd" | "group",
  name: string,
  ports: HardenPorts,
): Promise<readonly string[] | undefined> {
  // What stands in a group's list was not checked: it must not become an option of getent.
  if (name.startsWith("-") || /[:\n\0]/.test(name)) return undefined;
  const text = await databaseText(database, name, ports);
  const rows = text.split("\n").map((line) => line.split(":"));
  return rows.find((row) => row[0] === name || (number(name) !== undefined && row[2] === name));
}

async function databaseText(
  database: "passwd" | "group",
  name: string,
  ports: HardenPorts,
): Promise<string> {
  const file = (): string => ports.files.read(`/etc/${database}`) ?? "";
  if (ports.files.root !== "/") return file();
  try {
    return (await ports.exec(["getent", database, name])).stdout;
  } catch (error) {
    if (error instanceof ExecError && error.code === "PROGRAM_MISSING") return file();
    throw error;
  }
}

function number(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  return Number(text) <= ID_MAX ? Number(text) : undefined;
}
