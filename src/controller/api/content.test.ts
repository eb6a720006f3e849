import { expect, test } from "bun:test";
import { openApi } from "./testing.ts";

const AT = "/v1/instances/204/i-1";
const BYTES = "application/octet-stream";
const BODY = { name: "web-01", nics: [{ addresses: ["10.1.1.5"], default: true }] };

async function withInstance() {
  const api = openApi();
  await api.ask(`PUT ${AT}`, { body: BODY });
  return api;
}

test("user data goes in as base64 or as bytes, and comes out as bytes", async () => {
  const { app, ask } = await withInstance();
  const none = await ask(`GET ${AT}/user-data`);
  expect([none.status, none.code]).toEqual([404, "USER_DATA_NONE"]);
  const json = await ask(`PUT ${AT}/user-data`, { role: "write", body: { base64: "aGVs\nbG8" } });
  expect([json.status, json.headers.get("etag")]).toEqual([204, '"2"']);
  const read = await ask(`GET ${AT}/user-data`, { role: "read" });
  expect([read.text, read.headers.get("content-type")]).toEqual(["hello", BYTES]);
  expect(read.headers.get("content-disposition")).toStartWith("attachment");
  const raw = new Uint8Array([0, 255, 254, 10, 13]);
  const put = await ask(`PUT ${AT}/user-data`, { body: raw, headers: { "content-type": BYTES } });
  expect(put.status).toBe(204);
  const authorization = `Bearer fd_${"a".repeat(43)}`;
  const answer = await app.request(`${AT}/user-data`, { headers: { authorization } });
  expect(new Uint8Array(await answer.arrayBuffer())).toEqual(raw);
  expect((await ask(`GET ${AT}`)).json).toMatchObject({ userData: { bytes: 5 } });
  expect((await ask(`DELETE ${AT}/user-data`)).status).toBe(204);
  expect((await ask(`GET ${AT}/user-data`)).code).toBe("USER_DATA_NONE");
  expect((await ask(`DELETE ${AT}/user-data`)).status).toBe(204);
});

test("user data over the limit is refused with its size and the limit, and nothing is stored", async () => {
  const { ask, store } = await withInstance();
  await ask(`PUT ${AT}/user-data`, { body: { base64: "aGVsbG8=" } });
  const before = await store.get({ network: "204", id: "i-1" });
  const cases: readonly (readonly [body: unknown, type: string, size: number])[] = [
    [{ base64: "A".repeat(32_772) }, "application/json", 32_772],
    [new Uint8Array(24_577), BYTES, 32_772],
    [{ base64: "A".repeat(2 * 1024 * 1024) }, "application/json", 2_097_152],
  ];
  for (const [body, type, size] of cases) {
    const answer = await ask(`PUT ${AT}/user-data`, { body, headers: { "content-type": type } });
    expect([answer.status, answer.code]).toEqual([431, "USER_DATA_TOO_LARGE"]);
    expect(answer.text).toContain(String(size));
    expect(answer.text).toMatch(/limit (by POST )?is (32768|1048576)/);
  }
  expect(await store.get({ network: "204", id: "i-1" })).toEqual(before as never);
  const most = { body: new Uint8Array(24_576), headers: { "content-type": BYTES } };
  expect((await ask(`PUT ${AT}/user-data`, most)).status).toBe(204);
});

test("an upload that is no user data takes none away", async () => {
  const { ask } = await withInstance();
  await ask(`PUT ${AT}/user-data`, { body: { base64: "aGVsbG8=" } });
  const cases: readonly (readonly [body: unknown, type: string, code: string])[] = [
    ["", BYTES, "USER_DATA_TOO_SHORT"],
    [{ base64: "" }, "application/json", "USER_DATA_TOO_SHORT"],
    [{ base64: "%%" }, "application/json", "USER_DATA_NOT_BASE64"],
    [{ base64: 5 }, "application/json", "REQUEST_INVALID"],
    [{}, "application/json", "REQUEST_INVALID"],
    [{ base64: "aGVsbG8=", text: "" }, "application/json", "REQUEST_INVALID"],
    ['{"base64": "aGVs', "application/json", "BODY_MALFORMED"],
    ["aGVsbG8=", "text/plain", "BODY_TYPE"],
    ["base64=aGVsbG8=", "application/x-www-form-urlencoded", "BODY_TYPE"],
    [{ base64: "aGVsbG8=" }, "application/jsonx", "BODY_TYPE"],
    [{ base64: "aGVsbG8=" }, "application/json+x", "BODY_TYPE"],
  ];
  for (const [body, type, code] of cases) {
    const answer = await ask(`PUT ${AT}/user-data`, { body, headers: { "content-type": type } });
    expect([body, answer.code]).toEqual([body, code]);
  }
  expect((await ask(`GET ${AT}/user-data`)).text).toBe("hello");
  const charset = { "content-type": "Application/JSON; charset=utf-8" };
  const put = { body: { base64: "Ynll" }, headers: charset };
  expect((await ask(`PUT ${AT}/user-data`, put)).status).toBe(204);
});

