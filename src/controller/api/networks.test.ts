import { expect, test } from "bun:test";
import { parseRecord } from "../../model/record-parse.ts";
import { MemoryStore } from "../../store/memory.ts";
import { type Api, openApi as openLab } from "./testing.ts";

const openApi = (): Api => openLab({}, new MemoryStore());

test("a network is made, read, replaced and taken away", async () => {
  const { ask } = openApi();
  const body = { cidrs: ["10.1.1.7/24", "fd00::/64"], dnsDomain: "lab.example" };
  const made = await ask("PUT /v1/networks/204", { body });
  const network = { id: "204", cidrs: ["10.1.1.0/24", "fd00::/64"], dnsDomain: "lab.example" };
  expect([made.status, made.json]).toEqual([201, network]);
  expect((await ask("GET /v1/networks/204", { role: "read" })).json).toEqual(network);
  const next = await ask("PUT /v1/networks/204", { body: { id: "204", cidrs: [] } });
  expect([next.status, next.json]).toEqual([200, { id: "204", cidrs: [] }]);
  expect((await ask("GET /v1/networks")).json).toEqual({ networks: [{ id: "204", cidrs: [] }] });
  expect((await ask("DELETE /v1/networks/204")).status).toBe(204);
  for (const request of ["GET /v1/networks/204", "DELETE /v1/networks/204"]) {
    expect((await ask(request)).code).toBe("NETWORK_UNKNOWN");
  }
});

test("what no network can have is refused by its name, and host bits of a range are dropped", async () => {
  const { ask } = openApi();
  const cases: readonly (readonly [id: string, body: object, message: string])[] = [
    ["204", { cidrs: [], dnsDomain: "bad domain!" }, "dnsDomain: is no domain: letters, digits"],
    ["204", { cidrs: [], dnsDomain: "-lab" }, "dnsDomain: is no domain"],
    ["204", { cidrs: [], dnsDomain: "a..b" }, "dnsDomain: is no domain"],
    ["204", { cidrs: ["10.0.0.0/8", "0.0.0.0/0"] }, "cidrs[1]: holds every address"],
    ["204", { cidrs: ["::/0"] }, "cidrs[0]: holds every address"],
    ["204", { cidrs: ["10.1.1.0"] }, "is not an address range"],
    ["a%20b", { cidrs: [] }, '"message":"id: must '],
  ];
  for (const [id, body, message] of cases) {
    const { status, code, text } = await ask(`PUT /v1/networks/${id}`, { body });
    expect([body, status, code]).toEqual([body, 400, "RECORD_INVALID"]);
    expect(text).toContain(message);
  }
  expect((await ask("GET /v1/networks")).json).toEqual({ networks: [] });
  const body = { cidrs: ["10.1.1.7/24"], dnsDomain: "cs2cloud.internal" };
  const put = await ask("PUT /v1/networks/204", { body });
  expect(put.json).toEqual({ id: "204", ...body, cidrs: ["10.1.1.0/24"] });
});

test("a write that depends on a revision is refused: networks have none", async () => {
  const { ask } = openApi();
  const body = { cidrs: ["10.1.1.0/24"] };
  for (const headers of [{ "if-match": '"1"' }, { "if-match": "*" }, { "if-none-match": "*" }]) {
    const put = await ask("PUT /v1/networks/204", { body, headers });
    expect([put.status, put.code]).toEqual([400, "REQUEST_INVALID"]);
    expect((await ask("DELETE /v1/networks/204", { headers })).code).toBe("REQUEST_INVALID");
  }
  expect((await ask("GET /v1/networks")).json).toEqual({ networks: [] });
});

test("a network with instances stays", async () => {
  const { ask } = openApi();
  await ask("PUT /v1/networks/204", { body: { cidrs: ["10.1.1.0/24"] } });
  await ask("PUT /v1/instances/204/i-1", { body: { name: "n", nics: [] } });
  const answer = await ask("DELETE /v1/networks/204");
  expect([answer.status, answer.code]).toEqual([409, "NETWORK_IN_USE"]);
  await ask("DELETE /v1/instances/204/i-1");
  expect((await ask("DELETE /v1/networks/204")).status).toBe(204);
});

test("a network that gets an instance while it is taken away stays", async () => {
  const store = new MemoryStore();
  const { ask } = openLab({}, store);
  await ask("PUT /v1/networks/204", { body: { cidrs: ["10.1.1.0/24"] } });
  const list = store.list.bind(store);
  store.list = async (query) => {
    const page = await list(query);
    store.list = list;
    await ask("PUT /v1/instances/204/i-1", { body: { name: "n", nics: [] } });
    return page;
  };
  expect((await ask("DELETE /v1/networks/204")).code).toBe("NETWORK_IN_USE");
  expect((await ask("GET /v1/networks/204")).status).toBe(200);
});

test("ranges that leave an instance outside are refused, and name it", async () => {
  const { ask } = openApi();
  const put = (...cidrs: string[]) => ask("PUT /v1/networks/204", { body: { cidrs } });
  const instance = (address: string) =>
    ask("PUT /v1/instances/204/i-1", { body: { name: "n", nics: [{ addresses: [address] }] } });
  await put("10.1.0.0/16");
  await ask("PUT /v1/instances/204/i-0", { body: { name: "n", nics: [] } });
  await instance("10.1.1.5");
  await ask("PUT /v1/networks/205", { body: { cidrs: ["10.3.0.0/16"] } });
  for (const cidrs of [["10.1.2.0/24"], ["fd00::/64"], ["10.1.1.0/30", "10.2.0.0/16"]]) {
    const { status, code, text } = await put(...cidrs);
    expect([cidrs, status, code]).toEqual([cidrs, 409, "NETWORK_IN_USE"]);
    expect(JSON.parse(text).error.message).toBe(
      'the instance "i-1" has 10.1.1.5, an address outside',
    );
    expect((await ask("GET /v1/networks/204")).json).toMatchObject({ cidrs: ["10.1.0.0/16"] });
  }
  for (const cidrs of [["10.1.1.0/24"], ["10.1.1.0/30", "10.1.1.4/30"], ["10.0.0.0/8"], []]) {
    expect([cidrs, (await put(...cidrs)).status]).toEqual([cidrs, 200]);
  }
  // None known stands for every address.
  expect((await put("10.2.0.0/16")).code).toBe("NETWORK_IN_USE");
  await ask("DELETE /v1/instances/204/i-1");
  expect((await put("10.2.0.0/16")).status).toBe(200);
});

