/**
 * What `harden` found and did, for programs as it is, for people as lines.
 */

import type { Account, Group } from "./accounts.ts";
import type { Script } from "./backend.ts";
import type { Guarded } from "./endpoints.ts";
import type { BackendName, HardenMode } from "./options.ts";

export interface HardenedFile {
  readonly path: string;
  readonly action: "write" | "remove" | "keep";
  /** What it shall hold; absent when it is removed. */
  readonly text?: string;
}

export interface HardenResult {
  readonly format: 1;
  readonly mode: HardenMode;
  readonly backend: { readonly name: BackendName; readonly title: string; readonly why: string };
  readonly users: readonly Account[];
  readonly groups: readonly Group[];
  readonly endpoints: readonly Guarded[];
  readonly ports: readonly number[];
  /** What the firewall's program is given: by `apply`, or would be. */
  readonly scripts: readonly Script[];
  readonly files: readonly HardenedFile[];
  /** Whether the rules are in force now; `undefined` when only root could tell. */
  readonly inForce: boolean | undefined;
  /** Whether this run changed anything. */
  readonly changed: boolean;
  /** What is not as it should be, a sentence each; `check` ends with 3 if there is any. */
  readonly findings: readonly string[];
  readonly notes: readonly string[];
  readonly notCovered: readonly string[];
  /** The exit code. */
  readonly code: 0 | 3;
}

/** What no rule of ours can refuse. */
export const NOT_COVERED: readonly string[] = [
  "root, and whoever becomes root: it may ask, and it may remove the rules",
  "programs of an allowed user: one that fetches URLs for strangers fetches these too",
  "a container in the host's network that runs as root or as an allowed user",
  "containers with a way of their own to the network: macvlan, ipvlan, a passed-through card",
  "containers on a bridge that the router is on too, unless bridge-nf-call-iptables is 1",
  "raw packets (CAP_NET_RAW, AF_PACKET)",
  "a connection that an allowed program opened and passed on",
  "what lies here already: cloud-init's files, a config drive, a cache that others may read",
  "other ports than those shown, and an address of the router that is not found here",
];

/** The lines of the report. Holds no character that a terminal would act on. */
export function renderHarden(result: HardenResult): readonly string[] {
  const lines = result.mode === "remove" ? removal(result) : state(result);
  return lines.map((line) => line.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?"));
}

function removal({ changed, files, backend }: HardenResult): string[] {
  if (!changed) return ["nothing to remove: no rule, unit or pin of ours is here"];
  const removed = files.filter(({ action }) => action !== "keep");
  return [
    `removed: the rules (${backend.title})`,
    ...removed.map(
      ({ path, action }) => `${action === "remove" ? "removed" : "restored"}: ${path}`,
    ),
  ];
}

const IN_FORCE = { true: "yes", false: "no", undefined: "unknown: only root can see" } as const;

function state(result: HardenResult): string[] {
  const { backend, users, groups, endpoints, ports, mode } = result;
  const named = ({ name, id }: Account): string => (name === `${id}` ? name : `${name} (${id})`);
  const group = (one: Group): string =>
    `${named(one)}${one.members.length > 0 ? `: ${one.members.map(named).join(", ")}` : ""}`;
  return [
    `firewall   ${backend.title}: ${backend.why}`,
    `may ask    ${users.map(named).join(", ")}`,
    ...groups.map((one) => `           group ${group(one)}`),
    ...endpoints.map(({ address, via, source }, index) => {
      const label = index === 0 ? "guarded  " : "         ";
      return `${label}  ${address}  ${via}${source === undefined ? "" : `, ${source}`}`;
    }),
    `ports      ${ports.join(", ")}`,
    `in force   ${IN_FORCE[`${result.inForce}`]}`,
    ...(mode === "check" ? [] : plan(result)),
    ...result.findings.map((text) => `finding    ${text}`),
    ...result.notes.map((text) => `note       ${text}`),
    ...(mode === "check"
      ? []
      : ["", "not covered:", ...result.notCovered.map((text) => `  - ${text}`)]),
    ...ending(result),
  ];
}

function plan({ scripts, files, mode }: HardenResult): string[] {
  const shown = mode === "show" ? files : files.filter(({ action }) => action !== "keep");
  return [
    ...scripts.flatMap(({ reader, text }) => ["", `${reader}:`, ...indented(text)]),
    ...shown.flatMap(({ path, action, text }) => [
      "",
      `${path} (${action === "keep" ? "as it should be" : action}):`,
      ...(action === "write" && text !== undefined ? indented(text) : []),
    ]),
    "",
  ];
}

function indented(text: string): string[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => `  ${line}`);
}

function ending({ mode, changed }: HardenResult): string[] {
  if (mode === "show") return ["", "nothing was changed; --apply does it"];
  if (mode === "apply") return ["", changed ? "done" : "done: nothing had to change"];
  return [];
}
