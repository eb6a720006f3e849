/**
 * What a controller's look at a whole cloud costs: the first one, which writes every record, and
 * one that finds ten changes.
 *
 * The cloud is in this process, answers as CloudStack does, 500 a page, and checks signatures; its
 * CPU time is not the controller's. Time on the clock has the cloud's share in it.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fill, instance, nic } from "../../src/source/cloudstack/example.ts";
import { FakeApi, KEYS } from "../../src/source/cloudstack/testing.ts";
import { type Bench, INSTANCES } from "../bench.ts";
import { program } from "../peers/frontdesk.ts";
import { launch, pinned, SERVER_CPU } from "../process.ts";
import { median, worst } from "../stats.ts";

/** What an instance has in the middle. Bytes. */
const USER_DATA_BYTES = 1024;
const CHANGES = 10;
const LOOKS_AGAIN = 4;
/** Between two looks: so short that nobody waits long, and longer than one takes. s. */
const POLL_SECONDS = 3;
const WAIT_MS_MAX = 120_000;
const KIB_PER_MIB = 1024;

export interface ReconcileFigures {
  readonly first: { readonly ms: number; readonly cpuMs: number };
  readonly again: { readonly ms: number; readonly cpuMs: number };
  /** Of a look that found ten changes, the most: must be ten. */
  readonly written: number;
  /** The most that the controller ever had, resident. */
  readonly rssMiB: number;
  readonly instances: number;
}

export async function measureReconcile(bench: Bench): Promise<ReconcileFigures> {
  const rounds: ReconcileFigures[] = [];
  for (let round = 1; round <= bench.scale.rounds; round++) {
    bench.say(`reconcile: round ${round} of ${bench.scale.rounds}`);
    rounds.push(await measureRound(bench, round));
  }
  const middle = (pick: (one: ReconcileFigures) => number): number =>
    median(rounds.map(pick)) ?? Number.NaN;
  return {
    first: { ms: middle(({ first }) => first.ms), cpuMs: middle(({ first }) => first.cpuMs) },
    again: { ms: middle(({ again }) => again.ms), cpuMs: middle(({ again }) => again.cpuMs) },
    written: worst(rounds.map(({ written }) => written)) ?? Number.NaN,
    rssMiB: worst(rounds.map(({ rssMiB }) => rssMiB)) ?? Number.NaN,
    instances: INSTANCES,
  };
}

interface Status {
  readonly looks: number;
  readonly lastMs: number;
  readonly written: number;
}

async function measureRound(bench: Bench, round: number): Promise<ReconcileFigures> {
  const home = join(bench.directory, `reconcile-${round}`);
  mkdirSync(home, { mode: 0o700 });
  await using api = await makeCloud();
  const keys = join(home, "keys.env");
  const lines = [`FRONTDESK_API_KEY=${KEYS.apiKey}`, `FRONTDESK_SECRET_KEY=${KEYS.secretKey}`];
  writeFileSync(keys, `${lines.join("\n")}\n`, { mode: 0o600 });
  const socket = join(home, "admin.sock");
  const argv = [
    ...["env", "BUN_JSC_useFTLJIT=0", ...program("bun", bench.site), "controller"],
    ...["--source", `cloudstack:${api.url}`, "--credentials-file", keys],
    ...["--state-dir", join(home, "state"), "--admin-listen", `unix:${socket}`],
    ...["--poll-seconds", String(POLL_SECONDS)],
  ];
  try {
    await using running = launch(pinned(SERVER_CPU, argv), join(home, "log"));
    const looked = async (count: number): Promise<Status & { readonly cpuMs: number }> => {
      const deadline = Date.now() + WAIT_MS_MAX;
      for (;;) {
        const status = await ask(socket);
        if ((status?.looks ?? 0) >= count) {
          return { ...(status as Status), cpuMs: running.cpuUs() / 1000 };
        }
        if (!running.alive() || Date.now() > deadline) {
          throw new Error(`the controller did not look:\n${readFileSync(join(home, "log"))}`);
        }
        await sleep(10);
      }
    };
    const first = await looked(1);
    const again: (ReconcileFigures["again"] & { readonly written: number })[] = [];
    let last = first;
    for (let look = 0; look < LOOKS_AGAIN; look++) {
      rename(api, look);
      const next = await looked(last.looks + 1);
      const written = next.written - last.written;
      again.push({ ms: next.lastMs, cpuMs: next.cpuMs - last.cpuMs, written });
      last = next;
    }
    const status = readFileSync(`/proc/${running.pid}/status`, "utf8");
    const middle = (pick: (one: (typeof again)[number]) => number): number =>
      median(again.map(pick)) ?? Number.NaN;
    return {
      first: { ms: first.lastMs, cpuMs: first.cpuMs },
      again: { ms: middle(({ ms }) => ms), cpuMs: middle(({ cpuMs }) => cpuMs) },
      written: worst(again.map(({ written }) => written)) ?? Number.NaN,
      rssMiB: Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / KIB_PER_MIB,
      instances: INSTANCES,
    };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

async function makeCloud(): Promise<FakeApi> {
  const api = await FakeApi.open();
  fill(api.cloud);
  for (let n = 0; n < INSTANCES; n++) {
    const id = `${String(n).padStart(8, "0")}-3c2b-4a19-8e77-0f1e2d3c4b5a`;
    const address = `10.1.${n >> 8}.${n & 255}`;
    api.cloud.instances.push(instance(id, { nic: [nic("net-isolated", address)] }));
    api.cloud.volumes.push({ id: `disk-${n}`, virtualmachineid: id, state: "Ready" });
    const text = `#cloud-config\n# ${id}\n`.padEnd(USER_DATA_BYTES, "#");
    api.cloud.userData.set(id, Buffer.from(text).toString("base64"));
  }
  return api;
}

function rename({ cloud }: FakeApi, look: number): void {
  for (let change = 0; change < CHANGES; change++) {
    const at = (change * Math.floor(INSTANCES / CHANGES) + look) % INSTANCES;
    cloud.instances[at] = { ...cloud.instances[at], name: `renamed-${look}` };
  }
}

/** The controller's own word; nothing while it starts. */
function ask(socketPath: string): Promise<Status | undefined> {
  return new Promise((resolve) => {
    const request = get({ socketPath, path: "/status" }, async (response) => {
      let text = "";
      for await (const chunk of response) text += String(chunk);
      resolve(JSON.parse(text) as Status);
    });
    request.on("error", () => resolve(undefined));
  });
}
