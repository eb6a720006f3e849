/**
 * A router in a namespace of its own, `frontdesk doctor` beside it, and the remedies that it prints,
 * run as they stand.
 */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Report } from "../../src/observe/doctor/diagnose.ts";
import type { Finding } from "../../src/observe/doctor/finding.ts";
import { type Entry, writeDatabags } from "./databags.ts";
import { type Lab, openLab, type Place, ROUTER_ADDRESS } from "./lab.ts";
import { onEnd } from "./leftovers.ts";
import { type Done, ok, until } from "./program.ts";
import { frontdesk, launchRouter, type Router, type RouterOptions, startRouter } from "./router.ts";

export const SECRET = "s3cret-of-web-01";
const GUEST = "10.1.1.57";
/** A router that was mended has this long to say so. ms. */
const HEALTHY_MS_MAX = 15_000;
/** A doctor waits for a silent listener, and for tools; the machine may be busy. ms. */
const DOCTOR_MS_MAX = 30_000;

/** A command that starts a router, and so does not end. */
const STARTS = /(?:frontdesk|main\.ts) router --/;

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
  /** Starts one, and does not wait. */
  launch(options?: Partial<RouterOptions>): Router;
  /** Starts one, and waits until it says that something is wrong. */
  startTo(code: string, options?: Partial<RouterOptions>): Promise<void>;
  /** Waits until the router has a condition. */
  says(code: string): Promise<void>;
  /** Starts one that keeps its own firewall, and waits for that. */
  startKept(): Promise<void>;
  /** From now on routers run as this user, to whom the state directory is given. */
  runAs(uid: number): Promise<void>;
  /** Runs `frontdesk` with these arguments alone. */
  run(...args: readonly string[]): Promise<Done>;
  doctor(): Promise<Seen>;
  /** The same, as another user who may enter the folder of the router. */
  doctorAs(uid: number): Promise<Seen>;
  /** A small disk for the state directory. */
  mount(options: string): Promise<void>;
  /** Starts a program that is to hold port 80. */
  hold(argv: readonly string[]): Promise<void>;
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
  let command: RouterOptions["command"];
  const source = `databag:${bags}`;
  const usual = (): RouterOptions => ({
    ...{ rim: "bun", source, listen: ["auto"], stateDir, place },
    ...(command === undefined ? {} : { command }),
  });
  const at = async (...args: readonly string[]): Promise<Done> => {
    const { argv, env: rim } = frontdesk("bun", args);
    return await place.run(argv, { env: { ...env, ...rim }, timeoutMs: DOCTOR_MS_MAX });
  };
  const doctor = [
    "doctor",
    "--state-dir",
    stateDir,
    "--admin",
    `unix:${socket}`,
    "--source",
    source,
  ];
  const made: DoctorLab = {
    ...{ lab, place, bags, stateDir, socket },
    get router() {
      if (router === undefined) throw new Error("no router was started");
      return router;
    },
    async start(options = {}) {
      router = await startRouter({ ...usual(), ...options });
      running.push(router);
      return router;
    },
    launch(options = {}) {
      router = launchRouter({ ...usual(), ...options });
      running.push(router);
      return router;
    },
    async startTo(code, options = {}) {
      made.launch(options);
      await made.says(code);
    },
    async startKept() {
      const file = join(folder, "frontdesk.yaml");
      writeFileSync(file, "firewall: {manage: true}\n");
      await made.start({ more: ["--config", file] });
      await until("the router's own table", HEALTHY_MS_MAX, async () =>
        (await made.sh("nft list tables")).includes("frontdesk"),
      );
    },
    async runAs(uid) {
      chmodSync(folder, 0o711);
      mkdirSync(stateDir, { mode: 0o700 });
      chownSync(stateDir, uid, uid);
      command = (argv) => [...asUser(uid), ...argv];
    },
    run: (...args) => at(...args),
    async mount(options) {
      mkdirSync(stateDir);
      await ok(["mount", "-t", "tmpfs", "-o", `mode=0700,${options}`, "tmpfs", stateDir]);
      const unmount = onEnd(() => void spawnSync("umount", ["--lazy", stateDir]));
      running.push({ [Symbol.asyncDispose]: async () => unmount() });
    },
    async hold(argv) {
      running.push(place.start(argv));
      await until("somebody to hold the port", HEALTHY_MS_MAX, async () =>
        (await made.sh("ss -ltnH 'sport = :80'")).includes(":80"),
      );
    },
    says: (code) =>
      until(`the router to say ${code}`, HEALTHY_MS_MAX, async () => {
        const answer = await made.router.admin("/conditions").catch(() => undefined);
        return answer?.body.includes(`"${code}"`) === true;
      }),
    doctor: async () => seenIn(await at(...doctor, "--json")),
    async doctorAs(uid) {
      chmodSync(folder, 0o711);
      const { argv, env: rim } = frontdesk("bun", [...doctor, "--json"]);
      const command = [...asUser(uid), ...argv];
      return seenIn(
        await place.run(command, { env: { ...env, ...rim }, timeoutMs: DOCTOR_MS_MAX }),
      );
    },
    doctorText: () => at(...doctor),
    async sh(line) {
      const { code, stdout, stderr } = await place.run(["sh", "-c", line], { env });
      if (code !== 0) throw new Error(`${line}: exit ${code}\n${stdout}${stderr}`);
      return stdout.toString();
    },
    async mend(finding) {
      for (const command of finding.remedy) {
        if (!STARTS.test(command)) await made.sh(command);
        else running.push(place.start(["sh", "-c", inPlace(command)], { env }));
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

/** The last of the commands takes the shell's place, so that it is what the test ends. */
function inPlace(commands: string): string {
  return commands.replace(/^(.* && )?/, "$1exec ");
}

function seenIn({ code, stdout, stderr }: Done): Seen {
  if (stderr !== "") throw new Error(stderr);
  return { code, report: JSON.parse(stdout.toString()) as Report };
}

function asUser(uid: number): readonly string[] {
  return ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
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
