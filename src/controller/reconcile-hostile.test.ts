/**
 * Looks at an API that is broken, or is somebody else's: what it says must cost no record, no
 * password, and nothing of the others.
 */

import { expect, test } from "bun:test";
import type { InstanceRecord } from "../model/record.ts";
import { SIGNAL } from "../source/cloudstack/testing.ts";
import { CONFIRM_MS } from "./shrink.ts";
import { kept, openLab } from "./testing.ts";

test("a list that contradicts itself costs no record and no password, however often", async () => {
  for (const virtualmachine of ["xx", [], {}, undefined]) {
    await using lab = await openLab({ instances: 2 });
    await lab.look.all(SIGNAL);
    const name = { network: "net-isolated", id: "i-1" };
    const { record } = (await lab.store.get(name)) as { record: InstanceRecord };
    const password = { id: "p-1", password: "fN7xvQ2p" };
    await lab.store.put({ ...record, password });
    const body = JSON.stringify({ listvirtualmachinesresponse: { count: 2, virtualmachine } });
    lab.api.fail("listVirtualMachines", ...Array.from({ length: 20 }, () => ({ body })));
    for (let look = 0; look < 3; look++) {
      await expect(lab.look.all(SIGNAL)).rejects.toMatchObject({ code: "CLOUDSTACK_ANSWER" });
      lab.time += CONFIRM_MS;
    }
    lab.api.faults.clear();
    expect(await lab.look.all(SIGNAL)).toMatchObject({ instances: 2, deleted: 0 });
    expect((await kept(lab.store)).length).toBe(2);
    expect((await lab.store.get(name))?.record.password).toEqual(password);
  }
});
