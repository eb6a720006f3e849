/**
 * What the router's doctor knows when it judges. A fact that could not be learned is `undefined`,
 * which is not the same as "none": a check that needs it says so, and concludes nothing.
 */

import type { Condition } from "../../observe/conditions.ts";
import type { Ruleset } from "../../platform/firewall/model.ts";
import type { Holder } from "../../platform/port-holder.ts";
import type { Spoken } from "../../platform/speak.ts";
import type { DhcpRange } from "../dhcp-lines.ts";
import type { ListenTarget } from "../listeners.ts";

/** What a router that runs says of itself. */
export interface Status {
  readonly pid?: number;
  /** `databag:/etc/cloudstack`. */
  readonly source?: string;
  readonly ready?: boolean;
  /** Milliseconds since 1970; absent once the source has been read. */
  readonly loadingSince?: number;
  readonly listening?: readonly ListenTarget[];
  readonly bindings?: number;
  readonly firewall?: "kept" | "none";
}

export type Admin =
  | {
      readonly kind: "answers";
      readonly status: Status;
      readonly ready: boolean;
      readonly conditions: readonly Condition[];
    }
  /** No such socket; a socket without a listener; may not be opened; takes connections only. */
  | { readonly kind: "absent" | "closed" | "forbidden" | "silent" | "foreign" };

/** Where a router keeps its state. */
export interface StateDir {
  readonly uid: number;
  readonly mode: number;
  readonly writable: "yes" | "read-only" | "no";
  /** For who is not root. `undefined`: this file system has no such number. */
  readonly freeBytes: number | undefined;
  readonly freeInodes: number | undefined;
}

export interface SealKey {
  readonly path: string;
  /** Kept elsewhere, named by `--seal-key`. */
  readonly isElsewhere: boolean;
  /** Absent where there is no such file. */
  readonly file?: { readonly uid: number; readonly mode: number; readonly bytes: number };
}

export interface SourceFile {
  readonly name: string;
  readonly path: string;
  readonly state: "good" | "absent" | "unreadable" | "damaged";
  /** Milliseconds since 1970, of the last change; absent for a file that is not there. */
  readonly changed?: number;
}

export interface SourceFacts {
  readonly text: string;
  readonly scheme: string;
  readonly path: string;
  /** Why the place itself cannot be read, as the end of a sentence. */
  readonly fault: string | undefined;
  readonly files: readonly SourceFile[];
}

/** An address of this machine's own. */
export interface OwnAddress {
  readonly device: string;
  readonly address: string;
}

/** Where guests are: our address among them, the device, and an address that one may have. */
export interface GuestSide extends OwnAddress {
  readonly guest: string;
}

export interface Connect {
  readonly target: ListenTarget;
  readonly spoken: Spoken;
}

/** Who listens, and the unit of the service manager that it belongs to, if any. */
export interface PortHolder extends Holder {
  readonly unit: string | undefined;
}

/** A router of ours among this machine's processes, in this network namespace. */
export interface RouterProcess {
  readonly pid: number;
  /** The service manager's unit that it belongs to, if any. */
  readonly unit: string | undefined;
  /** How it was started, and where: what starts it again. */
  readonly argv: readonly string[];
  readonly folder: string | undefined;
  /** Absent where the kernel does not say, or nobody has to know: it is the only one. */
  readonly listening?: readonly Pick<Holder, "address" | "port">[];
}

export interface FileLimit {
  readonly pid: number;
  /** Descriptors that it may have, may give itself, and has. */
  readonly max: number;
  readonly hard: number;
  readonly open: number;
}

export interface Dnsmasq {
  /** Addresses that its hosts files give to `data-server`. */
  readonly dataServer: readonly string[];
  readonly ranges: readonly DhcpRange[];
  /** All lines of its configuration that give options. */
  readonly options: readonly string[];
}

export interface Facts {
  readonly isRoot: boolean;
  /** ms since 1970. */
  readonly now: number;
  /** Whether systemd runs this machine, and has our unit. */
  readonly systemd: { readonly runs: boolean; readonly hasUnit: boolean };
  readonly admin: Admin;
  /** `unix:PATH` or `ADDR:PORT`. */
  readonly adminAt: string;
  /** What must be said to reach it: nothing for the usual place. */
  readonly adminFlags: readonly string[];
  readonly stateDir: string;
  /** `absent`: there is none; `hidden`: this user may not look. */
  readonly state: StateDir | "absent" | "hidden";
  readonly sealKey: SealKey;
  readonly lock: { readonly pid: number; readonly isAlive: boolean } | undefined;
  /** `undefined`: nobody says what it is. */
  readonly source: SourceFacts | undefined;
  /** Who listens on the ports that a router has, or should have. */
  readonly holders: readonly PortHolder[];
  readonly connects: readonly Connect[];
  readonly addresses: readonly OwnAddress[];
  readonly guestSides: readonly GuestSide[];
  /** `undefined`: not root, or no tool to read it. */
  readonly ruleset: Ruleset | undefined;
  readonly neighbours: { readonly entries: number; readonly max: number } | undefined;
  readonly files: FileLimit | undefined;
  /** Whether the clock is set by the network; `undefined` where nobody tells. */
  readonly clockSynchronized: boolean | undefined;
  /** Whether the CPU has what the compiled program needs. */
  readonly cpuRunsBun: boolean | undefined;
  readonly routers: readonly RouterProcess[];
  readonly dnsmasq: Dnsmasq | undefined;
}
