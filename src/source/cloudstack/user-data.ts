/**
 * The user data of instances: with the list where CloudStack has it there, since 4.18, else asked
 * one by one.
 */

import { CloudStackError } from "../../model/errors.ts";
import { decodeUserData } from "../databag/user-data.ts";
import { isFields } from "./answer.ts";
import type { Instance } from "./cloud.ts";
import { USER_DATA_CHARS_MAX } from "./limits.ts";
import { type CloudReader, ifPermitted } from "./reader.ts";

const COMMAND = "getVirtualMachineUserData";
const KEYS = ["user-data"];

/** Asked for at a time: so few are no burden to remember, and keep the client busy. */
const BATCH = 100;

/** What the API's text of it means: its bytes, none, or why they cannot be had. */
export function userDataFrom(text: string | undefined): Instance["userData"] {
  if (text === undefined || text === "") return undefined;
  if (text.length > USER_DATA_CHARS_MAX) return "user-data-too-large";
  const bytes = /^[A-Za-z0-9+/=\s]*$/.test(text) ? decodeUserData(text) : undefined;
  return bytes ?? "user-data-invalid";
}

export async function readUserData(
  reader: CloudReader,
  instances: readonly Instance[],
): Promise<readonly Instance[]> {
  const isListed =
    instances.length === 0 ||
    instances.some(({ userData }) => userData !== undefined) ||
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

async function withUserData(
  { api, signal, budget }: CloudReader,
  instance: Instance,
): Promise<Instance> {
  try {
    const answer = await api.read(COMMAND, { virtualmachineid: instance.id }, signal);
    const { virtualmachineuserdata: data } = answer;
    const userdata = isFields(data) ? data.userdata : undefined;
    const userData = userDataFrom(typeof userdata === "string" ? userdata : undefined);
    budget?.keep(COMMAND, userData);
    return { ...instance, userData };
  } catch (error) {
    // It went since it was listed.
    if (error instanceof CloudStackError && error.code === "CLOUDSTACK_REQUEST") return instance;
    throw error;
  }
}
