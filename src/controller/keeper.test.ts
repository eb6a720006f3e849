/** What a keeper does while somebody else writes the same instances. */

import { expect, test } from "bun:test";
import { optionsOf, record, scratch } from "../../test/store/samples.ts";
import { isSealed, sealed } from "../model/record.ts";
import { openSqlite } from "../store/sqlite.ts";
import { Keeper } from "./keeper.ts";

for (const turns of [0, 6, 200]) {
  test(`a NIC that comes ${turns} turns after a seal was asked for is sealed`, async () => {
    using folder = scratch();
    await using store = await openSqlite(`${folder.path}/store.sqlite`, optionsOf());
    const keeper = await Keeper.open(store);
    await keeper.keep("i-1", [record()]);
    const open = await store.get({ network: "204", id: "i-1" });
    if (open === undefined) throw new Error("it was not kept");
    const sealing = store.put(sealed(open.record), { expect: open.revision });
    for (let turn = 0; turn < turns; turn++) await null;
    await keeper.keep("i-1", [record(), record({ network: "205" })]);
    await sealing;
    for (const network of ["204", "205"]) {
      const held = await store.get({ network, id: "i-1" });
      expect(held && isSealed(held.record)).toBe(true);
    }
  });
}
