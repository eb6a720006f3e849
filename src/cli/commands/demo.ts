/**
 * `frontdesk demo`: a router on loopback with sample instances, and what to try with it.
 */

import { rmSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Ip } from "../../model/address.ts";
import { clean } from "../../model/clean.ts";
import { counted } from "../../model/count.ts";
import type { Access } from "../../observe/access-log.ts";
import type { Condition } from "../../observe/conditions.ts";
import type { Sink } from "../../observe/sink.ts";
import { openRouter } from "../../router/daemon.ts";
import { chooseRim } from "../../router/http/index.ts";
import { openAdminClient } from "../admin-client.ts";
import { type Command, EXIT } from "../command.ts";
import { API_LISTEN } from "../daemon-options.ts";
import { SAMPLES, sampleYaml } from "../demo/sample.ts";
import { TOPOLOGY_NAMES, type Topology, topologyFiles } from "../demo/topologies.ts";
import { type Guest, type Place, tries } from "../demo/tries.ts";
import type { Output } from "../output.ts";
import { LAB_PORTS } from "../router-settings.ts";
import { version } from "../version.ts";

const HOST = "127.0.0.1" as Ip;
/** How many ports to try when one is busy. */
const PORTS_TRIED = 50;
const DRAIN_MS = 500;
const SERVE_PORTS: readonly number[] = [
  ...Object.values(LAB_PORTS),
  Number(API_LISTEN.split(":").at(-1)),
];

/** The demo shows requests itself; what the router logs is on the admin socket as conditions. */
const QUIET: Sink = { write: () => {}, dropped: 0, flushSync: () => {} };

interface Material {
  readonly source: string;
  readonly edit: string;
  readonly guests: readonly Guest[];
  /** What CloudStack says as the demo begins; of a file nobody says anything. */
  readonly commands?: readonly string[];
}

export const demo: Command = {
  description: "Runs until Ctrl-C; leaves nothing behind. Guests are loopback addresses.",
  options: [
    {
      flags: "--topology <name>",
      summary: "serve the databags of a CloudStack topology instead of the sample file",
      choices: TOPOLOGY_NAMES,
    },
  ],
  examples: [
    ["frontdesk demo", "a dozen instances from a file that can be edited"],
    ["frontdesk demo --topology vpc", "what a VPC's router has on its disk"],
  ],
  async run({ options, out }) {
    const topology = options.string("topology") as Topology | undefined;
    const ended = new Promise<void>((resolve) => {
      // SIGHUP: the terminal was closed.
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => resolve());
    });
    const folder = await mkdtemp(join(tmpdir(), "frontdesk-demo-"));
    // Also where nobody reads on (`frontdesk demo | head`), and the program ends at once.
    const remove = (): void => rmSync(folder, { recursive: true, force: true });
    process.once("exit", remove);
    try {
      const material = await prepare(folder, topology);
      const admin = join(folder, "admin.sock");
      const port = await freePort(LAB_PORTS.metadata);
      const passwordPort = await freePort(LAB_PORTS.password, port);
      if (port !== LAB_PORTS.metadata) {
        out.note(`${HOST}:${LAB_PORTS.metadata} is busy: guests of this demo ask port ${port}`);
      }
      const router = await openRouter(
        {
          source: material.source,
          listen: [{ plane: "metadata", host: HOST, port }],
          passwordListen: [{ plane: "password", host: HOST, port: passwordPort }],
          admin: { unix: admin },
          stateDir: join(folder, "state"),
          hosts: "audit",
          hostNames: ["localhost"],
        },
        {
          rim: await chooseRim(process.env),
          sink: QUIET,
          logLevel: "silent",
          version: version(),
          onAccess: (access) => out.print(line(access, out)),
          onCondition: (condition, holds) => out.print(news(condition, holds, out)),
        },
      );
      try {
        await router.loaded;
        await handIn(`unix:${admin}`, material.commands ?? []);
        const place = { host: HOST, port, passwordPort, admin: `unix:${admin}` };
        tell(out, { material, place, topology });
        await ended;
        out.note("");
      } finally {
        await router.close(DRAIN_MS);
      }
    } finally {
      remove();
      process.off("exit", remove);
    }
    return EXIT.done;
  },
};

async function prepare(folder: string, topology: Topology | undefined): Promise<Material> {
  if (topology === undefined) {
    const path = join(folder, "instances.yaml");
    await writeFile(path, sampleYaml());
    return { source: `file:${path}`, edit: path, guests: SAMPLES };
  }
  const { files, guests, commands } = topologyFiles(topology);
  for (const [name, text] of files) await writeFile(join(folder, name), text);
  return { source: `databag:${folder}`, edit: join(folder, "vmdata.json"), guests, commands };
}

/** Tells the router what CloudStack would, the way CloudStack's own router would be told. */
async function handIn(admin: string, commands: readonly string[]): Promise<void> {
  using client = openAdminClient(admin);
  for (const command of commands) await client.post("/apply?name=demo", command);
}

interface Told {
  readonly material: Material;
  readonly place: Place;
  readonly topology: Topology | undefined;
}

function tell(out: Output, { material, place, topology }: Told): void {
  const { guests, edit } = material;
  const answered = guests.filter(({ unanswered }) => unanswered === undefined);
  const [, second] = answered;
  const what =
    topology === undefined
      ? counted(answered.length, "sample instance")
      : `${counted(answered.length, "instance")} of the ${topology} topology`;
  out.print(out.style("bold", `Frontdesk answers ${what}.`));
  out.print("\nTry, in another terminal:");
  for (const { command, about } of tries(guests, place, topology !== undefined)) {
    out.print(`  ${out.style("dim", `# ${about}`)}\n  ${out.style("cyan", command)}`);
  }
  out.print(`\nEdit ${out.style("cyan", edit)}\nand ask again: the change is there at once.`);
  if (process.platform === "darwin" && second !== undefined) {
    out.print("\nmacOS needs each other guest's address first:");
    out.print(`  sudo ifconfig lo0 alias ${second.address} up`);
  }
  out.print("\nRequests show here. Ctrl-C ends the demo.\n");
}

/** A condition, as a line among the requests: an edit that is wrong says so. */
function news({ title, detail }: Condition, holds: boolean, out: Output): string {
  const more = detail === "" ? "" : `: ${clean(detail)}`;
  const text = holds ? `${title}${more}` : `over: ${title}`;
  return `${timeNow()}  ${out.style(holds ? "yellow" : "green", text)}`;
}

const timeNow = (): string => new Date().toTimeString().slice(0, 8);

function line(access: Access, out: Output): string {
  const name = access.name ?? "nobody we know";
  const colour = access.status < 300 ? "green" : access.status < 400 ? "cyan" : "yellow";
  const time = timeNow();
  const who = `${clean(access.address).padEnd(15)} ${clean(name).padEnd(14)}`;
  const status = out.style(colour, String(access.status));
  return `${out.style("dim", time)} ${who} ${access.what.padEnd(16)} ${status}`;
}

/** Other than those that `frontdesk serve` takes by itself: it may be started next. */
async function freePort(wanted: number, taken?: number): Promise<number> {
  const others = [taken, ...SERVE_PORTS].filter((port) => port !== wanted);
  for (let port = wanted; port < wanted + PORTS_TRIED; port++) {
    if (!others.includes(port) && (await isFree(port))) return port;
  }
  return 0;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
