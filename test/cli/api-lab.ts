/**
 * For the tests of the operator's commands: the operator API over a store in memory, and the
 * program that asks it.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { operatorApi } from "../../src/controller/api/app.ts";
import { openCredentials } from "../../src/controller/credentials.ts";
import { openApiListener } from "../../src/controller/http.ts";
import { openTokens } from "../../src/controller/tokens.ts";
import { parseRecord } from "../../src/model/record-parse.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { createLog } from "../../src/observe/log.ts";
import { MemoryStore } from "../../src/store/memory.ts";

const PROGRAM = [process.execPath, join(import.meta.dir, "../../src/cli/main.ts")];
export const LAB_NETWORK = { id: "204", cidrs: ["10.1.0.0/16"], dnsDomain: "lab.example" };

export interface Done {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Three instances in network 204, the last of them in 205 too, and one with a hostile name. */
export async function openApiLab() {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-operator-"));
  const store = new MemoryStore();
  /** Paths that were asked for. */
  const asked: string[] = [];
  const quiet = { onTrouble: () => {} };
  const credentials = await openCredentials({
    ...{ stateDir: folder, env: {}, isConfigured: false },
    ...quiet,
  });
  const own = async () => (await credentials.current()).token;
  const tokens = await openTokens({ path: join(folder, "tokens"), own, ...quiet });
  const log = createLog({ write: () => {} } as never, "error");
  const app = operatorApi({
    ...{ store, tokens, log, conditions: new Conditions(Date.now), now: Date.now },
    ...{ userDataMax: 32_768, readOnly: false, hint: () => {} },
  });
  const listen = { host: "127.0.0.1", port: 0 };
  const fetch = (request: Request, env: object) => {
    asked.push(new URL(request.url).pathname + new URL(request.url).search);
    return app.fetch(request, env);
  };
  const api = await openApiListener({ listen, fetch });

  async function put(network: string, id: string, name: string, address: string): Promise<void> {
    const nics = [{ addresses: [address], default: true }];
    const keys = [["instance-id", id]];
    const counts = { publicKeys: [], incarnation: 1, epoch: 1 };
    await store.put(parseRecord({ network, id, name, nics, keys, ...counts }));
  }

  function spawn(env: object, args: readonly string[]) {
    const given = { FRONTDESK_API_URL: api.url, FRONTDESK_STATE_DIR: folder, ...env };
    return Bun.spawn([...PROGRAM, ...args], {
      ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
      env: { ...process.env, NO_COLOR: "1", ...given },
    });
  }

  async function runWith(env: object, ...args: string[]): Promise<Done> {
    const child = spawn(env, args);
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, stdout, stderr };
  }

  await store.putNetworks([LAB_NETWORK]);
  for (let i = 0; i < 3; i++) await put("204", `i-${i}`, `web-0${i}`, `10.1.1.${i + 1}`);
  await put("205", "i-2", "web-02", "10.2.1.2");
  await put("204", "i-evil", "x\u202ey", "10.1.1.99");
  return {
    ...{ folder, store, asked, url: api.url, put, spawn, runWith },
    run: (...args: string[]): Promise<Done> => runWith({}, ...args),
    async close(): Promise<void> {
      await api.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
