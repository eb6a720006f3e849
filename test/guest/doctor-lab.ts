/**
 * A guest, a router and its service, on which something is broken on purpose; `doctor` is asked
 * what it is, and its remedies are run where they say.
 *
 * What a remedy writes to a file (hosts, leases, logs) goes into a folder of the lab. On the router
 * `systemctl restart` is a stand-in that starts the service again.
 */

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DoctorReport } from "../../src/guest/doctor/doctor.ts";
import type { Finding } from "../../src/observe/doctor/finding.ts";
import { type Lab, openLab, type Place } from "../e2e/lab.ts";
import { ok, type Program } from "../e2e/program.ts";

const PROGRAM = join(import.meta.dirname, "../../src/guest/main.ts");
const GUEST = { mac: "02:00:5a:10:00:21", address: "10.1.1.57" };
/** The resolver's silence, and lost packets, are waited for. ms. */
const DOCTOR_MS_MAX = 60_000;

export const KEYS: Readonly<Record<string, string>> = {
  "service-offering": "small",
  "availability-zone": "zone-1",
  "local-ipv4": "10.1.1.57",
  "local-hostname": "web-01",
  "instance-id": "i-2-57",
  "vm-id": "i-2-57",
};

/** How the service behaves; read anew for each request. */
export interface Behaviour {
  readonly status?: number;
  readonly delayMs?: number;
  readonly keys?: Readonly<Record<string, string>>;
  /** Keys that are listed, and answered 404. */
  readonly dead?: readonly string[];
  readonly userData?: string;
  /** Of one address only: `169.254.169.254`. */
  readonly instanceIdAt?: Readonly<Record<string, string>>;
  readonly tokensRequired?: boolean;
  /** How far the clock in its replies is from the real one. s. */
  readonly dateOffsetS?: number;
}

/**
 * Listens on 80 and 8080 of its addresses; USR1 stops it, USR2 starts what is not there, and HUP
 * moves the passwords to another port.
 */
const SERVER = `
const fs = require("node:fs"), http = require("node:http");
const [folder, ...hosts] = process.argv.slice(-3);
const open = new Map();
const how = () => JSON.parse(fs.readFileSync(folder + "/service.json", "utf8"));
const full = () => fs.readdirSync(folder + "/log").some((name) => name.endsWith(".gz"));
const answer = (request, response) => {
  const { status = 200, delayMs = 0, keys, dead = [], userData = "", instanceIdAt = {}, tokensRequired, dateOffsetS = 0 } = how();
  response.setHeader("date", new Date(Date.now() + dateOffsetS * 1000).toUTCString());
  const reply = (code, body = "") => setTimeout(() => response.writeHead(code).end(body), delayMs);
  if (full()) return reply(500);
  if (status !== 200) return reply(status);
  const path = request.url.replace(/\\?.*/, "");
  if (request.method === "PUT") return tokensRequired ? reply(200, "a-token") : reply(405);
  if (tokensRequired && request.headers["x-aws-ec2-metadata-token"] === undefined) return reply(401);
  if (path === "/latest/user-data") return reply(200, userData);
  if (path === "/latest/meta-data/") return reply(200, Object.keys(keys).join("\\n"));
  const name = path.slice("/latest/meta-data/".length);
  const own = instanceIdAt[request.socket.localAddress];
  if (name === "instance-id" && own) return reply(200, own);
  return name in keys && !dead.includes(name) ? reply(200, keys[name]) : reply(404);
};
const listen = (host, port, said) => {
  if (open.has(host + port)) return;
  open.set(host + port, http.createServer(answer).listen(port, host, () => console.log(said)));
};
const close = (key) => { open.get(key).closeAllConnections(); open.get(key).close(); open.delete(key); };
const start = () => { for (const host of hosts) for (const port of [80, 8080]) listen(host, port, "ready"); };
process.on("SIGUSR1", () => { for (const key of [...open.keys()]) close(key); console.log("stopped"); });
process.on("SIGHUP", () => { for (const host of hosts) close(host + 8080), listen(host, 8081, "moved"); });
process.on("SIGUSR2", start);
setInterval(() => {}, 60000);
start();
`;

