import { expect, test } from "bun:test";
import { type InstanceRecord, isSealed, sealed, unsealed } from "../../model/record.ts";
import { openTestLab, WITH_PASSWORD } from "./testing.ts";

const text = (words: string): string => Buffer.from(words).toString("base64");

test("a sealed instance gets no password, and stays sealed whatever is changed", async () => {
  const lab = openTestLab();
  const userdata = text("#!/bin/sh\n");
  const { id: given } = await lab.done("deployVirtualMachine", { ...WITH_PASSWORD, userdata });
  const id = String(given);
  await lab.done("stopVirtualMachine", { id });
  const record = async () => (await lab.record(id)) as InstanceRecord;
  const waits = (await record()).password?.id;
  await lab.store.put(sealed(await record()));
  for (const params of [{ id }, { id, password: "Chosen-1" }]) {
    const failed = await lab.job("resetPasswordForVirtualMachine", params);
    expect(failed).toMatchObject({ jobstatus: 2, jobresultcode: 530 });
    expect(failed.jobresult).toMatchObject({
      ...{ errorcode: 431, cserrorcode: 4350 },
      errortext: "The instance is sealed: an operator must open it before a reset",
    });
  }
  expect((await record()).password?.id).toBe(waits as string);

  await lab.ok("updateVirtualMachine", { id, name: "other", userdata: text("other") });
  await lab.ok("resetUserDataForVirtualMachine", { id, userdata: text("another") });
  for (const command of ["startVirtualMachine", "rebootVirtualMachine", "stopVirtualMachine"]) {
    await lab.done(command, { id });
  }
  expect(isSealed(await record())).toBe(true);
  expect((await record()).name).toBe("other");
  expect((await record()).userData).toEqual(new Uint8Array(Buffer.from("another")));
  // Another installation needs all of it.
  const restored = await lab.done("restoreVirtualMachine", { virtualmachineid: id });
  expect(isSealed(await record())).toBe(false);
  expect((await record()).password?.password).toBe(String(restored.password));
  await lab.store.put(unsealed(sealed(await record())));
  await lab.done("stopVirtualMachine", { id });
  const reset = await lab.done("resetPasswordForVirtualMachine", { id });
  expect((await record()).password?.password).toBe(String(reset.password));
});
