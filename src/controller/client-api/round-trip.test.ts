/**
 * Goal: what this API tells is enough to make the records anew. Method: our own client reads a lab
 * over a socket, as it reads CloudStack, and what it makes of it is compared with the store. The
 * keys of a record are written down twice, here and in the source: neither knows the other.
 */

import { expect, test } from "bun:test";
import { Hono } from "hono";
import { equal } from "../../model/record.ts";
import { Conditions } from "../../observe/conditions.ts";
import { contentHash } from "../../protocol/etag.ts";
import { CloudStackClient } from "../../source/cloudstack/client.ts";
import { Findings } from "../../source/cloudstack/findings.ts";
import { networksOf } from "../../source/cloudstack/networks.ts";
import { readCloud } from "../../source/cloudstack/read-cloud.ts";
import { recordsOf } from "../../source/cloudstack/records.ts";
import { MemoryStore } from "../../store/memory.ts";
import { Reconciler } from "../reconcile.ts";
import { Troubles } from "../troubles.ts";
import { CLIENT_API_PATH } from "./app.ts";
import { OFFERINGS } from "./catalogue.ts";
import { base64Of, KEYS, LEAST, openTestLab, PUBLIC_KEY, WITH_PASSWORD } from "./testing.ts";

const PORT = 19_401;
const SIGNAL = new AbortController().signal;

test("a page with much user data is refused so that our source asks for smaller ones", async () => {
  const lab = openTestLab({ userDataMax: 1_048_576 });
  lab.time = Date.now();
  const root = new Hono().route(CLIENT_API_PATH, lab.app);
  using server = Bun.serve({ port: PORT, hostname: "127.0.0.1", fetch: root.fetch });
  using client = new CloudStackClient({
    endpoint: new URL(`${server.url.origin}${CLIENT_API_PATH}`),
    credentials: KEYS,
  });
  const userdata = base64Of(1_000_000);
  for (let n = 0; n < 30; n++) {
    await lab.done("deployVirtualMachine", { ...LEAST, userdata }, { post: true });
  }
  const findings = new Findings();
  const reader = { api: client, apiKey: KEYS.apiKey, findings, signal: SIGNAL };
  const { instances, complete } = await readCloud(reader);
  expect([instances.length, complete, findings.list()]).toEqual([30, true, []]);
  expect(instances.every((one) => one.userData?.length === 750_000)).toBe(true);
});

test("our source reads fifty instances through it, and gets the store's records", async () => {
  const lab = openTestLab();
  lab.time = Date.now(); // The client has a clock of its own.
  await lab.ok("listNetworks");
  const known = await lab.store.networks();
  await lab.store.putNetworks([
    ...known,
    { id: "net-6", cidrs: ["10.6.0.0/16", "fd00:6::/64"], dnsDomain: "six.example" },
    { id: "net-7", cidrs: ["fd00:7::/64"] },
  ]);
  const root = new Hono().route(CLIENT_API_PATH, lab.app);
  using server = Bun.serve({ port: PORT, hostname: "127.0.0.1", fetch: root.fetch });
  using client = new CloudStackClient({
    endpoint: new URL(`${server.url.origin}${CLIENT_API_PATH}`),
    credentials: KEYS,
  });
  await lab.ok("registerSSHKeyPair", { name: "alice", publickey: PUBLIC_KEY });
  const { userdata } = await lab.ok("registerUserData", { name: "u", userdata: "AAAA" });
  const userdataid = (userdata as { id: string }).id;
  for (let n = 0; n < 50; n++) {
    const [network] = known;
    await lab.done("deployVirtualMachine", {
      ...(n % 3 === 0 ? WITH_PASSWORD : LEAST),
      name: `web-${n}`,
      displayname: `Größe ${n}`,
      serviceofferingid: OFFERINGS[n % OFFERINGS.length]?.id ?? "",
      ...(n % 2 === 0 && { keypairs: "alice" }),
      ...(n % 4 === 1 && { userdata: base64Of(4 * (n + 1)) }),
      ...(n % 4 === 2 && { userdataid }),
      ...(n % 5 === 0 && { "userdatadetails[0].tier": `ä ${n}`, "userdatadetails[1].role": "x=y" }),
      ...(n % 7 === 0 && { networkids: `net-6,${network?.id}` }),
      ...(n % 11 === 1 && { networkids: "net-7" }),
      ...(n % 6 === 0 && { startvm: "false" }),
    });
  }
  const findings = new Findings();
  const reader = { api: client, apiKey: KEYS.apiKey, findings, signal: SIGNAL };
  const cloud = await readCloud(reader);
  expect(findings.list()).toEqual([]);
  expect(networksOf(cloud)).toEqual([...(await lab.store.networks())]);

  const read = [...recordsOf(cloud, new Map(), findings)].flatMap(({ records }) => records ?? []);
  const { records } = await lab.store.list();
  const kept = new Map(records.map(({ record }) => [`${record.network} ${record.id}`, record]));
  expect(findings.list()).toEqual([]);
  expect(cloud.instances.length).toBe(50);
  expect(read.length).toBe(58);
  expect(read.length).toBe(kept.size);
  for (const record of read) {
    const { password: _, ...same } = kept.get(`${record.network} ${record.id}`) ?? record;
    const ours = { ...record, epoch: same.epoch };
    if (!equal(ours, same, contentHash)) expect(ours).toEqual(same);
    expect(equal(ours, same, contentHash)).toBe(true);
  }
});

test("our source sees that an instance was installed anew, and of whom", async () => {
  const lab = openTestLab();
  lab.time = Date.now();
  const root = new Hono().route(CLIENT_API_PATH, lab.app);
  using server = Bun.serve({ port: PORT, hostname: "127.0.0.1", fetch: root.fetch });
  using client = new CloudStackClient({
    endpoint: new URL(`${server.url.origin}${CLIENT_API_PATH}`),
    credentials: KEYS,
  });
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) {
    ids.push(String((await lab.done("deployVirtualMachine", { ...LEAST, name: `web-${n}` })).id));
  }
  const [virtualmachineid = "", alone = "", never = ""] = ids;
  const store = new MemoryStore();
  const conditions = new Conditions(() => 0);
  const look = new Reconciler({
    ...{ api: client, apiAlone: client, apiKey: () => KEYS.apiKey, store, now: () => lab.time },
    troubles: new Troubles(conditions, "lab"),
  });
  const seen = async (): Promise<Record<string, number>> => {
    const { records } = await store.list();
    return Object.fromEntries(records.map(({ record }) => [record.id, record.incarnation]));
  };
  await look.all(SIGNAL);
  expect(await seen()).toEqual({ [virtualmachineid]: 1, [alone]: 1, [never]: 1 });
  await lab.done("restoreVirtualMachine", { virtualmachineid });
  await look.all(SIGNAL);
  expect(await seen()).toEqual({ [virtualmachineid]: 2, [alone]: 1, [never]: 1 });
  await lab.done("restoreVirtualMachine", { virtualmachineid: alone });
  expect(await look.some([alone], SIGNAL)).toBe(true);
  await lab.done("stopVirtualMachine", { id: never });
  await look.all(SIGNAL);
  expect(await seen()).toEqual({ [virtualmachineid]: 2, [alone]: 2, [never]: 1 });
  expect(conditions.list()).toEqual([]);
});