test("public keys are replaced whole", async () => {
  const { ask, store } = await withInstance();
  const keys = ["ssh-rsa AAAA a", "ssh-ed25519 BBBB b"];
  const put = await ask(`PUT ${AT}/keys`, { role: "write", body: { publicKeys: keys } });
  expect([put.status, put.json]).toEqual([200, { publicKeys: keys }]);
  expect((await ask(`GET ${AT}/keys`)).json).toEqual({ publicKeys: keys });
  const wrong = [{}, { publicKeys: "x" }, { publicKeys: [1] }, { publicKeys: [""] }, { keys: [] }];
  for (const body of wrong) expect((await ask(`PUT ${AT}/keys`, { body })).status).toBe(400);
  const many = { publicKeys: Array.from({ length: 101 }, (_, i) => `k${i}`) };
  expect((await ask(`PUT ${AT}/keys`, { body: many })).code).toBe("REQUEST_INVALID");
  const lines = { body: { publicKeys: ["a\nb"] } };
  expect((await ask(`PUT ${AT}/keys`, lines)).code).toBe("RECORD_INVALID");
  await ask(`PUT ${AT}/keys`, { body: { publicKeys: [] } });
  expect((await store.get({ network: "204", id: "i-1" }))?.record.publicKeys).toEqual([]);
});

test("a password waits until the guest has it, and the same again is not another one", async () => {
  const { ask, store } = await withInstance();
  expect((await ask(`GET ${AT}/password`)).json).toEqual({ state: "none" });
  const password = "T0p-s3cret";
  await ask(`PUT ${AT}/password`, { role: "write", body: { password } });
  const name = { network: "204", id: "i-1" };
  const { record, revision } = (await store.get(name)) ?? {};
  expect(record?.password?.password).toBe(password);
  await ask(`PUT ${AT}/password`, { body: { password } });
  expect((await store.get(name))?.revision).toBe(revision as number);
  expect((await ask(`GET ${AT}/password`)).json).toEqual({ state: "pending" });
  const { epoch = 1, password: secret } = record ?? {};
  await store.ack({ network: "204", instance: "i-1", epoch, secretId: secret?.id ?? "" });
  expect((await ask(`GET ${AT}/password`)).json).toEqual({ state: "none" });
  // The same text later is a new password: the guest is to fetch it again.
  await ask(`PUT ${AT}/password`, { body: { password } });
  expect((await ask(`GET ${AT}/password`)).json).toEqual({ state: "pending" });
  expect((await ask(`DELETE ${AT}/password`)).status).toBe(204);
  expect((await ask(`GET ${AT}/password`)).json).toEqual({ state: "none" });
});

test("a password that no guest could fetch is refused", async () => {
  const { ask } = await withInstance();
  const word = "is a word of the password server";
  const control = "has more than one line, or a control character";
  const wrong: readonly (readonly [password: unknown, message: string])[] = [
    ["saved_password", word],
    ["bad_request", word],
    [" x", "has spaces at its ends"],
    ["x\u00a0", "has spaces at its ends"],
    ["a\nb", control],
    ["x\r\n", control],
    ["\u0000", control],
    ["\ud800", "is no Unicode text"],
    ["", "expected string to have"],
    ["x".repeat(256), "expected string to have"],
    [5, "expected string"],
    [null, "expected string"],
    [["x"], "expected string"],
  ];
  for (const [password, message] of wrong) {
    const answer = await ask(`PUT ${AT}/password`, { body: { password } });
    expect([password, answer.status]).toEqual([password, 400]);
    expect(answer.text).toContain(message);
  }
  expect((await ask(`GET ${AT}/password`)).json).toEqual({ state: "none" });
});

test("what an instance has is nowhere where there is none", async () => {
  const { ask } = openApi();
  const json = { body: { base64: "aGVsbG8=" } };
  expect((await ask(`PUT ${AT}/user-data`, json)).code).toBe("INSTANCE_UNKNOWN");
  expect((await ask(`PUT ${AT}/keys`, { body: { publicKeys: [] } })).code).toBe("INSTANCE_UNKNOWN");
  const secret = { body: { password: "x1" } };
  expect((await ask(`PUT ${AT}/password`, secret)).code).toBe("INSTANCE_UNKNOWN");
  for (const part of ["", "/user-data", "/keys", "/password"]) {
    expect((await ask(`GET ${AT}${part}`)).code).toBe("INSTANCE_UNKNOWN");
    if (part !== "/keys") expect((await ask(`DELETE ${AT}${part}`)).status).toBe(404);
  }
});
