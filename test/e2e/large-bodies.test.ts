/** Large user data of more guests than fit into the memory; `test/long` has two thousand. */

import { expect, test } from "bun:test";
import { memoryGroupMissing } from "./cgroup.ts";
import { largeBodies } from "./large-bodies.ts";
import { RIMS } from "./router.ts";

const GUESTS = 300;
const TEST_MS_MAX = 60_000;

const lacking = memoryGroupMissing();

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `300 guests get a mebibyte each from a router with 256 MiB (${rim})`,
    async () => {
      expect(await largeBodies(rim, GUESTS)).toEqual({ right: GUESTS, wrong: 0 });
    },
    TEST_MS_MAX,
  );
}
