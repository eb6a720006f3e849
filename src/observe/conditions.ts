/**
 * What can be wrong, one line each: the table that `/conditions`, `/readyz`, the metrics, `doctor`
 * and the console all render. To add one, add a line.
 *
 * A condition is raised for a subject (a file, an address, a listener) and stays until it is
 * cleared. Raising it again is free and keeps the time of the first.
 */

import { CONTROLLER_CONDITIONS } from "./controller-conditions.ts";
import { STORE_CONDITIONS } from "./store-conditions.ts";

export type Severity = "error" | "warning" | "info";

export interface ConditionKind {
  readonly title: string;
  readonly severity: Severity;
  /** What the operator should do, as one sentence. */
  readonly advice: string;
  readonly where: "router" | "controller" | "guest";
}

export const CONDITIONS = {
  SOURCE_UNREADABLE: {
    title: "a source cannot be read; the last good state, if there was one, stays in force",
    severity: "error",
    advice: "check that the file exists and that this program may read it",
    where: "router",
  },
  SOURCE_MALFORMED: {
    title: "a source cannot be understood; the last good state, if there was one, stays in force",
    severity: "error",
    advice: "mend the file at the place that is named, or wait if it is being written",
    where: "router",
  },
  SOURCE_SHRANK: {
    title: "entries vanished from a databag while their leases live; they stay served",
    severity: "warning",
    advice: "restart the network in CloudStack with clean-up, so that the databag is written anew",
    where: "router",
  },
  LEASES_ABSENT: {
    title: "there is no lease data, so leases are not checked",
    severity: "warning",
    advice: "check dhcpentry.json; without it an address may answer for an instance that is gone",
    where: "router",
  },
  KEY_REFUSED: {
    title: "a metadata key has a name that is not served",
    severity: "warning",
    advice: "rename the key: letters, digits, dot, dash and underscore, 64 characters at most",
    where: "router",
  },
  VALUE_CUT: {
    title: "a host name has more than one line; it is cut at the first",
    severity: "warning",
    advice: "rename the instance in CloudStack",
    where: "router",
  },
  USER_DATA_INVALID: {
    title: "user data is not base64, so none is served",
    severity: "warning",
    advice: "set the user data of the instance again",
    where: "router",
  },
  METADATA_LATE: {
    title: "an address has a new MAC, but still the former instance's metadata; not answered",
    severity: "warning",
    advice: "start the instance again, so that CloudStack sends its metadata",
    where: "router",
  },
  ADDRESS_CONFLICT: {
    title: "two instances claim one address; neither is answered",
    severity: "error",
    advice: "give one of the instances that are named another address",
    where: "router",
  },
  NETWORKS_OVERLAP: {
    title: "several networks have the same addresses; nobody is answered there",
    severity: "error",
    advice: "start a router for each: --network ID, or networks with netns in --config",
    where: "router",
  },
  NETWORK_UNKNOWN: {
    title: "the store has no network that this router is told to serve",
    severity: "warning",
    advice: "correct --network or the id in --config; frontdesk networks lists the store's",
    where: "router",
  },
  ADDRESS_OUTSIDE: {
    title: "an instance has an address outside every network's range; it is not answered",
    severity: "warning",
    advice: "correct the address, or the range of the network",
    where: "router",
  },
  HOST_UNEXPECTED: {
    title: "guests asked with a Host header that is not one of this router's names",
    severity: "info",
    advice: "add the name to hostNames; or refuse such requests: hosts: enforce",
    where: "router",
  },
  LISTEN_FAILED: {
    title: "an address cannot be listened on; it is tried again",
    severity: "error",
    advice: "check that the address is this machine's and that no other program holds the port",
    where: "router",
  },
  STATE_UNWRITABLE: {
    title: "the state directory cannot be written; guests are served, changes are kept in memory",
    severity: "error",
    advice: "free space on the disk, or correct the directory's permissions",
    where: "router",
  },
  STATE_SET_ASIDE: {
    title: "saved state could not be opened and was set aside",
    severity: "warning",
    advice: "put back its seal key, or remove the file; reset passwords that waited",
    where: "router",
  },
  BODY_UNREADABLE: {
    title: "large user data cannot be read back from the disk; its guests get an error for it",
    severity: "error",
    advice: "check the disk; set the user data again, or restart the router, which reads it anew",
    where: "router",
  },
  PASSWORD_UNDELIVERABLE: {
    title: "a password cannot be delivered as it is, because the protocol reserves its text",
    severity: "error",
    advice: "reset the password to one without spaces at its ends, other than a reserved word",
    where: "router",
  },
  PASSWORD_OUTDATED: {
    title: "a password came for an instance that no longer has the address; it was dropped",
    severity: "warning",
    advice: "reset the password of the instance that has the address now, if it waits for one",
    where: "router",
  },
  MAC_MISMATCH: {
    title: "a guest asked from an address that is leased to another MAC address",
    severity: "warning",
    advice: "find who has that MAC address; set macEvidence to enforce to refuse it",
    where: "router",
  },
  PROXY_REFUSED: {
    title: "connections to a listener for bridges were closed without an answer",
    severity: "warning",
    advice: "add the bridge to trusted, start it with --proxy-protocol, or find who else connects",
    where: "router",
  },
  NETWORK_UNMATCHED: {
    title: "a network of the configuration is none that the source knows; nobody is in it",
    severity: "warning",
    advice: "correct its id or its ranges in the configuration file",
    where: "router",
  },
  ENFORCE_WITHOUT_FIREWALL: {
    title: "a network enforces MAC addresses, and this router keeps no firewall table to do so",
    severity: "warning",
    advice:
      "set firewall.manage: true, or see to it that frontdesk router firewall --apply was run",
    where: "router",
  },
  NEIGHBOURS_UNREADABLE: {
    title: "the kernel's neighbour table cannot be followed, so guests' MAC addresses are unknown",
    severity: "warning",
    advice: "install iproute2 (the program ip), or set macEvidence to off",
    where: "router",
  },
  FIREWALL_FAILED: {
    title: "the router's own firewall table cannot be kept as it should be",
    severity: "error",
    advice: "install nftables and run the router as root, or set firewall.manage to false",
    where: "router",
  },
  NAMESPACE_DOWN: {
    title: "the router of a network namespace has ended; it is started again",
    severity: "error",
    advice: "see what it said last; check that the namespace exists (ip netns)",
    where: "router",
  },
  CONTROLLER_DOWN: {
    title: "the controller has ended; it is started again, and guests keep their last answers",
    severity: "error",
    advice: "see what it said last; nothing changes for guests until it runs",
    where: "router",
  },
  ...STORE_CONDITIONS,
  ...CONTROLLER_CONDITIONS,
  ROUTER_SLOW: {
    title: "the router answers itself slowly",
    severity: "warning",
    advice: "give the router more CPU, or look for what else uses it",
    where: "router",
  },
} as const satisfies Readonly<Record<string, ConditionKind>>;

