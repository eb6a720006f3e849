import { expect, test } from "bun:test";
import type { Fields } from "./answer.ts";
import { Budget } from "./budget.ts";
import type { Api } from "./client.ts";
import { instance } from "./example.ts";
import { Findings } from "./findings.ts";
import { LOOK_BYTES_MAX } from "./limits.ts";
import { readCloud } from "./read-cloud.ts";
import type { CloudReader } from "./reader.ts";
import { SIGNAL } from "./testing.ts";

interface Scene {
  readonly instances: readonly Fields[];
  /** So that every list is asked for twice, and has the same. */
  readonly projects?: boolean;
  readonly version?: string;
  /** Of each instance, where it is asked for one by one. Base64. */
  readonly userData?: string;
}

/** @returns how often instances were asked for */
async function read(scene: Scene, bytesMax: number): Promise<number> {
  const { instances, projects = false, version = "4.22.0", userData } = scene;
  let asked = 0;
  const answers: Readonly<Record<string, (page: number, size: number) => Fields>> = {
    listProjects: () => (projects ? { count: 1, project: [{}] } : {}),
    listCapabilities: () => ({ capability: { cloudstackversion: version } }),
    getVirtualMachineUserData: () => ({ virtualmachineuserdata: { userdata: userData } }),
    listVirtualMachines: (page, size) => {
      asked++;
      const virtualmachine = instances.slice((page - 1) * size, page * size);
      return { count: instances.length, virtualmachine };
    },
  };
  const api: Api = {
    read: async (command, { page, pagesize }) =>
      answers[command]?.(Number(page), Number(pagesize)) ?? {},
  };
  const findings = new Findings();
  const budget = new Budget(bytesMax);
  const reader: CloudReader = { api, apiKey: "k", findings, signal: SIGNAL, budget };
  await readCloud(reader);
  return asked;
}

const many = (count: number, more: Fields = {}): readonly Fields[] =>
  Array.from({ length: count }, (_, n) => instance(`i-${n}`, more));

const TOO_LARGE = {
  code: "CLOUDSTACK_TOO_LARGE",
  message: "listVirtualMachines: all that is read is more than 3000000 bytes",
};

test("what a look keeps is bounded, whatever each answer has, and asked for once", async () => {
  expect(await read({ instances: many(1500) }, 3_000_000)).toBe(3);
  const large = many(1500, { name: "x".repeat(2000) });
  await expect(read({ instances: large }, 3_000_000)).rejects.toMatchObject(TOO_LARGE);
  const withUserData = many(1500, { userdata: "QUJD".repeat(700) });
  await expect(read({ instances: withUserData }, 3_000_000)).rejects.toMatchObject(TOO_LARGE);
});

test("what is not kept does not count, nor what is there twice", async () => {
  const details = { "SSH.PublicKey": "ssh-ed25519 AAAA", other: "x".repeat(2000) };
  expect(await read({ instances: many(1500, { details }) }, 3_000_000)).toBe(3);
  expect(await read({ instances: many(1500), projects: true }, 2_000_000)).toBe(6);
  await expect(read({ instances: many(3000), projects: true }, 2_000_000)).rejects.toThrow();
});

test("user data counts where it is asked for one by one, too", async () => {
  const scene = { instances: many(100), version: "4.17.2" };
  expect(await read({ ...scene, userData: "QUJD".repeat(10) }, 1_000_000)).toBe(1);
  const asking = read({ ...scene, userData: "QUJD".repeat(5000) }, 1_000_000);
  await expect(asking).rejects.toMatchObject({ code: "CLOUDSTACK_TOO_LARGE" });
});

test("a hundred thousand instances fit, each with 3 KiB of user data", async () => {
  const uuid = "6f1c2d4e-0b7a-4c53-9e58-1a2b3c4d5e6f";
  const key = { "SSH.PublicKey": `ssh-rsa ${"A".repeat(560)}` };
  const userdata = "QUJD".repeat(1024);
  const usual = many(1000, { name: `${uuid}-web`, details: key, userdata });
  await read({ instances: usual }, LOOK_BYTES_MAX / 100);
});
