/** Large user data of two thousand guests, two gibibytes, from a router with 256 MiB. */

import { expect, test } from "bun:test";
import { memoryGroupMissing } from "../e2e/cgroup.ts";
import { largeBodies } from "../e2e/large-bodies.ts";
import { RIMS } from "../e2e/router.ts";

const GUESTS = 2000;
const TEST_MS_MAX = 600_000;

const lacking = memoryGroupMissing();

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `2,000 guests get a mebibyte each from a router with 256 MiB (${rim})`,
    async () => {
      expect(await largeBodies(rim, GUESTS)).toEqual({ right: GUESTS, wrong: 0 });
    },
    TEST_MS_MAX,
  );
}
