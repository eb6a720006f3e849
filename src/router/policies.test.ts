/** Which policy holds for which network. */

import { describe, expect, test } from "bun:test";
import type { Network } from "../model/change.ts";
import { type GivenNetwork, policiesOf } from "./policies.ts";

const given = (network: Partial<GivenNetwork>): GivenNetwork => ({
  ...{ id: "web", cidrs: ["10.1.1.0/24"], macEvidence: "enforce", routed: false, leaseFiles: [] },
  ...network,
});

function check(
  configured: readonly GivenNetwork[],
  known: readonly Network[],
  expected: readonly string[],
): void {
  const policies = policiesOf(configured, known, (cidrs) => cidrs.map(({ text }) => `on ${text}`));
  const shown = policies.map(({ id, cidrs, macEvidence, devices }) =>
    [id, cidrs.map(({ text }) => text).join(" "), macEvidence, devices.join(" ")].join(", "),
  );
  expect(shown).toEqual([...expected]);
}

describe("the policy of a network", () => {
  test("is to audit where nobody says otherwise, and off where all guests are on loopback", () => {
    check([], [{ id: "a", cidrs: ["10.0.0.0/8"] }], ["a, 10.0.0.0/8, audit, on 10.0.0.0/8"]);
    check([], [{ id: "a", cidrs: [] }], ["a, , audit, "]);
    check(
      [],
      [{ id: "lo", cidrs: ["127.9.0.0/16", "::1/128"] }],
      ["lo, 127.9.0.0/16 ::1/128, off, on 127.9.0.0/16 on ::1/128"],
    );
    check([], [{ id: "all", cidrs: ["0.0.0.0/0"] }], ["all, 0.0.0.0/0, audit, on 0.0.0.0/0"]);
  });

  test("is the one with its id, whatever the ranges", () => {
    check(
      [given({ id: "eth2", cidrs: ["10.9.0.0/16"] })],
      [{ id: "eth2", cidrs: ["10.1.1.0/24"] }],
      ["eth2, 10.1.1.0/24, enforce, on 10.1.1.0/24"],
    );
  });

  test("is the one that shares a range, whatever the id", () => {
    check(
      [given({})],
      [{ id: "eth2", cidrs: ["10.1.1.0/24"] }],
      ["eth2, 10.1.1.0/24, enforce, on 10.1.1.0/24"],
    );
  });

  test("is there for a network that the source does not know", () => {
    check(
      [given({})],
      [{ id: "eth2", cidrs: ["10.2.0.0/24"] }],
      ["eth2, 10.2.0.0/24, audit, on 10.2.0.0/24", "web, 10.1.1.0/24, enforce, on 10.1.1.0/24"],
    );
  });

  test("adds the ranges of an IP version of which the source says nothing, once", () => {
    check(
      [given({ cidrs: ["10.0.0.0/8", "fd00::/64"] })],
      [
        { id: "eth2", cidrs: ["10.1.1.0/24"] },
        { id: "eth3", cidrs: ["10.1.2.0/24"] },
      ],
      [
        "eth2, 10.1.1.0/24 fd00::/64, enforce, on 10.1.1.0/24 on fd00::/64",
        "eth3, 10.1.2.0/24, enforce, on 10.1.2.0/24",
      ],
    );
  });

  test("takes its ranges from the configuration where the source has none", () => {
    check(
      [given({ id: "lab" })],
      [{ id: "lab", cidrs: [] }],
      ["lab, 10.1.1.0/24, enforce, on 10.1.1.0/24"],
    );
  });
});
