/**
 * `doctor --capture`: tcpdump watches one request, and the packets are read.
 *
 * It watches without promiscuous mode, for one address and port, for a few seconds; nothing is
 * kept. What was found before explains what is seen where it can.
 */

import { ExecError } from "../../model/errors.ts";
import type { Diagnosis } from "../../observe/doctor/diagnose.ts";
import type { Finding } from "../../observe/doctor/finding.ts";
import type { Target } from "./facts.ts";
import { CONNECT_MS } from "./limits.ts";
import type { DoctorPorts } from "./ports.ts";
import { type Flow, packetsOf, read, tell, WIRE_KINDS } from "./wire.ts";

export type Capture =
  | {
      readonly state: "taken";
      readonly endpoint: string;
      /** A line each: when, which way, what. */
      readonly packets: readonly string[];
      readonly reading: Finding;
    }
  | { readonly state: "none"; readonly why: string; readonly remedy: readonly string[] };

/** tcpdump says that it listens; a busy machine starts it slowly. ms. */
const START_MS = 5_000;
/** Packets that are on their way to us through tcpdump's pipe. ms. */
const LINGER_MS = 400;
/** A flood of ICMP ends the capture, not the machine. */
const PACKETS_MAX = 500;
/** Tries to find a port of our own that nobody holds. */
const PORTS_MAX = 5;
/** RFC 6335: nobody's, for short. */
const EPHEMERAL = { first: 49_152, count: 16_384 };

/** Who installs programs here, by the file that does; the first that is there is meant. */
const INSTALLERS: readonly (readonly [file: string, command: string])[] = [
  ["/usr/bin/apt-get", "apt-get install tcpdump"],
  ["/usr/bin/dnf", "dnf install tcpdump"],
  ["/usr/bin/yum", "yum install tcpdump"],
  ["/usr/bin/zypper", "zypper install tcpdump"],
  ["/sbin/apk", "apk add tcpdump"],
  ["/usr/bin/pacman", "pacman -S tcpdump"],
];

/** Watches one request to this target. */
export async function capture(
  ports: DoctorPorts,
  target: Target | undefined,
  diagnosis: Diagnosis,
): Promise<Capture> {
  if (target === undefined) return none("no address is known to which to send a request");
  if (!ports.isRoot)
    return none("only root can watch packets", ["sudo frontdesk guest doctor --capture"]);
  const { endpoint, route } = target;
  const way = route?.kind === "found" ? route : undefined;
  const [host = ""] = endpoint.host.split("%");
  const nextHop = way?.gateway ?? host;
  const tcp = `host ${host} and tcp port ${endpoint.port}`;
  const filter = `(${tcp}) or icmp or icmp6 or (arp and host ${nextHop})`;
  const device = way === undefined || way.device === "" ? "any" : way.device;
  const watching = await watch(ports, ["-i", device, filter]);
  if ("state" in watching) return watching;
  const localPort = await request(ports, target);
  await ports.sleep(LINGER_MS);
  await watching.stop();
  if (localPort === undefined) return none("no port was free to send a request from");
  const flow: Flow = { host, port: endpoint.port, localPort, nextHop };
  const packets = packetsOf(watching.lines, flow);
  const reading = explained(read(packets, flow), diagnosis);
  return { state: "taken", endpoint: endpoint.url, packets: tell(packets, flow), reading };
}

function none(why: string, remedy: readonly string[] = []): Capture & { state: "none" } {
  return { state: "none", why, remedy };
}

interface Watching {
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

/** Resolves when tcpdump listens. */
async function watch(
  ports: DoctorPorts,
  what: readonly string[],
): Promise<Watching | (Capture & { state: "none" })> {
  const lines: string[] = [];
  let listens = (): void => {};
  const ready = new Promise<"ready">((resolve) => {
    listens = () => resolve("ready");
  });
  // Numbers for names, no promiscuous mode, each line at once, headers only.
  const how = ["-nn", "-p", "-tt", "-l", "--immediate-mode", "-s", "128", "-c", `${PACKETS_MAX}`];
  const running = ports.lines(["tcpdump", ...how, ...what], {
    onLine: (line) => void lines.push(line),
    onComplaint: (line) => (line.includes("listening on") ? listens() : undefined),
  });
  const stop = async (): Promise<void> => {
    running.stop();
    await running.ended.catch(() => {});
  };
  try {
    const first = await Promise.race([ready, running.ended, ports.sleep(START_MS)]);
    if (first === "ready") return { lines, stop };
    await stop();
    return none(first === undefined ? "tcpdump does not start" : `tcpdump: ${first.complaint}`);
  } catch (error) {
    if (!(error instanceof ExecError)) throw error;
    const [, install] =
      INSTALLERS.find(([file]) => ports.system.modifiedMs(file) !== undefined) ?? [];
    const remedy = install === undefined ? [] : [install];
    return none("tcpdump is not installed", remedy);
  }
}

/** Sends one request; answers the port that it came from. */
async function request({ speak }: DoctorPorts, { endpoint }: Target): Promise<number | undefined> {
  const [host = ""] = endpoint.host.split("%");
  const head = ["GET /latest/meta-data/instance-id HTTP/1.1", `Host: ${host}`, "Connection: close"];
  const bytes = `${head.join("\r\n")}\r\n\r\n`;
  for (let i = 0; i < PORTS_MAX; i++) {
    const localPort = EPHEMERAL.first + Math.floor(Math.random() * EPHEMERAL.count);
    const { code } = await speak(endpoint, { bytes, timeoutMs: CONNECT_MS, localPort });
    if (code !== "EADDRINUSE") return localPort;
  }
  return undefined;
}

/** A reading as a finding; with the cause and the remedy of what was found before, if that fits. */
function explained(found: ReturnType<typeof read>, { findings }: Diagnosis): Finding {
  const kind = WIRE_KINDS[found.code];
  const { title, severity, advice, where } = kind;
  const { subjects = [], remedy = [] } = found;
  const known = findings.find(
    ({ code, certainty }) => certainty !== "possible" && kind.because?.includes(code) === true,
  );
  const own = { ...found, subjects, remedy, where };
  const why =
    known === undefined
      ? own
      : {
          ...own,
          cause: `${known.code}: ${known.cause}`,
          certainty: known.certainty,
          remedy: known.remedy,
          where: known.where,
        };
  return { title, severity, advice, check: "capture", ...why };
}
