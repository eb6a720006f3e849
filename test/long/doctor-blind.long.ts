/**
 * Forty faults by chance, each in a network of its own: doctor names at least 38 of them first, and
 * calls nothing certain that is not so. The numbers of the rounds are printed; FRONTDESK_SEED makes
 * them again.
 */

import { expect, test } from "bun:test";
import { labMissing } from "../e2e/lab.ts";
import { blindRounds, seedsOf } from "../guest/doctor-blind.ts";

const ROUNDS = 40;
const RIGHT_MIN = 38;
const TEST_MS = 900_000;

const skip = labMissing(["nft", "iptables", "dnsmasq", "unshare", "getent"]) !== undefined;

test.skipIf(skip)(
  "of forty faults by chance, doctor names 38 first, and nothing falsely for sure",
  async () => {
    const rounds = await blindRounds(seedsOf(ROUNDS), (line) => console.log(line));
    expect(rounds.filter(({ isFalselySure }) => isFalselySure)).toEqual([]);
    const wrong = rounds.filter(({ isRight }) => !isRight);
    if (rounds.length - wrong.length < RIGHT_MIN) expect(wrong).toEqual([]);
  },
  TEST_MS,
);
