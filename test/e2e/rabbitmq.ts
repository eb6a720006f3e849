/**
 * Debian's RabbitMQ server for a test: on loopback alone, with a node name, a data directory, a
 * port mapper and ports of its own. No service is started, and nothing of it is left.
 */

import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { onEnd, scratchFolder } from "./leftovers.ts";
import { type Program, start } from "./program.ts";

const SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl";
export const USER = { username: "frontdesk", password: "EXAMPLE-pass" };

/** A start takes five to ten seconds, and longer where others work beside. ms. */
const START_MS_MAX = 90_000;

export interface RabbitServer extends AsyncDisposable {
  readonly url: URL;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** `rabbitmqctl` of this server. */
  control(...args: string[]): Promise<string>;
}

export async function startRabbit(): Promise<RabbitServer> {
  const folder = scratchFolder("rabbitmq");
  const dir = folder.path;
  const [port, dist, mapper] = [await freePort(), await freePort(), await freePort()];
  const config = [
    `listeners.tcp.1 = 127.0.0.1:${port}`,
    `default_user = ${USER.username}`,
    `default_pass = ${USER.password}`,
    "log.console = true",
    "log.console.level = warning",
  ];
  writeFileSync(join(dir, "rabbitmq.conf"), `${config.join("\n")}\n`);
  mkdirSync(join(dir, "log"));
  const env = {
    HOME: dir,
    ERL_EPMD_PORT: String(mapper),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    RABBITMQ_NODENAME: `fdlab${process.pid}@localhost`,
    RABBITMQ_DIST_PORT: String(dist),
    RABBITMQ_MNESIA_BASE: join(dir, "mnesia"),
    RABBITMQ_LOG_BASE: join(dir, "log"),
    RABBITMQ_CONFIG_FILE: join(dir, "rabbitmq.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, "plugins"),
    RABBITMQ_PID_FILE: join(dir, "pid"),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
  };
  const epmd = start(["epmd", "-port", String(mapper), "-address", "127.0.0.1"], { env });
  let server: Program | undefined;
  // The script is the parent of the server, and ends after it.
  const signal = (name: NodeJS.Signals): void => {
    try {
      if (server !== undefined) process.kill(Number(readFileSync(join(dir, "pid"), "utf8")), name);
    } catch {} // It has ended, or never began.
  };
  onEnd(() => signal("SIGKILL"));
  const begin = async (): Promise<void> => {
    server = start([SERVER], { env });
    await server.says(/completed with \d+ plugins/, START_MS_MAX);
  };
  const stop = async (): Promise<void> => {
    signal("SIGTERM");
    const timer = setTimeout(() => signal("SIGKILL"), 10_000);
    await server?.ended;
    clearTimeout(timer);
    server = undefined;
  };
  await begin();
  return {
    url: new URL(`amqp://127.0.0.1:${port}`),
    start: begin,
    stop,
    async control(...args) {
      const argv = ["--quiet", ...args];
      const { stdout } = await promisify(execFile)(CONTROL, argv, {
        env: { ...process.env, ...env },
        timeout: START_MS_MAX,
      });
      return stdout;
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await epmd[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Why these tests cannot run here, for `test.skipIf`. */
export function rabbitMissing(has: (tool: string) => boolean): string | undefined {
  const reason =
    process.getuid?.() !== 0
      ? "a RabbitMQ server of one's own needs root"
      : has("rabbitmqctl") && has("epmd")
        ? undefined
        : "the program rabbitmq-server is not installed";
  if (reason !== undefined) console.warn(`skipped: ${reason}`);
  return reason;
}