/** For what the wrapper hides of this machine, there is a file or folder of the lab. */
const IN_GUEST = `set -e
mount -t tmpfs none /run; mount -t tmpfs none /var/lib; mkdir -p /var/lib/dhcp
mount --bind "$0/dhcp" /var/lib/dhcp
mount --bind "$0/hosts" /etc/hosts; mount --bind "$0/resolv.conf" /etc/resolv.conf
touch /run/empty; [ ! -e /etc/environment ] || mount --bind "$0/environment" /etc/environment
mount --bind "$0/cloud" /etc/cloud; mkdir -p /run/systemd /run/cloud-init /run/net
mount --bind "$0/systemd" /run/systemd; mount --bind "$0/cloud-run" /run/cloud-init
mount --bind /sys/class/net /run/net; mount -t tmpfs none /sys/class
mkdir -p /sys/class/net /sys/class/dmi/id; mount --bind /run/net /sys/class/net
cat "$0/dmi/product_name" > /sys/class/dmi/id/product_name
exec "$@"`;
const ON_ROUTER = `set -e
mount --bind "$0/log" /var/log; PATH="$0/bin:$PATH"
exec "$@"`;

export interface DoctorLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly guest: Place;
  readonly router: Place;
  readonly server: Program;
  /** Commands that must succeed, a shell's line each. */
  inGuest(...lines: readonly string[]): Promise<string>;
  onRouter(...lines: readonly string[]): Promise<string>;
  behave(how: Behaviour): void;
  /** A file of the guest's: `hosts`, `dhcp/dhclient.eth0.leases`, `environment`. */
  write(name: string, text: string): void;
  stopService(): Promise<void>;
  /** Passwords are answered at port 8081, where nobody asks. */
  movePasswords(): Promise<void>;
  /** DNS on the router, with these lines of dnsmasq's. */
  serveNames(...lines: readonly string[]): Promise<Program>;
  doctor(env?: Readonly<Record<string, string>>, more?: DoctorOptions): Promise<Examined>;
  /** Runs the remedy where it says. */
  mend(finding: Finding): Promise<void>;
}

export interface DoctorOptions {
  /** By number; root where it is not said. */
  readonly user?: string;
  /** More of its options: `--capture`. */
  readonly args?: readonly string[];
  /** A shell's line that is run before it, in its own mounts. */
  readonly first?: string;
}

export interface Examined {
  readonly code: number;
  readonly report: DoctorReport;
  readonly text: string;
}

/** Doctor waits more than it works: so many at once keep two processors busy, and no more. */
const LABS_MAX = 4;
let labs = 0;
const queue: (() => void)[] = [];

/** Opens a lab as soon as there are fewer than four. */
export async function openDoctorLab(): Promise<DoctorLab> {
  if (labs >= LABS_MAX) await new Promise<void>((resolve) => queue.push(resolve));
  labs++;
  const leave = (): void => {
    labs--;
    queue.shift()?.();
  };
  try {
    const lab = await makeDoctorLab();
    const close = async (): Promise<void> => lab[Symbol.asyncDispose]();
    return { ...lab, [Symbol.asyncDispose]: () => close().finally(leave) };
  } catch (error) {
    leave();
    throw error;
  }
}

