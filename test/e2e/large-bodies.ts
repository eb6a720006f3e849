/**
 * Many instances with a mebibyte of user data each, in little memory.
 *
 * Goal: every guest gets its own user data whole, though all ask in one instant and begin to read
 * late, and all bodies together are many times what the router may use. Method: a router
 * is given the metadata by `apply` and ended, so that the bodies lie on its disk. It is started again
 * in a control group with 256 MiB; all guests ask at once, read nothing for two seconds, and compare
 * every byte.
 */

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeMemoryGroup } from "./cgroup.ts";
import { writeDatabags } from "./databags.ts";
import { onEnd } from "./leftovers.ts";
import { freePort } from "./loopback.ts";
import { until } from "./program.ts";
import { type Rim, type RouterOptions, startRouter } from "./router.ts";

const MIB = 1024 * 1024;
const MEMORY_MAX = 256 * MIB;
const ROUTER = "127.90.255.1";
/** Guests read nothing for this long: what they asked for has to be somewhere. ms. */
const SLOW_MS = 2_000;
/** The router closes what waits longer without a byte, and a client asks again. */
const TRIES_MAX = 10;
/** How long all bodies may take to the disk. ms. */
const MOVED_MS_MAX = 120_000;

export interface Outcome {
  /** Guests that got their user data, byte for byte. */
  readonly right: number;
  /** Guests that got anything else, but a close. */
  readonly wrong: number;
}

/** Plays it with `count` guests. Rejects if the router dies. */
export async function largeBodies(rim: Rim, count: number): Promise<Outcome> {
  // On a disk: what lies in a file system in memory would count as the router's.
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-large-"));
  onEnd(() => rmSync(folder, { recursive: true, force: true }));
  const group = makeMemoryGroup(MEMORY_MAX);
  if (group === undefined) throw new Error("there is no memory control group");
  const guests = Array.from({ length: count }, (_, index) => addressOf(index));
  const bags = join(folder, "bags");
  const instances = Object.fromEntries(guests.map((guest) => [guest, []]));
  writeDatabags(bags, { router: ROUTER, prefix: 16, instances });
  const port = await freePort(ROUTER);
  const state = join(folder, "state");
  const options = { rim, source: `databag:${bags}`, stateDir: state };
  const listen = [`${ROUTER}:${port}`];
  await fill({ ...options, listen }, guests);
  await using router = await startRouter({ ...options, listen, command: group.command });
  const readFrom = Date.now() + SLOW_MS;
  const got = await Promise.all(guests.map((guest) => ask({ guest, port, readFrom })));
  if ((await router.admin("/readyz")).status !== 200) throw new Error("the router is not ready");
  const right = got.filter((isRight) => isRight).length;
  return { right, wrong: count - right };
}

/** Gives a router all metadata, waits until the bodies are on the disk, and ends it. */
async function fill(options: RouterOptions, guests: readonly string[]): Promise<void> {
  await using router = await startRouter(options);
  for (const guest of guests) {
    const applied = await router.post("/apply", metadataCommand(guest));
    if (applied.status !== 200) throw new Error(`apply: ${applied.status} ${applied.body}`);
  }
  const files = (): number => readdirSync(options.stateDir, { recursive: true }).length;
  await until("bodies to be on the disk", MOVED_MS_MAX, () => files() >= guests.length);
}

function addressOf(index: number): string {
  return `127.90.${Math.floor(index / 250)}.${(index % 250) + 1}`;
}

function userDataOf(guest: string): Buffer {
  return Buffer.alloc(MIB, `user data of ${guest}\n`);
}

function metadataCommand(guest: string): string {
  return JSON.stringify({
    vm_ip_address: guest,
    vm_metadata: [
      ["userdata", "user-data", userDataOf(guest).toString("base64")],
      ["metadata", "instance-id", `id-of-${guest}`],
    ],
    type: "vmdata",
    delete_from_processed_cache: false,
  });
}

interface Asking {
  readonly guest: string;
  readonly port: number;
  readonly readFrom: number;
}

async function ask(asking: Asking): Promise<boolean> {
  for (let left = TRIES_MAX; left > 0; left--) {
    const reply = await askOnce(asking);
    if (reply !== undefined) return reply;
  }
  return false;
}

/** `undefined` if the connection ended before there was an answer. */
function askOnce({ guest, port, readFrom }: Asking): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ host: ROUTER, port, localAddress: guest });
    const chunks: Buffer[] = [];
    socket.on("connect", () => {
      socket.write("GET /latest/user-data HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      socket.pause();
      setTimeout(() => socket.resume(), Math.max(0, readFrom - Date.now()));
    });
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      const reply = Buffer.concat(chunks);
      if (reply.length === 0) return resolve(undefined);
      const end = reply.indexOf("\r\n\r\n");
      const isWhole = reply.toString("latin1", 0, 15) === "HTTP/1.1 200 OK";
      resolve(isWhole && reply.subarray(end + 4).equals(userDataOf(guest)));
    });
  });
}
