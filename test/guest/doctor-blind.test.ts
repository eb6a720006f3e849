/**
 * Eight faults by chance, amid oddities that are none; the long tier makes forty. The numbers of the
 * rounds are printed; FRONTDESK_SEED makes them again.
 */

import { expect, test } from "bun:test";
import { labMissing } from "../e2e/lab.ts";
import { blindRounds, seedsOf } from "./doctor-blind.ts";

const ROUNDS = 8;
const RIGHT_MIN = 7;
const TEST_MS = 120_000;

const skip = labMissing(["nft", "iptables", "dnsmasq", "unshare", "getent"]) !== undefined;

test.skipIf(skip)(
  "of eight faults by chance, doctor names seven first, and nothing falsely for sure",
  async () => {
    const rounds = await blindRounds(seedsOf(ROUNDS), (line) => console.log(line));
    expect(rounds.filter(({ isFalselySure }) => isFalselySure)).toEqual([]);
    const wrong = rounds.filter(({ isRight }) => !isRight);
    if (rounds.length - wrong.length < RIGHT_MIN) expect(wrong).toEqual([]);
  },
  TEST_MS,
);
