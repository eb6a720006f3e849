/**
 * Faults made on purpose in a guest, a router, and between them: `doctor` names each, and where
 * there is a command that mends it, running that command where it says mends it.
 */

import { describe, expect, test } from "bun:test";
import { labMissing } from "../e2e/lab.ts";
import { CLOUD_CONFIG, DROP_ALL, FAULTS, type Fault } from "./doctor-faults.ts";
import { openDoctorLab } from "./doctor-lab.ts";

const skip = labMissing(["nft", "iptables", "dnsmasq", "unshare", "getent"]) !== undefined;
/** Two runs of doctor, each up to two silences long, and before it a wait for its turn. ms. */
const TEST_MS = 300_000;

for (const fault of FAULTS) {
  test.concurrent.skipIf(skip)(
    `named${fault.mends ? " and mended" : ""}: ${fault.name}`,
    () => check(fault),
    TEST_MS,
  );
}

async function check(fault: Fault): Promise<void> {
  await using lab = await openDoctorLab();
  await fault.make(lab);
  const { code, report } = await lab.doctor(fault.env);
  const found = report.findings.filter(({ severity }) => severity !== "info");
  expect(found.map((finding) => finding.code)).toEqual([fault.code]);
  const [finding] = found;
  if (finding === undefined) throw new Error("nothing was found");
  const { severity = "error", certainty, where, follows = [] } = fault;
  expect(finding).toMatchObject({ severity, certainty, where });
  if (fault.seen !== undefined) expect(finding.seen).toMatch(fault.seen);
  const consequences = report.consequences.map((one) => one.code);
  for (const one of follows) expect(consequences).toContain(one);
  expect(code).toBe(3);
  expect(JSON.stringify(report)).not.toContain("secret");
  if (!fault.mends) return;
  expect(finding.remedy).not.toEqual([]);
  await lab.mend(finding);
  const after = await lab.doctor(fault.env);
  expect(after.report.findings.filter((one) => one.severity !== "info")).toEqual([]);
  expect(after.code).toBe(0);
}

test.skipIf(skip)(
  "who is not root is told what could not be read, and nothing for sure",
  async () => {
    await using lab = await openDoctorLab();
    await lab.inGuest(DROP_ALL);
    const { code, report } = await lab.doctor({}, { user: "54321" });
    expect(report.findings.map((one) => [one.code, one.certainty])).toEqual([
      ["CONNECT_TIMEOUT", "possible"],
    ]);
    expect(report.checks.find(({ name }) => name === "egress")).toMatchObject({
      state: "skipped",
      seen: "only root can read the firewall",
    });
    expect(code).toBe(3);
  },
  TEST_MS,
);

describe.skipIf(skip)("on a healthy network", () => {
  test(
    "nothing needs attention, and the exit code says so",
    async () => {
      await using lab = await openDoctorLab();
      const { code, report } = await lab.doctor();
      expect([code, report.ok, report.findings, report.consequences]).toEqual([0, true, [], []]);
      expect(report.checks.filter(({ state }) => state === "attention")).toEqual([]);
      expect(report.endpoint).toBe("http://169.254.169.254");
    },
    TEST_MS,
  );

  test(
    "a service that wants session tokens is served, and noted",
    async () => {
      await using lab = await openDoctorLab();
      lab.behave({ tokensRequired: true, userData: CLOUD_CONFIG });
      const { code, report } = await lab.doctor();
      expect(report.findings.map((one) => [one.code, one.severity])).toEqual([
        ["TOKENS_REQUIRED", "info"],
      ]);
      expect(code).toBe(0);
    },
    TEST_MS,
  );

  test(
    "no user data is a note, not a fault",
    async () => {
      await using lab = await openDoctorLab();
      lab.behave({});
      const { code, report } = await lab.doctor();
      expect(report.findings.map((one) => [one.code, one.severity])).toEqual([
        ["USER_DATA_EMPTY", "info"],
      ]);
      expect(code).toBe(0);
    },
    TEST_MS,
  );

  test(
    "a proxy whose exceptions name the service is no fault",
    async () => {
      await using lab = await openDoctorLab();
      lab.behave({ userData: CLOUD_CONFIG });
      const { code } = await lab.doctor({
        http_proxy: "http://10.1.1.96:3128",
        no_proxy: "localhost,169.254.169.254,10.1.1.1",
      });
      expect(code).toBe(0);
    },
    TEST_MS,
  );
});
