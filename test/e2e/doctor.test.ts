/**
 * Faults made on purpose on a router's machine: `frontdesk doctor` names each, and where there is a
 * command that mends it, running that command mends it. The real program, in network namespaces.
 */

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { FAULTS, type Fault } from "./doctor-faults.ts";
import { type DoctorLab, inventory, openDoctorLab, SECRET } from "./doctor-lab.ts";
import { LINK_LOCAL_ADDRESS, labMissing } from "./lab.ts";

const TOOLS = ["nft", "iptables", "prlimit", "python3", "ss", "apache2", "setpriv"];
const skip = labMissing(TOOLS) !== undefined;
/** Several runs of doctor, and starts of a router. ms. */
const TEST_MS = 90_000;

for (const fault of FAULTS) {
  test.skipIf(skip)(`named and mended: ${fault.name}`, () => check(fault), TEST_MS);
}

async function check(fault: Fault): Promise<void> {
  await using lab = await openDoctorLab();
  await fault.make(lab);
  const { code, report } = await unchanged(lab);
  const found = report.findings.filter(({ severity }) => severity !== "info");
  const codes = found.map((one) => one.code);
  expect(codes.sort()).toEqual([fault.code, ...(fault.also ?? [])].sort());
  const finding = found.find((one) => one.code === fault.code);
  if (finding === undefined) throw new Error("nothing was found");
  const { severity = "error", certainty, follows = [] } = fault;
  expect(finding).toMatchObject({ severity, certainty, where: "router" });
  if (fault.seen !== undefined) expect(finding.seen).toMatch(fault.seen);
  const consequences = report.consequences.map((one) => one.code);
  for (const one of follows) expect(consequences).toContain(one);
  expect(code).toBe(3);
  if (fault.mend === undefined) {
    expect(finding.remedy).not.toEqual([]);
    await lab.mend(finding);
  } else await fault.mend(lab, finding);
  const after = await lab.healthy();
  expect(after.report.findings.filter((one) => one.severity !== "info")).toEqual([]);
}

/** A run of the doctor that leaves all as it was, and shows no secret. */
async function unchanged(lab: DoctorLab): ReturnType<DoctorLab["doctor"]> {
  const look = async () => ({
    bags: existsSync(lab.bags) && inventory(lab.bags),
    rules: await lab.sh("nft -s list ruleset; ip -4 address; ip route; cat /proc/net/arp"),
  });
  const before = await look();
  const seen = await lab.doctor();
  expect(await look()).toEqual(before);
  expect(JSON.stringify(seen.report)).not.toContain(SECRET);
  return seen;
}

describe.skipIf(skip)("a healthy router", () => {
  test(
    "needs no attention, and the exit code says so",
    async () => {
      await using lab = await openDoctorLab();
      await lab.start();
      const { code, report } = await unchanged(lab);
      expect([code, report.ok, report.findings, report.consequences]).toEqual([0, true, [], []]);
      expect(report.checks.filter(({ state }) => !["ok", "skipped"].includes(state))).toEqual([]);
      const text = await lab.doctorText();
      expect(text.stdout.toString()).toContain("\nok    listeners   4 of 4 listeners open\n");
      expect(text.stdout.toString()).toContain("\nnothing needs attention; ");
      expect([text.code, text.stderr]).toEqual([0, ""]);
    },
    TEST_MS,
  );

  test(
    "is not touched: its state is as it was",
    async () => {
      await using lab = await openDoctorLab();
      await lab.start();
      lab.router.program.signal("SIGTERM");
      await lab.router.program.ended;
      const before = inventory(lab.stateDir);
      await lab.doctor();
      expect(inventory(lab.stateDir)).toEqual(before);
    },
    TEST_MS,
  );

  test(
    "without 169.254.169.254 it is a note",
    async () => {
      await using lab = await openDoctorLab();
      await lab.sh(`ip address delete ${LINK_LOCAL_ADDRESS}/32 dev eth0`);
      await lab.start();
      const { code, report } = await lab.doctor();
      expect(report.findings.map((one) => one.code)).toEqual(["LINK_LOCAL_ABSENT"]);
      expect(code).toBe(0);
      for (const finding of report.findings) await lab.mend(finding);
      expect((await lab.doctor()).report.findings).toEqual([]);
    },
    TEST_MS,
  );

  test(
    "keeps its own firewall, which is nobody else's rule",
    async () => {
      await using lab = await openDoctorLab();
      await lab.startKept();
      expect((await lab.healthy()).report.findings).toEqual([]);
    },
    TEST_MS,
  );
});

describe.skipIf(skip)("who asks", () => {
  test(
    "is told what another user may not see, and nothing for sure",
    async () => {
      await using lab = await openDoctorLab();
      await lab.start();
      const { code, report } = await lab.doctorAs(54_321);
      expect(report.findings.map((one) => one.code)).toEqual(["ADMIN_FORBIDDEN"]);
      const skipped = report.checks.filter(({ state }) => state === "skipped");
      expect(skipped.map(({ name }) => name)).toContain("firewall");
      expect(code).toBe(3);
    },
    TEST_MS,
  );

  test(
    "for another machine's router is sent there",
    async () => {
      await using lab = await openDoctorLab();
      const { code, stderr } = await lab.run("doctor", "--admin", "10.9.9.9:8775");
      expect([code, stderr]).toEqual([
        2,
        "frontdesk: --admin: 10.9.9.9 is no address of this machine's; run doctor there; " +
          "try: frontdesk doctor --help\n",
      ]);
      const wrong = await lab.run("doctor", "--source", join(lab.bags));
      expect(wrong.code).toBe(2);
    },
    TEST_MS,
  );
});