test("one that is outside already keeps nobody from the rest, nor from wider ranges", async () => {
  const store = new MemoryStore();
  const { ask } = openLab({}, store);
  const put = (body: object) => ask("PUT /v1/networks/204", { body });
  await put({ cidrs: ["10.1.1.0/24"] });
  const nics = [{ addresses: ["10.9.9.9"], default: true }];
  const record = { network: "204", id: "i-1", name: "n", nics, keys: [], publicKeys: [] };
  await store.put(parseRecord({ ...record, incarnation: 1, epoch: 1 }));
  expect((await put({ cidrs: ["10.1.1.0/24"], dnsDomain: "lab.example" })).status).toBe(200);
  expect((await put({ cidrs: ["10.1.0.0/16"] })).status).toBe(200);
  expect((await put({ cidrs: ["10.1.1.0/24"] })).code).toBe("NETWORK_IN_USE");
});

test("an instance that comes while its network is narrowed is not left outside", async () => {
  const store = new MemoryStore();
  const { ask } = openLab({}, store);
  const put = (...cidrs: string[]) => ask("PUT /v1/networks/204", { body: { cidrs } });
  await put("10.1.0.0/16");
  const list = store.list.bind(store);
  store.list = async (query) => {
    const page = await list(query);
    store.list = list;
    const body = { name: "n", nics: [{ addresses: ["10.1.1.5"] }] };
    await ask("PUT /v1/instances/204/i-1", { body });
    return page;
  };
  expect((await put("10.1.2.0/24")).code).toBe("NETWORK_IN_USE");
  expect((await ask("GET /v1/networks/204")).json).toMatchObject({ cidrs: ["10.1.0.0/16"] });
});

test("many instances are looked at in many turns", async () => {
  const store = new MemoryStore();
  const { ask } = openLab({}, store);
  await ask("PUT /v1/networks/204", { body: { cidrs: ["10.1.0.0/16"] } });
  for (let n = 0; n < 3000; n++) {
    const nics = [{ addresses: [`10.1.${n >> 8}.${n & 255}`] }];
    const record = { network: "204", id: `i-${n}`, name: "n", nics, keys: [], publicKeys: [] };
    await store.put(parseRecord({ ...record, incarnation: 1, epoch: 1 }));
  }
  const list = store.list.bind(store);
  const read: number[] = [];
  let turn = 0;
  store.list = async (query) => {
    read.push(turn);
    return list(query);
  };
  const tick = (): void => {
    turn++;
    ticking = setImmediate(tick);
  };
  let ticking = setImmediate(tick);
  const put = await ask("PUT /v1/networks/204", { body: { cidrs: ["10.1.0.0/17"] } });
  clearImmediate(ticking);
  expect(put.status).toBe(200);
  expect(read).toHaveLength(6);
  expect(new Set(read).size).toBe(6);
});

test("networks that are made at once are all there", async () => {
  const { ask } = openApi();
  const ids = Array.from({ length: 20 }, (_, i) => String(i));
  await Promise.all(ids.map((id) => ask(`PUT /v1/networks/${id}`, { body: { cidrs: [] } })));
  const { networks } = (await ask("GET /v1/networks")).json as { networks: { id: string }[] };
  expect(networks.map(({ id }) => id).sort()).toEqual(ids.sort());
});

test("what is no network is refused, and a refusal stops nobody behind it", async () => {
  const { ask } = openApi();
  const cases: readonly (readonly [path: string, body: unknown, code: string])[] = [
    ["204", {}, "REQUEST_INVALID"],
    ["204", { cidrs: "10.0.0.0/8" }, "REQUEST_INVALID"],
    ["204", { cidrs: [5] }, "REQUEST_INVALID"],
    ["204", { cidrs: ["10.0.0.0/33"] }, "RECORD_INVALID"],
    ["204", { cidrs: ["010.0.0.0/8"] }, "RECORD_INVALID"],
    ["204", { cidrs: [], dnsDomain: "" }, "REQUEST_INVALID"],
    ["204", { cidrs: [], dnsDomain: "a\nb" }, "RECORD_INVALID"],
    ["204", { cidrs: [], range: 1 }, "REQUEST_INVALID"],
    ["204", { cidrs: [], id: "205" }, "REQUEST_INVALID"],
    ["204", { cidrs: Array.from({ length: 101 }, () => "10.0.0.0/8") }, "REQUEST_INVALID"],
    ["%2e%2e%2fx", { cidrs: [] }, "RECORD_INVALID"],
    ["x".repeat(65), { cidrs: [] }, "REQUEST_INVALID"],
    ["204", '{"cidrs": [', "BODY_MALFORMED"],
  ];
  for (const [id, body, code] of cases) {
    const answer = await ask(`PUT /v1/networks/${id}`, { body });
    expect([id, body, answer.code]).toEqual([id, body, code]);
  }
  expect((await ask("PUT /v1/networks/204", { body: { cidrs: [] } })).status).toBe(201);
});
