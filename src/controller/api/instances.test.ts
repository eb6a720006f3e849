import { expect, test } from "bun:test";
import fc from "fast-check";
import { keysAt } from "../../model/record.ts";
import { parseRecord } from "../../model/record-parse.ts";
import type { Api, Asked } from "./testing.ts";
import { openApi } from "./testing.ts";

const BODY = {
  name: "web-01",
  zone: "z1",
  nics: [{ mac: "02:00:4A:1C:00:05", addresses: ["10.1.1.5"], default: true }],
};
const AT = "/v1/instances/204/i-1";

test("an instance is made, read, replaced and taken away", async () => {
  const { ask, store } = openApi();
  const made = await ask(`PUT ${AT}`, { role: "write", body: BODY });
  expect([made.status, made.headers.get("etag")]).toEqual([201, '"1"']);
  const read = await ask(`GET ${AT}`, { role: "read" });
  expect(read.json).toEqual(made.json);
  expect(read.json).toMatchObject({
    ...{ network: "204", id: "i-1", name: "web-01", zone: "z1", revision: 1, password: "none" },
    nics: [{ mac: "02:00:4a:1c:00:05", addresses: ["10.1.1.5"], default: true }],
    publicKeys: [],
  });
  const again = await ask(`PUT ${AT}`, { body: BODY });
  expect([again.status, again.headers.get("etag")]).toEqual([200, '"1"']);
  const other = await ask(`PUT ${AT}`, { body: { ...BODY, name: "web-02" } });
  expect([other.status, other.headers.get("etag")]).toEqual([200, '"2"']);
  expect((await ask(`DELETE ${AT}`, { role: "write" })).status).toBe(204);
  expect((await ask(`GET ${AT}`)).code).toBe("INSTANCE_UNKNOWN");
  expect((await ask(`DELETE ${AT}`)).code).toBe("INSTANCE_UNKNOWN");
  expect(await store.get({ network: "204", id: "i-1" })).toBeUndefined();
});

test("a PUT sets no epoch, and what was read may hold one", async () => {
  const { ask } = openApi();
  const highest = Number.MAX_SAFE_INTEGER;
  const made = await ask(`PUT ${AT}`, { role: "write", body: { ...BODY, epoch: highest } });
  expect([made.status, (made.json as { epoch: number }).epoch]).toEqual([201, 1]);
  const again = await ask(`PUT ${AT}`, { role: "write", body: { ...BODY, epoch: highest } });
  expect([again.status, again.json]).toEqual([200, made.json]);
  const incarnation = await ask(`PUT ${AT}`, { body: { ...BODY, incarnation: highest } });
  expect([incarnation.status, incarnation.code]).toEqual([400, "RECORD_INVALID"]);
});

test("what was read may be sent back, and changes nothing", async () => {
  const { ask, store } = openApi();
  const userData = { base64: "aGVsbG8=" };
  const nics = [
    { addresses: ["10.1.1.5", "fd00::5"], default: true },
    { addresses: ["fd00::6"], default: false, keys: [["x", null]] },
  ];
  const publicKeys = ["ssh-rsa AAAA a"];
  await ask(`PUT ${AT}`, { body: { ...BODY, nics, userData, publicKeys, incarnation: 3 } });
  await ask(`PUT ${AT}/password`, { body: { password: "s3cret" } });
  const before = await store.get({ network: "204", id: "i-1" });
  const { json, headers } = await ask(`GET ${AT}`);
  const back = await ask(`PUT ${AT}`, {
    body: json,
    headers: { "if-match": headers.get("etag") ?? "" },
  });
  expect([back.status, back.json]).toEqual([200, json]);
  expect(await store.get({ network: "204", id: "i-1" })).toEqual(before as never);
  // null says that there is none; leaving it out says nothing.
  await ask(`PUT ${AT}`, { body: { ...BODY, userData: null } });
  const after = (await store.get({ network: "204", id: "i-1" }))?.record;
  expect([after?.userData, after?.password?.password]).toEqual([undefined, "s3cret"]);
  expect(after?.publicKeys).toEqual(publicKeys);
});