export type ConditionCode = keyof typeof CONDITIONS;

export interface Condition extends ConditionKind {
  readonly code: ConditionCode;
  /** What it is about: a file, an address, a listener. Never a secret, never a guest's bytes. */
  readonly subject: string;
  /** What was seen, one sentence without secrets. */
  readonly detail: string;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** At most so many subjects for each code: more would say no more, and fill our memory. */
export const SUBJECTS_MAX = 100;

/** The conditions that hold now. */
export class Conditions {
  readonly #now: () => number;
  readonly #onChange: (condition: Condition, holds: boolean) => void;
  readonly #held = new Map<ConditionCode, Map<string, Condition>>();

  constructor(
    now: () => number,
    onChange: (condition: Condition, holds: boolean) => void = () => {},
  ) {
    this.#now = now;
    this.#onChange = onChange;
  }

  raise(code: ConditionCode, subject: string, detail = ""): void {
    let subjects = this.#held.get(code);
    if (subjects === undefined) {
      subjects = new Map();
      this.#held.set(code, subjects);
    }
    const held = subjects.get(subject);
    if (held === undefined && subjects.size >= SUBJECTS_MAX) return;
    if (held?.detail === detail) return;
    const since = held?.since ?? this.#now();
    const condition = { code, subject, detail, since, ...CONDITIONS[code] };
    subjects.set(subject, condition);
    if (held === undefined) this.#onChange(condition, true);
  }

  clear(code: ConditionCode, subject: string): void {
    const subjects = this.#held.get(code);
    const held = subjects?.get(subject);
    if (subjects === undefined || held === undefined) return;
    subjects.delete(subject);
    if (subjects.size === 0) this.#held.delete(code);
    this.#onChange(held, false);
  }

  /** All that hold, most severe first, then oldest first. */
  list(): readonly Condition[] {
    const rank = { error: 0, warning: 1, info: 2 };
    return [...this.#held.values()]
      .flatMap((subjects) => [...subjects.values()])
      .sort((a, b) => rank[a.severity] - rank[b.severity] || a.since - b.since);
  }

  /** How many subjects a code has, 100 at most. */
  count(code: ConditionCode): number {
    return this.#held.get(code)?.size ?? 0;
  }
}
