/** An address that changes hands a thousand times under load. */

import { expect, test } from "bun:test";
import { handOvers } from "../e2e/handover.ts";
import { loopbackMissing } from "../e2e/loopback.ts";
import { RIMS } from "../e2e/router.ts";

const ROUNDS = 1_000;
const TEST_MS_MAX = 600_000;

const lacking = loopbackMissing();

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `an address changes hands 1,000 times, and nobody gets a byte of before (${rim})`,
    async () => {
      const { rounds, wrong } = await handOvers(rim, ROUNDS);
      expect(wrong).toEqual([]);
      expect(rounds).toBe(ROUNDS);
    },
    TEST_MS_MAX,
  );
}
