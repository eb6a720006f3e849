/** Facts of a healthy virtual router, for tests of checks: each test changes what it is about. */

import type { Ip } from "../../model/address.ts";
import { CONDITIONS, type Condition, type ConditionCode } from "../../observe/conditions.ts";
import type { Spoken } from "../../platform/speak.ts";
import { NAMES } from "../../source/databag/files.ts";
import type { ListenTarget } from "../listeners.ts";
import type {
  Admin,
  Facts,
  RouterProcess,
  SourceFacts,
  SourceFile,
  StateDir,
  Status,
} from "./facts.ts";

/** The moment at which these facts are judged. */
export const NOW = Date.parse("2026-11-23T12:00:00Z");

export const LISTENING: readonly ListenTarget[] = [
  { plane: "metadata", host: "10.1.1.1" as Ip, port: 80 },
  { plane: "password", host: "10.1.1.1" as Ip, port: 8080 },
];

export function condition(code: ConditionCode, subject: string, detail = ""): Condition {
  return { code, subject, detail, since: NOW - 60_000, ...CONDITIONS[code] };
}

export function answering(
  changed: Partial<Extract<Admin, { kind: "answers" }>> = {},
  status: Partial<Status> = {},
): Admin {
  const said: Status = {
    pid: 100,
    source: "databag:/etc/cloudstack",
    ready: true,
    listening: LISTENING,
    bindings: 10,
    firewall: "none",
    ...status,
  };
  return { kind: "answers", status: said, ready: true, conditions: [], ...changed };
}

export function spoken(kind: Spoken["kind"], code = ""): Spoken {
  return { kind, code, answered: false, ms: 1 };
}

export function sourceWith(changed: Readonly<Record<string, SourceFile["state"]>>): SourceFacts {
  return {
    text: "databag:/etc/cloudstack",
    scheme: "databag",
    path: "/etc/cloudstack",
    fault: undefined,
    files: Object.values(NAMES).map((name) => ({
      name,
      path: `/etc/cloudstack/${name}`,
      state: changed[name] ?? "good",
      changed: NOW - 180_000,
    })),
  };
}

export function routerProcess(pid: number): RouterProcess {
  const argv = ["/usr/local/bin/frontdesk", "router", "--source", "databag:/etc/cloudstack"];
  return { pid, unit: "frontdesk-router.service", argv, folder: "/" };
}

export const STATE: StateDir = {
  uid: 0,
  mode: 0o700,
  writable: "yes",
  freeBytes: 2 ** 32,
  freeInodes: 100_000,
};

export function facts(changed: Partial<Facts> = {}): Facts {
  return {
    isRoot: true,
    now: NOW,
    systemd: { runs: true, hasUnit: true },
    admin: answering(),
    adminAt: "unix:/var/lib/frontdesk/run/admin.sock",
    adminFlags: [],
    stateDir: "/var/lib/frontdesk",
    state: STATE,
    sealKey: {
      path: "/var/lib/frontdesk/seal.key",
      isElsewhere: false,
      file: { uid: 0, mode: 0o600, bytes: 32 },
    },
    lock: { pid: 100, isAlive: true },
    source: sourceWith({}),
    holders: [],
    connects: LISTENING.map((target) => ({ target, spoken: spoken("open") })),
    addresses: [
      { device: "lo", address: "127.0.0.1" },
      { device: "eth0", address: "10.1.1.1" },
      { device: "eth0", address: "169.254.169.254" },
      { device: "eth1", address: "169.254.3.7" },
    ],
    guestSides: [
      { device: "eth0", address: "10.1.1.1", guest: "10.1.1.2" },
      { device: "eth0", address: "169.254.169.254", guest: "10.1.1.2" },
    ],
    ruleset: [],
    neighbours: { entries: 12, max: 1_024 },
    files: { pid: 100, max: 65_536, hard: 65_536, open: 30 },
    clockSynchronized: true,
    cpuRunsBun: true,
    routers: [routerProcess(100)],
    dnsmasq: undefined,
    ...changed,
  };
}
