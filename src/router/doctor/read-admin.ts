/** Whether a router answers at an admin listener, and what it says; else in which way not. */

import { lstat } from "node:fs/promises";
import type { Condition } from "../../observe/conditions.ts";
import { type AdminPlace, SILENT } from "../ask-socket.ts";
import type { ListenAddress } from "../http/rim.ts";
import type { Admin, Status } from "./facts.ts";
import type { DoctorPorts } from "./ports.ts";

export async function readAdmin(ports: DoctorPorts, at: ListenAddress): Promise<Admin> {
  if ("unix" in at) {
    const code = await lstat(at.unix).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code ?? "UNKNOWN",
    );
    if (code === "EACCES" || code === "EPERM") return { kind: "forbidden" };
    if (code !== undefined) return { kind: "absent" };
  }
  const place: AdminPlace = "unix" in at ? { socketPath: at.unix } : at;
  try {
    const [status, readyz, conditions] = await Promise.all(
      ["/status", "/readyz", "/conditions"].map((path) => ports.ask(place, path)),
    );
    return {
      kind: "answers",
      status: ownStatus(JSON.parse(status?.text ?? "")),
      ready: readyz?.status === 200,
      conditions: conditionsOf(JSON.parse(conditions?.text ?? "")),
    };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return { kind: "foreign" };
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM") return { kind: "forbidden" };
    return { kind: message === SILENT ? "silent" : "closed" };
  }
}

/** Of several routers under one program, the one of this network namespace. */
function ownStatus(said: unknown): Status {
  if (typeof said !== "object" || said === null || !("version" in said)) {
    throw new TypeError("not a status of ours");
  }
  const { namespaces } = said as { namespaces?: readonly (Status & { namespace: string })[] };
  if (!Array.isArray(namespaces)) return said as Status;
  return namespaces.find(({ namespace }) => namespace === "own") ?? {};
}

function conditionsOf(said: unknown): readonly Condition[] {
  if (!Array.isArray(said)) throw new TypeError("not conditions of ours");
  return said as readonly Condition[];
}