test("who gives no keys gets CloudStack's, each NIC its own address", async () => {
  const { ask, store } = openApi();
  const nics = [
    { addresses: ["10.1.1.5"], default: false },
    { addresses: ["10.1.1.6"], default: true },
    { addresses: ["fd00::6"], default: false },
    { addresses: ["10.1.1.7"], default: false, keys: [["local-ipv4", "192.0.2.1"]] },
  ];
  await ask(`PUT ${AT}`, { body: { ...BODY, nics, publicKeys: ["ssh-rsa AAAA"] } });
  const { record } = (await store.get({ network: "204", id: "i-1" })) ?? {};
  const shown = record?.nics.map((nic) => keysAt(record, nic).filter(([, value]) => value !== ""));
  const expected = (address: string | undefined) => [
    ["service-offering", null],
    ["availability-zone", "z1"],
    ...(address === undefined ? [] : [["local-ipv4", address]]),
    ["local-hostname", "web-01"],
    ["instance-id", "i-1"],
    ["vm-id", "i-1"],
    ["public-keys", "ssh-rsa AAAA"],
  ];
  expect(shown as unknown).toEqual(
    ["10.1.1.5", "10.1.1.6", undefined, "192.0.2.1"].map((address) => expected(address)),
  );
  await ask(`PUT ${AT}`, { body: { ...BODY, keys: [["only", "this"]] } });
  const { json } = await ask(`GET ${AT}`);
  expect(json).toMatchObject({ keys: [["only", "this"]] });
});

test("an id may be any line of text", async () => {
  const { ask } = openApi();
  for (const id of ["a b", "a/b", "ä%", "..", ".", "user-data", "a?b#c", "%2e%2e"]) {
    const path = `/v1/instances/204/${encodeURIComponent(id)}`;
    // Whoever writes `..` as it is asks for another path: that is the client's to encode.
    if (id === ".." || id === ".") continue;
    const made = await ask(`PUT ${path}`, { body: { name: "n", nics: [] } });
    expect([id, made.status, (made.json as { id?: string }).id]).toEqual([id, 201, id]);
    expect((await ask(`GET ${path}`)).status).toBe(200);
    expect((await ask(`GET ${path}/keys`)).json).toEqual({ publicKeys: [] });
  }
});

test("a network that is not there takes no new instance, and keeps those that it has", async () => {
  const { ask, store } = openApi();
  const at = "/v1/instances/none/i-1";
  const refused = await ask(`PUT ${at}`, { body: BODY });
  expect([refused.status, refused.code]).toEqual([404, "NETWORK_UNKNOWN"]);
  expect((await store.list()).records).toEqual([]);
  const old = { network: "none", id: "i-1", name: "old", nics: [], keys: [], publicKeys: [] };
  await store.put(parseRecord({ ...old, incarnation: 1, epoch: 1 }));
  expect((await ask(`PUT ${at}`, { body: BODY })).status).toBe(200);
});

