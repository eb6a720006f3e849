/**
 * A router in a namespace of its own, `frontdesk doctor` beside it, and the remedies that it prints,
 * run as they stand.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../src/observe/doctor/diagnose.ts";
import type { Finding } from "../../src/observe/doctor/finding.ts";
import { type Entry, writeDatabags } from "./databags.ts";
import { type Lab, LINK_LOCAL_ADDRESS, openLab, type Place, ROUTER_ADDRESS } from "./lab.ts";
import { onEnd } from "./leftovers.ts";
import { type Done, type Program, until } from "./program.ts";
import { frontdesk, type Router, type RouterOptions, startRouter } from "./router.ts";

export const SECRET = "s3cret-of-web-01";
const GUEST = "10.1.1.57";
/** A router that was mended has this long to say so. ms. */
const HEALTHY_MS_MAX = 15_000;
/** A doctor waits for a silent listener, and for tools; the machine may be busy. ms. */
const DOCTOR_MS_MAX = 30_000;

export interface Seen {
  readonly code: number;
  readonly report: Report;
}

export interface DoctorLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly place: Place;
  readonly bags: string;
  readonly stateDir: string;
  readonly socket: string;
  /** The router that was started last. */
  readonly router: Router;
  /** Starts one, and waits until it is ready. */
  start(options?: Partial<RouterOptions>): Promise<Router>;
  doctor(...more: readonly string[]): Promise<Seen>;
  /** The same, as people see it. */
  doctorText(): Promise<Done>;
  /** Runs a shell's line in the router's namespace. @throws {Error} unless it ends with 0. */
  sh(line: string): Promise<string>;
  /** Runs the commands of a remedy; one that starts a router keeps running. */
  mend(finding: Finding): Promise<void>;
  /** Asks until nothing needs attention. */
  healthy(): Promise<Seen>;
}

export async function openDoctorLab(): Promise<DoctorLab> {
  const lab = await openLab({ guests: [] });
  const { folder, router: place } = lab;
  const bags = join(folder, "cloudstack");
  const stateDir = join(folder, "state");
  const socket = join(stateDir, "admin.sock");
  const bin = join(folder, "bin");
  mkdirSync(bin);
  symlinkSync(join(import.meta.dirname, "../../bin/frontdesk"), join(bin, "frontdesk"));
  const entries: readonly Entry[] = [
    ["metadata", "instance-id", "i-1"],
    ["metadata", "local-hostname", "web-01"],
    ["userdata", "user-data", Buffer.from(SECRET).toString("base64")],
  ];
  writeDatabags(bags, { router: ROUTER_ADDRESS, prefix: 24, instances: { [GUEST]: entries } });
  const env = { PATH: `${bin}:${process.env.PATH}` };
  const running: AsyncDisposable[] = [];
  let router: Router | undefined;
  const at = ["--state-dir", stateDir, "--admin", `unix:${socket}`, "--source", `databag:${bags}`];
  const ask = async (...more: readonly string[]): Promise<Done> => {
    const { argv, env: rim } = frontdesk("bun", ["doctor", ...at, ...more]);
    return await place.run(argv, { env: { ...env, ...rim }, timeoutMs: DOCTOR_MS_MAX });
  };
  const made: DoctorLab = {
    ...{ lab, place, bags, stateDir, socket },
    get router() {
      if (router === undefined) throw new Error("no router was started");
      return router;
    },
    async start(options = {}) {
      const source = `databag:${bags}`;
      const usual = { rim: "bun", source, listen: ["auto"], stateDir, place } as const;
      router = await startRouter({ ...usual, ...options });
      running.push(router);
      return router;
    },
    async doctor(...more) {
      const { code, stdout, stderr } = await ask("--json", ...more);
      if (stderr !== "") throw new Error(stderr);
      return { code, report: JSON.parse(stdout.toString()) as Report };
    },
    doctorText: () => ask(),
    async sh(line) {
      const { code, stdout, stderr } = await place.run(["sh", "-c", line], { env });
      if (code !== 0) throw new Error(`${line}: exit ${code}\n${stdout}${stderr}`);
      return stdout.toString();
    },
    async mend(finding) {
      for (const command of finding.remedy) {
        if (!command.startsWith("frontdesk router --source")) await made.sh(command);
        else running.push(place.start(["sh", "-c", `exec ${command}`], { env }));
      }
    },
    async healthy() {
      let seen: Seen | undefined;
      await until("the doctor to find nothing", HEALTHY_MS_MAX, async () => {
        seen = await made.doctor();
        return seen.code === 0;
      }).catch((error: Error) => {
        throw new Error(`${error.message}\n${JSON.stringify(seen?.report.findings, undefined, 1)}`);
      });
      if (seen === undefined) throw new Error("the doctor was not asked");
      return seen;
    },
    async [Symbol.asyncDispose]() {
      for (const one of running.reverse()) await one[Symbol.asyncDispose]();
      await lab[Symbol.asyncDispose]();
    },
  };
  return made;
}

/** A small disk at `path`, until the test ends. */
export function mountMemory(path: string, options: string): void {
  mkdirSync(path, { recursive: true });
  const done = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", path]);
  if (done.status !== 0) throw new Error(String(done.stderr));
  onEnd(() => void spawnSync("umount", ["--lazy", path]));
}

/** Names, modes, owners, sizes and times of all that lies in a folder. */
export function inventory(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const { mode, uid, size, mtimeMs, ctimeMs } = statSync(join(folder, name));
      return [name, mode, uid, size, mtimeMs, ctimeMs].join(" ");
    });
}

/** A program that holds the router's metadata address, and does nothing. */
export async function holdPort(place: Place, argv: readonly string[]): Promise<Program> {
  const program = place.start(argv);
  await until("somebody to hold the port", HEALTHY_MS_MAX, async () => {
    const { stdout } = await place.run(["ss", "-ltnH", "sport = :80"]);
    return stdout.toString().includes(":80");
  });
  return program;
}

export function readText(path: string): string {
  return readFileSync(path, "utf8");
}

export { LINK_LOCAL_ADDRESS, ROUTER_ADDRESS };