async function makeDoctorLab(): Promise<DoctorLab> {
  const lab = await openLab({ guests: [GUEST] });
  const { folder, router } = lab;
  const [guest] = lab.guests;
  if (guest === undefined) throw new Error("the lab has no guest");
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const behave = (how: Behaviour): void =>
    write("service.json", JSON.stringify({ keys: KEYS, ...how }));
  for (const name of ["dhcp", "log", "bin", "cloud", "cloud-run", "systemd", "dmi"])
    mkdirSync(join(folder, name));
  write("hosts", "127.0.0.1 localhost\n10.1.1.1 data-server\n");
  write("resolv.conf", "nameserver 127.0.0.1\n");
  write("environment", "");
  write("dmi/product_name", "CloudStack KVM Hypervisor\n");
  behave({ userData: "#!/bin/sh\necho hello\n" });
  try {
    const server = router.start(["node", "-e", SERVER, folder, "10.1.1.1", "169.254.169.254"]);
    write(
      "bin/systemctl",
      [
        "#!/bin/sh",
        'case "$*" in "restart apache2"|"restart cloud-password-server@10.1.1.1") ;; *) exit 5;; esac',
        `kill -USR2 ${server.pid}; sleep 0.3`,
        "",
      ].join("\n"),
    );
    chmodSync(join(folder, "bin/systemctl"), 0o755);
    await server.says(/ready\nready\nready\nready/);
    return labOf({ lab, guest, router, server, write, behave });
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

function labOf(
  parts: Pick<DoctorLab, "lab" | "guest" | "router" | "server" | "write" | "behave">,
): DoctorLab {
  const { lab, guest, router, server } = parts;
  const programs: Program[] = [];
  const inside = (argv: readonly string[]) => [
    ...["unshare", "--mount", "sh", "-c", IN_GUEST, lab.folder],
    ...argv,
  ];
  const inGuest = (...lines: readonly string[]): Promise<string> =>
    ok(guest.command(inside(["sh", "-ec", lines.join("\n")])));
  const onRouter = (...lines: readonly string[]): Promise<string> => {
    const argv = ["unshare", "--mount", "sh", "-c", ON_ROUTER, lab.folder];
    return ok(router.command([...argv, "sh", "-ec", lines.join("\n")]));
  };
  return {
    ...parts,
    inGuest,
    onRouter,
    async stopService() {
      server.signal("SIGUSR1");
      await server.says(/stopped/);
    },
    async movePasswords() {
      server.signal("SIGHUP");
      await server.says(/moved\nmoved/);
    },
    async serveNames(...lines) {
      parts.write("resolv.conf", "nameserver 10.1.1.1\n");
      parts.write("hosts", "127.0.0.1 localhost\n");
      parts.write("dnsmasq.conf", `${lines.join("\n")}\n`);
      const own = ["--no-resolv", "--no-hosts", "--user=root", "--bind-interfaces"];
      const program = router.start([
        ...["dnsmasq", "--keep-in-foreground", "--log-facility=-", "--listen-address=10.1.1.1"],
        ...[...own, `--conf-file=${join(lab.folder, "dnsmasq.conf")}`, "--pid-file="],
      ]);
      programs.push(program);
      await program.says(/started/);
      return program;
    },
    async doctor(env = {}, { user, args = [], first = ":" } = {}) {
      // What this machine has in its own environment is nobody's business there.
      const clean = [
        "env",
        "-u",
        "http_proxy",
        "-u",
        "HTTP_PROXY",
        "-u",
        "all_proxy",
        "-u",
        "ALL_PROXY",
      ];
      const set = Object.entries(env).map(([name, value]) => `${name}=${value}`);
      const as = user === undefined ? [] : ["setpriv", `--reuid=${user}`, "--clear-groups"];
      const before = ["sh", "-ec", `${first}\nexec "$@"`, "sh"];
      const program = [process.execPath, PROGRAM, "doctor", "--json", ...args];
      const argv = [...before, ...as, ...clean, ...set, ...program];
      const done = await guest.run(inside(argv), { timeoutMs: DOCTOR_MS_MAX });
      const text = `${done.stdout}${done.stderr}`;
      if (done.code !== 0 && done.code !== 3) throw new Error(`doctor: ${done.code}\n${text}`);
      return { code: done.code, report: JSON.parse(done.stdout.toString()), text };
    },
    async mend({ where, remedy }) {
      await (where === "guest" ? inGuest : onRouter)(...remedy);
    },
    async [Symbol.asyncDispose]() {
      for (const program of programs) await program[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await lab[Symbol.asyncDispose]();
    },
  };
}

/** A file of the lab, as it is now. */
export function readLabFile({ lab }: DoctorLab, name: string): string {
  return readFileSync(join(lab.folder, name), "utf8");
}