test("bodies that cannot be kept are refused, and nothing is stored", async () => {
  const { ask, store } = openApi();
  await ask("PUT /v1/instances/204/taken", {
    body: { name: "t", nics: [{ addresses: ["10.1.1.9"] }] },
  });
  const nic = (changed: object) => ({ ...BODY, nics: [{ addresses: ["10.1.1.5"], ...changed }] });
  const cases: readonly (readonly [body: unknown, code: string])[] = [
    ["", "BODY_MALFORMED"],
    ['{"name": "web', "BODY_MALFORMED"],
    [`${"[".repeat(65)}${"]".repeat(65)}`, "BODY_MALFORMED"],
    [`[${"{},".repeat(1_000_000)}{}]`, "BODY_MALFORMED"],
    [Buffer.from('{"name":"\xff"}', "latin1"), "BODY_MALFORMED"],
    ["[]", "REQUEST_INVALID"],
    ["null", "REQUEST_INVALID"],
    ["1", "REQUEST_INVALID"],
    [{}, "REQUEST_INVALID"],
    [{ ...BODY, name: 5 }, "REQUEST_INVALID"],
    [{ ...BODY, name: "" }, "REQUEST_INVALID"],
    [{ ...BODY, name: "x".repeat(256) }, "REQUEST_INVALID"],
    [{ ...BODY, name: "a\nb" }, "RECORD_INVALID"],
    [{ ...BODY, nics: {} }, "REQUEST_INVALID"],
    [{ ...BODY, publicKey: [] }, "REQUEST_INVALID"],
    [{ ...BODY, network: "205" }, "REQUEST_INVALID"],
    [{ ...BODY, id: "i-2" }, "REQUEST_INVALID"],
    [{ ...BODY, password: "s3cret" }, "REQUEST_INVALID"],
    [{ ...BODY, incarnation: 0 }, "REQUEST_INVALID"],
    [{ ...BODY, epoch: 1.5 }, "REQUEST_INVALID"],
    [
      {
        ...BODY,
        keys: [
          ["a", "1"],
          ["a", "2"],
        ],
      },
      "RECORD_INVALID",
    ],
    [{ ...BODY, keys: [["a/b", "1"]] }, "RECORD_INVALID"],
    [{ ...BODY, keys: [["a"]] }, "REQUEST_INVALID"],
    [{ ...BODY, keys: { a: "1" } }, "REQUEST_INVALID"],
    [{ ...BODY, keys: [["a", "x".repeat(65_537)]] }, "REQUEST_INVALID"],
    [{ ...BODY, keys: Array.from({ length: 257 }, (_, i) => [`k${i}`, ""]) }, "REQUEST_INVALID"],
    [{ ...BODY, publicKeys: ["a\nb"] }, "RECORD_INVALID"],
    [{ ...BODY, publicKeys: [""] }, "REQUEST_INVALID"],
    [nic({ addresses: ["10.1.1.5", "10.1.1.5"] }), "RECORD_INVALID"],
    [nic({ addresses: ["010.1.1.5"] }), "RECORD_INVALID"],
    [nic({ addresses: ["10.1.1.9"] }), "ADDRESS_TAKEN"],
    [nic({ mac: "02-00" }), "RECORD_INVALID"],
    [nic({ extra: 1 }), "REQUEST_INVALID"],
    [{ ...BODY, userData: { base64: "!" } }, "USER_DATA_NOT_BASE64"],
    [{ ...BODY, userData: { base64: "" } }, "USER_DATA_TOO_SHORT"],
    [{ ...BODY, userData: { base64: " " } }, "USER_DATA_TOO_SHORT"],
    [{ ...BODY, userData: { base64: "A".repeat(32_772) } }, "USER_DATA_TOO_LARGE"],
    [{ ...BODY, userData: "aGVsbG8=" }, "REQUEST_INVALID"],
  ];
  for (const [body, code] of cases) {
    const answer = await ask(`PUT ${AT}`, { body });
    expect([body, answer.code]).toEqual([body, code]);
  }
  for (const path of ["/v1/instances/2%2F4/i-1", "/v1/instances/204/a%0Ab"]) {
    expect((await ask(`PUT ${path}`, { body: BODY })).code).toBe("RECORD_INVALID");
  }
  for (const type of ["text/plain", "", "application/x-www-form-urlencoded"]) {
    const headers = { "content-type": type };
    expect((await ask(`PUT ${AT}`, { body: BODY, headers })).code).toBe("BODY_TYPE");
  }
  const accepted = ["application/json ; charset=utf-8", "Application/JSON;charset=UTF-8 "];
  for (const type of accepted) {
    const answer = await ask(`PUT ${AT}`, { body: {}, headers: { "content-type": type } });
    expect([type, answer.code]).toEqual([type, "REQUEST_INVALID"]);
    const headers = { "content-type": type };
    const keys = await ask(`PUT ${AT}/keys`, { body: { publicKeys: [] }, headers });
    expect([type, keys.code]).toEqual([type, "INSTANCE_UNKNOWN"]);
    const password = await ask(`PUT ${AT}/password`, { body: { password: "p" }, headers });
    expect([type, password.code]).toEqual([type, "INSTANCE_UNKNOWN"]);
  }
  const huge = await ask(`PUT ${AT}`, { body: `"${"x".repeat(8 * 1024 * 1024)}"` });
  expect([huge.status, huge.code]).toEqual([413, "BODY_TOO_LARGE"]);
  expect((await store.list()).records.map(({ record }) => record.id)).toEqual(["taken"]);
});

test("an address lies in the ranges of its network, where those are known", async () => {
  const { ask } = openApi();
  await ask("PUT /v1/networks/204", { body: { cidrs: ["10.1.1.0/24", "fd00::/64"] } });
  const put = (...addresses: string[]) =>
    ask(`PUT ${AT}`, { body: { ...BODY, nics: [{ addresses }] } });
  expect((await put("10.1.1.5", "fd00::5")).status).toBe(201);
  const outside = await put("10.1.1.5", "10.1.2.5");
  expect([outside.status, outside.code]).toEqual([400, "RECORD_INVALID"]);
  expect(outside.text).toContain("nics: 10.1.2.5 is outside the ranges of its network");
  expect((await put("fd00:0:0:1::5")).status).toBe(400);
  await ask("PUT /v1/networks/204", { body: { cidrs: [] } });
  expect((await put("10.1.2.5")).status).toBe(200);
});

