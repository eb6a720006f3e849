/**
 * The user data of instances: with the list where CloudStack has it there, since 4.18, else asked
 * one by one.
 */

import { CloudStackError } from "../../model/errors.ts";
import { isFields } from "./answer.ts";
import type { Instance } from "./cloud.ts";
import { type CloudReader, ifPermitted } from "./reader.ts";

const COMMAND = "getVirtualMachineUserData";
const KEYS = ["user-data"];

/** Asked for at a time: so few are no burden to remember, and keep the client busy. */
const BATCH = 100;

export async function readUserData(
  reader: CloudReader,
  instances: readonly Instance[],
): Promise<readonly Instance[]> {
  const isListed =
    instances.length === 0 ||
    instances.some(({ userdata }) => userdata !== undefined) ||
    (await isSince418(reader));
  if (isListed) return instances;
  const all = await ifPermitted(reader, COMMAND, KEYS, async () => {
    const read: Instance[] = [];
    for (let from = 0; from < instances.length; from += BATCH) {
      const batch = instances.slice(from, from + BATCH);
      read.push(...(await Promise.all(batch.map((instance) => withUserData(reader, instance)))));
    }
    return read;
  });
  return all ?? instances;
}

async function isSince418({ api, signal }: CloudReader): Promise<boolean> {
  const { capability } = await api.read("listCapabilities", {}, signal);
  const version = String(isFields(capability) ? capability.cloudstackversion : "");
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 4 || (major === 4 && minor >= 18);
}

async function withUserData({ api, signal }: CloudReader, instance: Instance): Promise<Instance> {
  try {
    const answer = await api.read(COMMAND, { virtualmachineid: instance.id }, signal);
    const { virtualmachineuserdata: data } = answer;
    const userdata = isFields(data) ? data.userdata : undefined;
    return typeof userdata === "string" ? { ...instance, userdata } : instance;
  } catch (error) {
    // It went since it was listed.
    if (error instanceof CloudStackError && error.code === "CLOUDSTACK_REQUEST") return instance;
    throw error;
  }
}
