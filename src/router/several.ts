/**
 * Several routers under one program, with one admin view: see `supervisor.ts`.
 */

import { Conditions } from "../observe/conditions.ts";
import { createLog } from "../observe/log.ts";
import { listenAdmin } from "./admin-socket.ts";
import { askSocket } from "./ask-socket.ts";
import { type Router, type RouterPorts, tell } from "./daemon.ts";
import type { ListenAddress } from "./http/rim.ts";
import { membersAdminHandler } from "./members-admin.ts";
import { type MemberSettings, Supervisor } from "./supervisor.ts";

/** By then what only the start needs has run. ms. */
const SETTLED_MS = 3000;

export interface SeveralSettings {
  readonly admin: ListenAddress;
  readonly members: readonly MemberSettings[];
}

/** @throws {ListenError | ConfigError} if the admin listener cannot be had. */
export async function openSeveral(
  { admin: at, members }: SeveralSettings,
  { rim, sink, logLevel, version }: RouterPorts,
): Promise<Pick<Router, "loaded" | "reload" | "close">> {
  const log = createLog(sink, logLevel);
  const conditions = new Conditions(Date.now, (condition, holds) => tell(log, condition, holds));
  let supervisor: Supervisor | undefined;
  const admin = await listenAdmin(at, rim, {
    guestHosts: "auto",
    handler: membersAdminHandler({
      ...{ members, ask: askSocket, conditions, version },
      status: () => supervisor?.status ?? [],
    }),
  });
  log.info({ version, namespaces: members.map(({ name }) => name) }, "routers starting");
  const started = new Supervisor(members, { conditions, log });
  supervisor = started;
  const settled = setTimeout(() => rim.releaseCode?.(), SETTLED_MS);
  settled.unref();
  return {
    loaded: Promise.resolve(),
    reload: async () => started.reload(),
    async close(graceMs) {
      clearTimeout(settled);
      log.info("draining");
      await started.close(graceMs);
      await admin.close(0);
      log.info("stopped");
    },
  };
}
