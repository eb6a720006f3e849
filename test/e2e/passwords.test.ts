/**
 * A thousand passwords, while the router is killed and started again.
 *
 * Goal: no password is lost, none reaches another guest, and none is delivered once its
 * acknowledgement was answered.
 * Method: twenty writers at a time hand in resets, by turns through `apply` (its program, or the
 * request that it makes) and through CloudStack's own POST, and try again until they are told that it is done. Twenty guests at a time read,
 * acknowledge and read again. Meanwhile the router gets SIGKILL again and again.
 */

import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { type Entry, writeDatabags } from "./databags.ts";
import { scratchFolder } from "./leftovers.ts";
import { freePort, loopbackMissing } from "./loopback.ts";
import { RIMS, type Rim, type Router, startRouter } from "./router.ts";

const ROUTER = "127.9.0.1";
const TOKEN = "fedcba9876543210fedcba9876543210";

const PASSWORDS = 1_000;
const AT_A_TIME = 20;
const BATCH = 10;
/** Which batches go by POST; of the others, so many are handed to the program. */
const isPosted = (nth: number): boolean => nth % 2 === 1;
const byProgram = (nth: number): boolean => nth % 10 === 0;
const KILLS_MIN = 5;
/** How long a router lives before it is killed. */
const LIFE_MS = 500;
const PAUSE_MS = 50;
/**
 * A guest waits so long for the disk and no longer. What is answered later than that need not be
 * durable, as the router says by a condition; then a guest here acknowledges again.
 */
const DURABLE_WAIT_MS = 100;
const REQUEST_MS_MAX = 3_000;
const TEST_MS_MAX = 120_000;

const lacking = loopbackMissing();

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `1,000 passwords survive a router that is killed, on the ${rim} rim`,
    () => check(rim),
    TEST_MS_MAX,
  );
}

async function check(rim: Rim): Promise<void> {
  // SIGKILL loses nothing that a file was given, so a disk would add only its slowness.
  using folder = scratchFolder("passwords", "in memory");
  await using desk = await openDesk(rim, folder.path);
  const written = new Set<number>();
  const all = Array.from({ length: PASSWORDS }, (_, index) => index);
  const batches = Array.from({ length: PASSWORDS / BATCH }, (_, batch) =>
    all.slice(batch * BATCH, (batch + 1) * BATCH),
  );
  let busy = true;
  const killing = (async () => {
    while (busy || desk.kills() < KILLS_MIN) {
      await pause(LIFE_MS);
      await desk.killAndRestart();
    }
  })();
  const handing = Promise.all([
    inParallel(batches, AT_A_TIME, async (batch, nth) => {
      if (isPosted(nth)) await handInByPost(desk, batch);
      else if (byProgram(nth)) await handInByProgram(desk, batch);
      else await handInByApply(desk, batch);
      for (const index of batch) written.add(index);
    }),
    inParallel(all, AT_A_TIME, (index) => liveAsGuest({ desk, index }, () => written.has(index))),
  ]).finally(() => {
    busy = false;
  });
  killing.catch(() => desk.giveUp());
  // Both must have ended before the desk is closed, whatever became of them.
  for (const outcome of await Promise.allSettled([killing, handing])) {
    if (outcome.status === "rejected") throw outcome.reason;
  }
  // A last look: what was acknowledged stays so, whatever router answers.
  await inParallel(all, AT_A_TIME, async (index) => {
    expect({ index, last: await read(desk, index) }).toEqual({ index, last: "saved_password" });
  });
  expect(desk.kills()).toBeGreaterThanOrEqual(KILLS_MIN);
}

interface Guest {
  readonly desk: Desk;
  readonly index: number;
}

/** One guest's whole story. `due` says whether the reset was confirmed to its writer. */
async function liveAsGuest(guest: Guest, due: () => boolean): Promise<void> {
  const { desk, index } = guest;
  const own = passwordOf(index);
  for (;;) {
    const sure = due();
    const got = await read(desk, index);
    // A guest boots when its reset is done. Before that, what it reads may die with the router.
    if (got === own && sure) break;
    expect({ index, got }).toEqual({ index, got: got === own ? own : "saved_password" });
    expect({ index, lost: sure }).toEqual({ index, lost: false });
    await pause(PAUSE_MS);
  }
  while (!(await acknowledge(guest))) await desk.retry();
  expect({ index, again: await read(desk, index) }).toEqual({ index, again: "saved_password" });
  // CloudStack may send a reset twice; it is delivered once.
  if (index % 10 === 0) {
    await handInByPost(desk, [index]);
    expect({ index, twice: await read(desk, index) }).toEqual({ index, twice: "saved_password" });
  }
}

/** Whether the acknowledgement was answered, and so fast that it must be durable. */
async function acknowledge(guest: Guest): Promise<boolean> {
  const asked = performance.now();
  const got = await ask({ ...guest, verb: "saved_password" });
  return got === "saved_password" && performance.now() - asked < DURABLE_WAIT_MS;
}

/** Asks until there is an answer: a guest's client tries again too. */
async function read(desk: Desk, index: number): Promise<string> {
  for (;;) {
    const got = await ask({ desk, index, verb: "send_my_password" });
    if (got !== undefined) return got;
    await desk.retry();
  }
}

