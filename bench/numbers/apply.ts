/**
 * From a command to the new answer, through the router's admin socket: what `frontdesk apply` does,
 * measured as the whole command (a program starts and ends) and as the router's own part (a client
 * that keeps its connection, as a management agent would).
 *
 * `apply` promises that the change is visible when it returns, so the time to the reply is the time
 * to the new answer. The guest asks right after each reply; an old answer then is counted.
 */

import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { Agent, type RequestOptions, request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { type Bench, makeSite, type Served, serve, settle } from "../bench.ts";
import { CHANGED_KEY, changed, type Guest, metadataCommand } from "../lab.ts";
import { epoll } from "../peers/epoll.ts";
import { adminSocket, program } from "../peers/frontdesk.ts";
import type { Peer } from "../peers/peer.ts";
import { LOAD_CPU, pinned, wallMs } from "../process.ts";
import {
  aftermath,
  type ChangeFigures,
  freshValue,
  guestInTurn,
  whileOtherAsks,
} from "./change.ts";

/** Between two changes, so that they are separate events. */
const PAUSE_MS = 50;
const COMMANDS = 3;
const COMMAND_MS_MAX = 60_000;

const run = promisify(execFile);

export interface ApplyFigures extends ChangeFigures {
  /** The whole command `frontdesk apply FILE`. */
  readonly commandMs: readonly number[];
  /** Changes whose reply came before the new answer: the promise broken. Must be 0. */
  readonly late: number;
  /** Commands that were refused, and the first refusal's reason. */
  readonly refused: number;
  readonly refusal?: string;
}

interface Reply {
  readonly status: number;
  readonly body: string;
}

function ask(options: RequestOptions, body?: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (chunk: string) => {
        text += chunk;
      });
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, body: text }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** The value that the guest gets now. */
async function answerTo(served: Served, guest: Guest): Promise<string> {
  const { body } = await ask({
    host: "127.0.0.1",
    port: served.port,
    localAddress: guest.address,
    path: `/latest/meta-data/${CHANGED_KEY}`,
    agent: false,
  });
  return body;
}

export async function measureApply(
  bench: Bench,
  options: { peer: Peer; instances: number; round: number },
): Promise<ApplyFigures> {
  const directory = `apply-${options.peer.name}-${options.instances}-${options.round}`;
  const home = join(bench.directory, directory);
  const site = makeSite(home, options.instances, {
    large: false,
    programs: bench.site.programs,
  });
  try {
    await using served = await serve(bench, options.peer, { directory, site });
    await settle(served);
    const [first] = site.guests;
    if (first === undefined) throw new Error("a site without guests");
    await using control = await serve(bench, epoll, { directory: "control" });
    const asking = { served, control, guest: first };
    const { value, waits } = await whileOtherAsks(bench, asking, () =>
      changeThroughSocket(served, site.guests, bench.scale.applyChanges),
    );
    const command = await changeThroughCommand(served, site.guests, home);
    const refusals = [...value.refusals, ...command.refusals];
    return {
      instances: options.instances,
      visibleMs: value.tookMs,
      writeMs: [],
      commandMs: command.tookMs,
      late: value.late + command.late,
      refused: refusals.length,
      ...(refusals[0] === undefined ? {} : { refusal: refusals[0] }),
      meanwhile: waits,
      ...(await aftermath(bench, { ...options, ...asking })),
    };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

interface Taken {
  readonly tookMs: number[];
  readonly late: number;
  readonly refusals: readonly string[];
}

async function changeThroughSocket(
  served: Served,
  guests: readonly Guest[],
  changes: number,
): Promise<Taken> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const tookMs: number[] = [];
  const refusals: string[] = [];
  let late = 0;
  try {
    // One more than asked for: the first opens the connection and is not counted.
    for (let turn = 0; turn <= changes; turn++) {
      const guest = guestInTurn(guests, turn);
      const value = freshValue();
      const text = metadataCommand(changed(guest, value));
      await sleep(PAUSE_MS);
      const begun = performance.now();
      const reply = await ask(
        {
          socketPath: adminSocket(served.place),
          path: `/apply?name=vm_metadata.json.bench-${turn}`,
          method: "POST",
          headers: { "Content-Type": "application/json", "Content-Length": text.length },
          agent,
        },
        text,
      );
      const tookNow = performance.now() - begun;
      if (reply.status !== 200) {
        refusals.push(`${reply.status} ${reply.body.trim()}`);
        continue;
      }
      if (turn > 0) tookMs.push(tookNow);
      if ((await answerTo(served, guest)) !== value) late++;
    }
  } finally {
    agent.destroy();
  }
  return { tookMs, late, refusals };
}

async function changeThroughCommand(
  served: Served,
  guests: readonly Guest[],
  home: string,
): Promise<Taken> {
  const folder = join(home, "commands");
  mkdirSync(folder, { recursive: true });
  const tookMs: number[] = [];
  const refusals: string[] = [];
  let late = 0;
  for (let turn = 0; turn < COMMANDS; turn++) {
    const guest = guestInTurn(guests, turn);
    const value = freshValue();
    const file = join(folder, `vm_metadata.json.bench-${turn}`);
    writeFileSync(file, metadataCommand(changed(guest, value)));
    const rim = served.peer.name === "node" ? "node" : "bun";
    const admin = ["--admin", `unix:${adminSocket(served.place)}`];
    const argv = pinned(LOAD_CPU, [...program(rim, served.place.site), "apply", file, ...admin]);
    const [name = "", ...args] = argv;
    const begun = wallMs();
    try {
      await run(name, args, { timeout: COMMAND_MS_MAX });
    } catch (error) {
      refusals.push(String((error as { stderr?: string }).stderr ?? error).trim());
      continue;
    }
    tookMs.push(wallMs() - begun);
    if ((await answerTo(served, guest)) !== value) late++;
  }
  return { tookMs, late, refusals };
}
