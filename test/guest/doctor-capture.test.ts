/**
 * `doctor --capture` on real packets: what real tcpdump shows of one request, and what is read in
 * it, where the request is lost at one place or another.
 */

import { expect, test } from "bun:test";
import { labMissing } from "../e2e/lab.ts";
import { type DoctorLab, openDoctorLab } from "./doctor-lab.ts";

const skip = labMissing(["tcpdump", "nft", "unshare"]) !== undefined;
/** A run of doctor that waits for every silence, the capture, and before them its turn. ms. */
const TEST_MS = 120_000;

interface Case {
  readonly name: string;
  readonly make: (lab: DoctorLab) => unknown;
  readonly code: string;
  readonly certainty: string;
  readonly where: "guest" | "router";
  /** What was on the wire, without times. */
  readonly packets: RegExp;
  readonly cause: RegExp;
}

const CASES: readonly Case[] = [
  {
    name: "a request that is answered",
    make: () => undefined,
    code: "WIRE_ANSWERED",
    certainty: "certain",
    where: "guest",
    packets: /^-> SYN,<- SYN-ACK,-> ACK,-> \d+ bytes,(<- ACK,)?<- \d+ bytes/,
    cause: /is open/,
  },
  {
    name: "a firewall here that drops what goes out: nothing",
    make: (lab) =>
      lab.inGuest(
        "nft 'table inet f { chain o { type filter hook output priority 0; tcp dport 80 drop; }; }'",
      ),
    code: "WIRE_NOTHING_SENT",
    certainty: "certain",
    where: "guest",
    packets: /^$/,
    cause: /^EGRESS_BLOCKED: it stops requests to /,
  },
  {
    name: "a firewall on the router that drops it: SYN alone",
    make: (lab) =>
      lab.onRouter(
        "nft 'table inet f { chain i { type filter hook input priority 0; tcp dport 80 drop; }; }'",
      ),
    code: "WIRE_NO_ANSWER",
    certainty: "likely",
    where: "router",
    packets: /^-> SYN(,-> SYN)+$/,
    cause: /drops it/,
  },
  {
    name: "a service that does not run: RST",
    make: (lab) => lab.stopService(),
    code: "WIRE_RESET",
    certainty: "likely",
    where: "router",
    packets: /^-> SYN,<- RST$/,
    cause: /does not run, or a firewall refuses/,
  },
  {
    name: "a firewall on the router that says so: ICMP",
    make: (lab) =>
      lab.onRouter(
        `nft 'table inet f { chain i { type filter hook input priority 0;
          tcp dport 80 reject with icmpx type admin-prohibited; }; }'`,
      ),
    code: "WIRE_ICMP",
    certainty: "likely",
    where: "router",
    packets: /^-> SYN,<- ICMP, \S+ says: .*prohibited/,
    cause: /a firewall there rejects it/,
  },
  {
    name: "a firewall here that drops the answer: SYN-ACK, and no ACK",
    make: (lab) =>
      lab.inGuest(
        "nft 'table inet f { chain i { type filter hook input priority 0; tcp sport 80 drop; }; }'",
      ),
    code: "WIRE_ANSWER_DROPPED",
    certainty: "certain",
    where: "guest",
    packets: /^-> SYN,<- SYN-ACK(,(-> SYN|<- SYN-ACK))*$/,
    cause: /^INGRESS_BLOCKED: /,
  },
  {
    name: "a service that hangs: the request, and nothing after it",
    make: (lab) => lab.behave({ delayMs: 30_000 }),
    code: "WIRE_NO_REPLY",
    certainty: "possible",
    where: "router",
    packets:
      /^-> SYN,<- SYN-ACK,-> ACK,-> \d+ bytes,<- ACK(,-> FIN)?(,<- ACK)?(,<- FIN)?(,-> ACK)?$/,
    cause: /it hangs, or fails/,
  },
  {
    name: "a router that is away: nobody has its address",
    make: (lab) => lab.onRouter("ip link set dev eth0 down"),
    code: "WIRE_NO_NEIGHBOUR",
    certainty: "likely",
    where: "router",
    packets: /^-> who has 10\.1\.1\.1\?(,-> who has 10\.1\.1\.1\?)*$/,
    cause: /^NEIGHBOUR_SILENT: /,
  },
];

for (const one of CASES) {
  test.concurrent.skipIf(skip)(`--capture reads ${one.name}`, () => check(one), TEST_MS);
}

async function check({ make, code, certainty, where, packets, cause }: Case): Promise<void> {
  await using lab = await openDoctorLab();
  await make(lab);
  const done = await lab.doctor({}, { args: ["--capture"] });
  const { capture } = done.report;
  if (capture?.state !== "taken") throw new Error(`no capture: ${JSON.stringify(capture)}`);
  const told = capture.packets.map((line) => line.replace(/^ *\d+ ms /, "")).join(",");
  expect([capture.reading.code, told]).toEqual([code, expect.stringMatching(packets)]);
  expect(capture.reading).toMatchObject({ code, certainty, where });
  expect(capture.reading.cause).toMatch(cause);
  if (code === "WIRE_ANSWERED") expect(done.code).toBe(0);
  else expect([done.code, capture.reading.remedy.length > 0]).toEqual([3, true]);
}

test.skipIf(skip)(
  "where there is no tcpdump, --capture says what installs it, and the rest is as it was",
  async () => {
    await using lab = await openDoctorLab();
    const first = 'mount --bind /run/empty "$(command -v tcpdump)"';
    const { code, report } = await lab.doctor({}, { args: ["--capture"], first });
    expect(report.capture).toMatchObject({ state: "none", why: "tcpdump is not installed" });
    expect(report.capture?.state === "none" && report.capture.remedy).toEqual([
      expect.stringMatching(/ tcpdump$/),
    ]);
    expect(code).toBe(0);
  },
  TEST_MS,
);

test.skipIf(skip)(
  "who is not root is told that only root can watch",
  async () => {
    await using lab = await openDoctorLab();
    const { report } = await lab.doctor({}, { args: ["--capture"], user: "54321" });
    expect(report.capture).toMatchObject({ state: "none", why: "only root can watch packets" });
  },
  TEST_MS,
);
