/** An address that changes hands under load; `test/long` does it a thousand times. */

import { expect, test } from "bun:test";
import { handOvers } from "./handover.ts";
import { loopbackMissing } from "./loopback.ts";
import { RIMS } from "./router.ts";

const ROUNDS = 50;
const TEST_MS_MAX = 60_000;

const lacking = loopbackMissing();

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `an address changes hands ${ROUNDS} times, and nobody gets a byte of before, on the ${rim} rim`,
    async () => {
      const { rounds, answers, wrong } = await handOvers(rim, ROUNDS);
      expect(wrong).toEqual([]);
      expect(rounds).toBe(ROUNDS);
      for (const kind of ["200", "304", "password"]) {
        expect([kind, (answers[kind] ?? 0) > ROUNDS]).toEqual([kind, true]);
      }
    },
    TEST_MS_MAX,
  );
}
