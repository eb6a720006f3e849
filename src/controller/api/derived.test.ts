/**
 * Goal: who reads an instance, changes it and sends it back gets what was meant. Method: the whole
 * document as a GET answers it, with a field or two changed; the guest's keys are looked at.
 */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Ip, parseIp } from "../../model/address.ts";
import type { KeyValue } from "../../model/binding.ts";
import { keysAt } from "../../model/record.ts";
import { parseRecord } from "../../model/record-parse.ts";
import { metadataKeys, renamed } from "../client-api/metadata.ts";
import { DERIVED_NAMES } from "./derived.ts";
import { type Api, openApi } from "./testing.ts";

const NAME = { network: "204", id: "i-1" };
const AT = "/v1/instances/204/i-1";
const BODY = { name: "k1", nics: [{ addresses: ["127.1.5.5"], default: true }] };

interface Document {
  name: string;
  nics: { addresses: string[]; default: boolean; keys?: KeyValue[]; derived?: object }[];
  keys: KeyValue[];
  derived: object;
}

async function read({ ask }: Api): Promise<Document> {
  return (await ask(`GET ${AT}`)).json as Document;
}

/** What the guest is told at each NIC. */
async function told({ store }: Api): Promise<Record<string, string | null>[]> {
  const record = (await store.get(NAME))?.record;
  return (record?.nics ?? []).map((nic) =>
    Object.fromEntries(
      keysAt(record as NonNullable<typeof record>, nic).filter(([, value]) => value !== ""),
    ),
  );
}

test("what was read, changed and sent back is the guest's, sent twice or once", async () => {
  const api = openApi();
  await api.ask(`PUT ${AT}`, { body: BODY });
  const { nics, ...rest } = await read(api);
  const changed = {
    ...{ ...rest, name: "k2", zone: "z2" },
    nics: nics.map((nic) => ({ ...nic, addresses: ["127.1.5.6"] })),
  };
  for (const _ of ["once", "twice"]) {
    expect((await api.ask(`PUT ${AT}`, { body: changed })).status).toBe(200);
    expect(await told(api)).toEqual([
      {
        ...{ "service-offering": null, "public-keys": null, "instance-id": "i-1", "vm-id": "i-1" },
        ...{ "availability-zone": "z2", "local-hostname": "k2", "local-ipv4": "127.1.5.6" },
      },
    ]);
  }
});

test("what CloudStack's API has made follows too", async () => {
  const api = openApi();
  const made = (name: string, ipv4: Ip) =>
    metadataKeys({ id: "i-1", name, offering: "small", ipv4, details: [["a", "k1"]] });
  const record = { ...NAME, ...BODY, zone: "lab", publicKeys: [], incarnation: 1, epoch: 1 };
  await api.store.put(parseRecord({ ...record, keys: made("k1", parseIp("127.1.5.5")) }));
  const document = await read(api);
  const nics = [{ addresses: ["127.1.5.6"], default: true }];
  await api.ask(`PUT ${AT}`, { body: { ...document, name: "k2", nics } });
  expect((await api.store.get(NAME))?.record.keys).toEqual(made("k2", parseIp("127.1.5.6")));
});

test("CloudStack's API renames what follows, however it is written, and nothing else", () => {
  const named = (name: string): KeyValue[] => [["local-hostname", name]];
  const cases = { "w\u00e9b": "k4", "w\\u00E9b": "k4", given: "given" };
  for (const [before, after] of Object.entries(cases)) {
    expect(renamed(named(before), "w\u00e9b", "k4")).toEqual(named(after));
  }
});

test("a key that was given stays, also where another write came between", async () => {
  const api = openApi();
  await api.ask(`PUT ${AT}`, { body: BODY });
  const document = await read(api);
  const keys = document.keys.map(
    ([name, value]): KeyValue =>
      name === "local-hostname" ? [name, "k1.example.org"] : [name, value],
  );
  await api.ask(`PUT ${AT}`, { body: { ...document, name: "k9" } });
  await api.ask(`PUT ${AT}`, { body: { ...document, keys } });
  expect((await told(api))[0]).toMatchObject({ "local-hostname": "k1.example.org" });
  await api.ask(`PUT ${AT}`, { body: { ...(await read(api)), name: "k2" } });
  expect((await told(api))[0]).toMatchObject({ "local-hostname": "k1.example.org" });
  // Keys alone are exactly what they say.
  const exact = { ...BODY, keys: [["local-hostname", "k1"]] };
  for (const name of ["k1", "k3", "k3"]) await api.ask(`PUT ${AT}`, { body: { ...exact, name } });
  expect(await told(api)).toEqual([{ "local-hostname": "k1" }]);
});

test("each NIC has its own address, whichever is the default one, and one that is added", async () => {
  const api = openApi();
  const nic = (address: string, isMain = false) => ({ addresses: [address], default: isMain });
  await api.ask(`PUT ${AT}`, {
    body: { ...BODY, nics: [nic("10.1.1.5", true), nic("10.1.1.6"), nic("fd00::7")] },
  });
  const { nics, ...rest } = await read(api);
  const turned = nics.map((nic, index) => ({ ...nic, default: index === 1 }));
  await api.ask(`PUT ${AT}`, { body: { ...rest, nics: [...turned, nic("10.1.1.8")] } });
  const addresses = async () => (await told(api)).map((keys) => keys["local-ipv4"]);
  expect(await addresses()).toEqual(["10.1.1.5", "10.1.1.6", undefined, "10.1.1.8"]);
  const now = await read(api);
  for (const [index, nic] of now.nics.entries()) nic.addresses = [`10.2.0.${index}`];
  await api.ask(`PUT ${AT}`, { body: now });
  expect(await addresses()).toEqual(["10.2.0.0", "10.2.0.1", "10.2.0.2", "10.2.0.3"]);
});

test("whatever a record holds, what was read may be sent back and changes nothing", async () => {
  const word = fc.constantFrom("k1", "i-1", "z", "10.1.1.5", "10.1.1.6", "", "toString", null);
  const keys = fc.uniqueArray(
    fc.tuple(fc.constantFrom(...DERIVED_NAMES, "x", "toString", "__proto__"), word),
    { selector: ([name]) => name, maxLength: 8 },
  );
  const nic = fc.record(
    { addresses: fc.constant<string[]>([]), default: fc.constant(false), keys },
    { requiredKeys: ["addresses", "default"] },
  );
  const nics = fc.array(nic, { maxLength: 3 }).map((all) =>
    all.map((one, index) => ({
      ...one,
      addresses: [`10.1.1.${5 + index}`, `fd00::${index}`].slice(index),
    })),
  );
  const zone = fc.constantFrom({}, { zone: "z" });
  await fc.assert(
    fc.asyncProperty(nics, keys, zone, async (nics, keys, zone) => {
      const api = openApi();
      const record = { ...NAME, name: "k1", nics, keys, publicKeys: [], ...zone };
      await api.store.put(parseRecord({ ...record, incarnation: 1, epoch: 1 }));
      const before = await api.store.get(NAME);
      expect((await api.ask(`PUT ${AT}`, { body: await read(api) })).status).toBe(200);
      expect(await api.store.get(NAME)).toEqual(before as never);
    }),
  );
});
