/**
 * Guests that read slowly do not keep others from their large bodies, on each rim and with real
 * connections. What the rule is, and its corner cases, is tested with the class that has it.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { connect } from "node:net";
import { join } from "node:path";
import { HELD_BYTES_MAX, TURN_MS_PER_MIB } from "../../src/router/http/shared-body.ts";
import { bundleServer, RUNTIMES, type Runtime, removeBundle, start } from "./runtimes.ts";

const MIB = 1024 * 1024;

/** A turn, the 4 s in which Bun closes a connection, and what a loaded machine needs. ms. */
const SERVED_WITHIN_MS = TURN_MS_PER_MIB + 4_000 + 5_000;

/** How long cloud-init waits for a reply before it tries again. ms. */
const TRY_MS = 5_000;

const HAS_PYTHON = spawnSync("python3", ["--version"]).status === 0;
if (!HAS_PYTHON) console.log("skipped: slow readers on real connections need python3");

beforeAll(bundleServer);
afterAll(removeBundle);

// All runtimes at once: most of it is waiting.
test.skipIf(!HAS_PYTHON)(
  "a guest is served though slow readers have taken all room",
  async () => {
    const present = RUNTIMES.filter(({ missing }) => !missing);
    const served = await Promise.all(present.map(async (runtime) => await check(runtime)));
    expect(served).toEqual(present.map(({ name }) => `${name}, served, served`));
  },
  60_000,
);

async function check(runtime: Runtime): Promise<string> {
  const server = await start(runtime);
  const count = HELD_BYTES_MAX / MIB;
  const argv = ["python3", join(import.meta.dir, "slow-readers.py"), `${server.port}`, `${count}`];
  const slow = Bun.spawn(argv, { stdout: "pipe" });
  try {
    await slow.stdout.getReader().read();
    const { port } = server;
    const began = performance.now();
    const isInTime = () => performance.now() - began < SERVED_WITHIN_MS;
    const patient = askOnce(port, "/large/one", SERVED_WITHIN_MS);
    const small = await server.ask("GET /text HTTP/1.1\r\nHost: x\r\n\r\n");
    expect([small.status, performance.now() - began < TRY_MS]).toEqual([200, true]);
    let tries = 0;
    for (let isServed = false; !isServed && isInTime(); tries++) {
      isServed = await askOnce(port, "/large/two", TRY_MS);
    }
    expect(tries).toBeGreaterThan(1);
    const outcomes = [await patient, isInTime()].map((is) => (is ? "served" : "not served"));
    return [runtime.name, ...outcomes].join(", ");
  } finally {
    slow.kill();
    server.signal("SIGKILL");
    await server.stop();
  }
}

/** Whether a body comes whole, and its own, before the guest has had enough. */
function askOnce(port: number, path: string, patienceMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    const socket = connect({ host: "127.0.0.1", port });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const patience = setTimeout(() => socket.destroy(), patienceMs);
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(patience);
      const body = Buffer.concat(chunks).subarray(-MIB);
      const own = path.charCodeAt(path.length - 1);
      resolve(body.length === MIB && body.every((byte) => byte === own));
    });
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= Buffer.concat(chunks.slice(0, 1)).indexOf("\r\n\r\n") + 4 + MIB)
        socket.destroy();
    });
  });
}