test("a write holds only for the revision that it names", async () => {
  const { ask } = openApi();
  const put = (headers: Record<string, string>, name = "n") =>
    ask(`PUT ${AT}`, { body: { ...BODY, name }, headers });
  expect((await put({ "if-match": "*" })).code).toBe("REVISION_MISMATCH");
  expect((await put({ "if-match": '"1"' })).code).toBe("REVISION_MISMATCH");
  expect((await put({ "if-none-match": "*" })).status).toBe(201);
  expect((await put({ "if-none-match": "*" })).status).toBe(412);
  expect((await put({ "if-match": "*" }, "a")).status).toBe(200);
  expect((await put({ "if-match": '"1"' }, "b")).status).toBe(412);
  expect((await put({ "if-match": '"2"' }, "b")).status).toBe(200);
  for (const wrong of ["2", 'W/"3"', '"3", "4"', '"0"', '""', '"1e1"', `"${"9".repeat(20)}"`]) {
    const { status, code } = await put({ "if-match": wrong }, "c");
    expect([wrong, status, code]).toEqual([wrong, 400, "REQUEST_INVALID"]);
  }
  for (const request of [`DELETE ${AT}`, `DELETE ${AT}/user-data`, `DELETE ${AT}/password`]) {
    expect((await ask(request, { headers: { "if-match": '"2"' } })).status).toBe(412);
  }
  const keys = { body: { publicKeys: ["ssh-rsa AAAA"] }, headers: { "if-match": '"2"' } };
  expect((await ask(`PUT ${AT}/keys`, keys)).status).toBe(412);
  expect((await ask(`DELETE ${AT}`, { headers: { "if-match": '"3"' } })).status).toBe(204);
});

test("changes of different things at once all stay", async () => {
  const { ask, store } = openApi();
  await ask(`PUT ${AT}`, { body: BODY });
  await Promise.all([
    ask(`PUT ${AT}/keys`, { body: { publicKeys: ["ssh-rsa AAAA"] } }),
    ask(`PUT ${AT}/password`, { body: { password: "s3cret" } }),
    ask(`PUT ${AT}/user-data`, { body: { base64: "aGVsbG8=" } }),
  ]);
  const { record } = (await store.get({ network: "204", id: "i-1" })) ?? {};
  expect(record?.publicKeys).toEqual(["ssh-rsa AAAA"]);
  expect(record?.password?.password).toBe("s3cret");
  expect(record?.userData?.length).toBe(5);
});

test("where a source owns the records only passwords are written", async () => {
  const owned = openApi();
  await owned.ask(`PUT ${AT}`, { body: BODY });
  const { ask } = openApi({ readOnly: true, store: owned.store });
  const writes: readonly (readonly [string, Asked])[] = [
    [`PUT ${AT}`, { body: BODY }],
    [`DELETE ${AT}`, {}],
    [`PUT ${AT}/user-data`, { body: { base64: "aGVsbG8=" } }],
    [`DELETE ${AT}/user-data`, {}],
    [`PUT ${AT}/keys`, { body: { publicKeys: [] } }],
    ["PUT /v1/networks/204", { body: { cidrs: [] } }],
    ["DELETE /v1/networks/204", {}],
  ];
  for (const [request, asked] of writes) {
    const { status, code } = await ask(request, asked);
    expect([request, status, code]).toEqual([request, 409, "RECORDS_READ_ONLY"]);
  }
  expect((await ask(`PUT ${AT}/password`, { body: { password: "x1" } })).status).toBe(202);
  expect((await ask(`DELETE ${AT}/password`)).status).toBe(204);
  expect((await ask(`GET ${AT}`)).status).toBe(200);
});

test("no body at all makes the API fail", async () => {
  const { ask } = openApi();
  const paths = [
    AT,
    `${AT}/user-data`,
    `${AT}/keys`,
    `${AT}/password`,
    `${AT}/seal`,
    "/v1/networks/204",
  ];
  const body = fc.oneof(
    fc.jsonValue(),
    fc.record({ name: fc.string(), nics: fc.jsonValue(), keys: fc.jsonValue() }),
    fc.record({ base64: fc.string() }),
    fc.record({ password: fc.string() }),
    fc.record({ publicKeys: fc.array(fc.string()) }),
    fc.record({ sealed: fc.jsonValue(), incarnation: fc.integer() }),
    fc.record({ cidrs: fc.array(fc.string()) }),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), body, async (path, body) => {
      expect((await put(ask, path, body)).status).toBeLessThan(500);
    }),
    { numRuns: 300 },
  );
});

function put(ask: Api["ask"], path: string, body: unknown) {
  return ask(`PUT ${path}`, { body });
}