interface Question extends Guest {
  readonly verb: string;
}

const ask = ({ desk, index, verb }: Question): Promise<string | undefined> =>
  http(desk.port, { from: addressOf(index), method: "GET", verb, body: "" });

async function handInByPost(desk: Desk, batch: readonly number[]): Promise<void> {
  for (const index of batch) {
    const body = new URLSearchParams({
      ip: addressOf(index),
      password: passwordOf(index),
      token: TOKEN,
    }).toString();
    const hand = () =>
      http(desk.port, { from: ROUTER, method: "POST", verb: "save_password", body });
    while ((await hand()) === undefined) await desk.retry();
    await pause(PAUSE_MS);
  }
}

async function handInByProgram(desk: Desk, batch: readonly number[]): Promise<void> {
  const files = batch.map((index) => {
    const file = join(desk.commands, `vm_password.json.${index}`);
    writeFileSync(file, commandOf(index));
    return file;
  });
  while ((await desk.router().apply(...files)).code !== 0) await desk.retry();
}

async function handInByApply(desk: Desk, batch: readonly number[]): Promise<void> {
  for (const index of batch) {
    const path = `/apply?name=vm_password.json.${index}`;
    const hand = () =>
      desk
        .router()
        .post(path, commandOf(index))
        .catch(() => undefined);
    while ((await hand())?.status !== 200) await desk.retry();
    await pause(PAUSE_MS);
  }
}

const commandOf = (index: number): string =>
  JSON.stringify({
    ip_address: addressOf(index),
    password: passwordOf(index),
    type: "vmpassword",
    delete_from_processed_cache: false,
  });

interface Desk extends AsyncDisposable {
  /** Of the password server. */
  readonly port: number;
  /** Where command files are put. */
  readonly commands: string;
  router(): Router;
  kills(): number;
  /** A pause before the next try; rejects once there is no router to wait for. */
  retry(): Promise<void>;
  giveUp(): void;
  killAndRestart(): Promise<void>;
}

async function openDesk(rim: Rim, folder: string): Promise<Desk> {
  const databags = join(folder, "databags");
  const commands = join(folder, "commands");
  const tokenFile = join(folder, "token");
  mkdirSync(commands);
  writeFileSync(tokenFile, TOKEN, { mode: 0o600 });
  const addresses = Array.from({ length: PASSWORDS }, (_, index) => addressOf(index));
  const instances = Object.fromEntries(addresses.map((at, index) => [at, metadata(at, index)]));
  writeDatabags(databags, { router: ROUTER, prefix: 16, instances });
  const port = await freePort(ROUTER);
  const metadataPort = await freePort(ROUTER);
  const begin = (): Promise<Router> =>
    startRouter({
      rim,
      source: `databag:${databags}`,
      listen: [`${ROUTER}:${metadataPort}`],
      passwordListen: [`${ROUTER}:${port}`],
      stateDir: join(folder, "state"),
      more: ["--password-token-file", tokenFile],
    });
  let router = await begin();
  let kills = 0;
  let over = false;
  return {
    port,
    commands,
    router: () => router,
    kills: () => kills,
    async retry() {
      await pause(PAUSE_MS);
      if (over) throw new Error("the router does not come back");
    },
    giveUp() {
      over = true;
    },
    async killAndRestart() {
      router.program.signal("SIGKILL");
      await router.program.ended;
      kills += 1;
      router = await begin();
    },
    [Symbol.asyncDispose]: () => router[Symbol.asyncDispose](),
  };
}

function metadata(address: string, index: number): readonly Entry[] {
  const id = `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
  return [
    ["metadata", "local-ipv4", address],
    ["metadata", "local-hostname", `host-${index}`],
    ["metadata", "instance-id", id],
    ["metadata", "vm-id", id],
  ];
}

const addressOf = (index: number): string =>
  `127.9.${1 + Math.floor(index / 250)}.${1 + (index % 250)}`;
const passwordOf = (index: number): string => `pw-${index}-${(index * 7919) % 104729}`;

interface Sent {
  readonly from: string;
  readonly method: "GET" | "POST";
  readonly verb: string;
  readonly body: string;
}

/** One request on a connection of its own; `undefined` when no whole answer came back. */
function http(port: number, sent: Sent): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = {
      host: ROUTER,
      port,
      localAddress: sent.from,
      method: sent.method,
      agent: false,
      timeout: REQUEST_MS_MAX,
      headers: {
        DomU_Request: sent.verb,
        Connection: "close",
        ...(sent.method === "POST" && { "Content-Type": "application/x-www-form-urlencoded" }),
      },
    };
    const asking = request(options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => {
        resolve(answer.statusCode === 200 ? Buffer.concat(chunks).toString() : undefined);
      });
      answer.on("error", () => resolve(undefined));
      answer.on("aborted", () => resolve(undefined));
    });
    asking.on("timeout", () => asking.destroy());
    asking.on("error", () => resolve(undefined));
    asking.end(sent.body);
  });
}

/** Works off `items` with at most `width` under way. */
async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T, nth: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const nth = next;
      next += 1;
      await work(items[nth] as T, nth);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
