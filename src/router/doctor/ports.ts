/**
 * What the router's doctor needs of the world. Everything goes through one object, so that a test
 * may show it another machine. Nothing here writes.
 */

import { networkInterfaces } from "node:os";
import { type Exec, exec } from "../../platform/exec.ts";
import { type Holder, portHolders } from "../../platform/port-holder.ts";
import { type Place, type Spoken, speak } from "../../platform/speak.ts";
import { type AdminPlace, askAdmin } from "../ask-socket.ts";
import { CONNECT_MS } from "./limits.ts";

export interface DoctorPorts {
  readonly exec: Exec;
  readonly isRoot: boolean;
  now(): number;
  /** GET on an admin listener. Rejects when nobody answers. */
  ask(place: AdminPlace, path: string): Promise<{ readonly status: number; readonly text: string }>;
  /** Connects, says nothing, and goes. */
  connect(place: Place): Promise<Spoken>;
  holders(ports: readonly number[] | "all"): readonly Holder[];
  /** As `os.networkInterfaces`. */
  interfaces(): ReturnType<typeof networkInterfaces>;
}

export function systemPorts(): DoctorPorts {
  return {
    exec,
    isRoot: process.geteuid?.() === 0,
    now: Date.now,
    ask: (place, path) => askAdmin(place, { method: "GET", path }),
    connect: (place) => speak(exec, place, { bytes: "", timeoutMs: CONNECT_MS }),
    holders: portHolders,
    interfaces: networkInterfaces,
  };
}
