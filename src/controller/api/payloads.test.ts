/** Payloads over the API: what goes in, who may, and what an instance is given. */

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { PAYLOAD_BYTES_MAX } from "../../model/payload.ts";
import { type InstanceRecord, userDataOf } from "../../model/record.ts";
import { stubFor } from "../../protocol/payload-stub.ts";
import { type Api, openApi } from "./testing.ts";

const AT = "/v1/instances/204/i-1";
const NAME = { network: "204", id: "i-1" };
const BODY = { name: "web-01", nics: [{ addresses: ["10.1.1.5"], default: true }] };
const SCRIPT = Buffer.from("#!/bin/sh\necho done\n");
const NOBODY = "0".repeat(64);
const headers = { "content-type": "application/octet-stream" };

const hashOf = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");
const upload = ({ ask }: Api, content: Uint8Array, query = "") =>
  ask(`POST /v1/payloads${query}`, { role: "write", body: content, headers });

async function withInstance(): Promise<Api> {
  const api = openApi();
  await api.ask(`PUT ${AT}`, { body: BODY });
  return api;
}

async function recordIn({ store }: Api): Promise<InstanceRecord & { text: string | undefined }> {
  const record = (await store.get(NAME))?.record as InstanceRecord;
  const bytes = await userDataOf(record);
  return { ...record, text: bytes && Buffer.from(bytes).toString() };
}

test("a payload goes in once, is listed, and goes again", async () => {
  const api = openApi();
  const { ask } = api;
  const payload = { sha256: hashOf(SCRIPT), bytes: SCRIPT.length, kind: "script" };
  const first = await upload(api, SCRIPT);
  expect([first.status, first.json]).toEqual([201, payload]);
  const again = await upload(api, SCRIPT);
  expect([again.status, again.json]).toEqual([200, payload]);
  const list = await ask("GET /v1/payloads", { role: "read" });
  expect(list.json).toEqual({
    payloads: [payload],
    bytes: SCRIPT.length,
    bytesMax: 1024 ** 3,
    bytesOfOneMax: PAYLOAD_BYTES_MAX,
  });
  const path = `/v1/payloads/${payload.sha256}`;
  expect((await ask(`GET ${path}`)).json).toEqual(payload);
  const stub = await ask(`GET ${path}/stub`, { role: "read" });
  expect(stub.text).toBe(stubFor(payload as never));
  expect((await ask(`GET ${path}/stub?to=/opt/agent`)).text).toContain("to='/opt/agent'\n");
  expect((await ask(`DELETE ${path}`, { role: "write" })).status).toBe(204);
  for (const request of [`GET ${path}`, `DELETE ${path}`, `GET ${path}/stub`]) {
    const answer = await ask(request);
    expect([answer.status, answer.code]).toEqual([404, "PAYLOAD_UNKNOWN"]);
  }
});

test("what a guest could not run goes in only as a file, and needs a place", async () => {
  const api = await withInstance();
  const { ask } = api;
  const content = Buffer.from("a licence");
  const refused = await upload(api, content);
  expect([refused.status, refused.code]).toEqual([400, "PAYLOAD_NOT_RUNNABLE"]);
  expect(refused.text).toContain("as=file");
  expect((await upload(api, content, "?as=script")).code).toBe("REQUEST_INVALID");
  const { json } = await upload(api, content, "?as=file");
  expect(json).toMatchObject({ kind: "file" });
  const sha256 = hashOf(content);
  const attach = (to?: string) => ask(`PUT ${AT}/payload`, { body: { sha256, to } });
  expect((await attach()).code).toBe("RECORD_INVALID");
  for (const to of ["relative", "/", "/a/../b", "/a/./b", "/a b", "/a'b", "/-a", "/a/", "//a"]) {
    const answer = await attach(to);
    expect([to, answer.status, answer.code]).toEqual([to, 400, "RECORD_INVALID"]);
  }
  expect((await recordIn(api)).payloads).toBeUndefined();
  expect((await attach("/etc/agent/licence.key")).status).toBe(204);
  expect((await recordIn(api)).text).toContain("to='/etc/agent/licence.key'");
});

test("one that is too large, empty, or of another type is refused, with size and limit", async () => {
  const api = openApi();
  const most = new Uint8Array(PAYLOAD_BYTES_MAX);
  most.set(SCRIPT);
  expect((await upload(api, most)).status).toBe(201);
  const large = await upload(api, new Uint8Array(PAYLOAD_BYTES_MAX + 1));
  expect([large.status, large.code]).toEqual([413, "BODY_TOO_LARGE"]);
  expect(large.text).toContain(String(PAYLOAD_BYTES_MAX));
  expect((await upload(api, new Uint8Array())).code).toBe("REQUEST_INVALID");
  const typed = await api.ask("POST /v1/payloads", { body: { a: 1 } });
  expect([typed.status, typed.code]).toEqual([415, "BODY_TYPE"]);
  const other = await api.ask(`PUT ${AT}/user-data`, { body: most, headers });
  expect([other.status, other.code]).toEqual([413, "BODY_TOO_LARGE"]);
});

test("uploads are bounded, and a place is free again after each", async () => {
  const api = openApi();
  const content = (index: number) => Buffer.from(`#!/bin/sh\n# ${index}\n`);
  const all = await Promise.all([0, 1, 2, 3].map((index) => upload(api, content(index))));
  const refused = all.filter(({ code }) => code === "UPLOADS_TOO_MANY");
  expect(all.filter(({ status }) => status === 201)).toHaveLength(2);
  expect(refused).toHaveLength(2);
  expect(refused[0]?.headers.get("retry-after")).toBe("1");
  for (const index of [4, 5, 6]) expect((await upload(api, content(index))).status).toBe(201);
});

test("slow uploads with one token keep no other out, and there is a limit for all", async () => {
  const bearer = async (name: string) => ({ name, role: "write" }) as const;
  const { app, ask } = openApi({ tokens: { bearer } });
  const held: ReadableStreamDefaultController<Uint8Array>[] = [];
  const begin = async (token: string) => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(SCRIPT);
        held.push(controller);
      },
    });
    const authorization = `Bearer ${token}`;
    const init = { method: "POST", body, headers: { ...headers, authorization }, duplex: "half" };
    return app.request("/v1/payloads", init as RequestInit);
  };
  const whole = async (token: string) => {
    const { status, text } = await ask("POST /v1/payloads", { token, body: SCRIPT, headers });
    return [status, (/"message":"(.*?)"/.exec(text) ?? [])[1]];
  };
  const slow = [begin("one"), begin("one")];
  await Bun.sleep(10);
  expect(await whole("one")).toEqual([503, "2 uploads with this token are under way"]);
  expect([await whole("two"), await whole("two")]).toEqual([
    [201, undefined],
    [200, undefined],
  ]);
  slow.push(begin("two"), begin("three"));
  await Bun.sleep(10);
  expect(await whole("two")).toEqual([503, "4 uploads are under way"]);
  for (const controller of held) controller.close();
  for (const answer of slow) expect((await answer).status).toBe(200);
  expect(await whole("one")).toEqual([200, undefined]);
});

test("an instance is given a payload in one write, and keeps it until it is detached", async () => {
  const api = await withInstance();
  const { ask } = api;
  await upload(api, SCRIPT);
  const [sha256, bytes] = [hashOf(SCRIPT), SCRIPT.length];
  const attached = await ask(`PUT ${AT}/payload`, { role: "write", body: { sha256 } });
  expect([attached.status, attached.headers.get("etag")]).toEqual([204, '"2"']);
  const record = await recordIn(api);
  expect(record.payloads).toEqual([{ sha256, bytes }]);
  expect(record.text).toBe(stubFor({ sha256, bytes, kind: "script" }));
  const shown = await ask(`GET ${AT}`);
  expect(shown.json).toMatchObject({ payloads: [{ sha256, bytes }] });
  // What was read may be sent back, and what is left out stays.
  for (const body of [shown.json, BODY]) {
    expect((await ask(`PUT ${AT}`, { body })).status).toBe(200);
    expect((await recordIn(api)).payloads).toEqual([{ sha256, bytes }]);
  }
  const inUse = await ask(`DELETE /v1/payloads/${sha256}`);
  expect([inUse.status, inUse.code]).toEqual([409, "PAYLOAD_IN_USE"]);
  expect(inUse.text).toContain("i-1");
  expect((await ask(`DELETE ${AT}/payload`, { role: "write" })).status).toBe(204);
  const after = await recordIn(api);
  expect([after.payloads, after.text]).toEqual([undefined, undefined]);
  expect((await ask(`DELETE ${AT}/payload`)).code).toBe("PAYLOAD_NONE");
  expect((await ask(`DELETE /v1/payloads/${sha256}`)).status).toBe(204);
});

test("user data that was set since stays when the payload is detached", async () => {
  const api = await withInstance();
  await upload(api, SCRIPT);
  await api.ask(`PUT ${AT}/payload`, { body: { sha256: hashOf(SCRIPT) } });
  await api.ask(`PUT ${AT}/user-data`, { body: Buffer.from("#!/bin/sh\nown\n"), headers });
  expect((await api.ask(`DELETE ${AT}/payload`)).status).toBe(204);
  expect(await recordIn(api)).toMatchObject({ text: "#!/bin/sh\nown\n" });
  expect((await recordIn(api)).payloads).toBeUndefined();
});

test("user data of its own is lost to a payload only where that is said; a stub always", async () => {
  const api = await withInstance();
  const other = Buffer.from("#!/bin/sh\necho other\n");
  for (const content of [SCRIPT, other]) await upload(api, content);
  const attach = (content: Uint8Array, query = "") =>
    api.ask(`PUT ${AT}/payload${query}`, { body: { sha256: hashOf(content) } });
  await api.ask(`PUT ${AT}/user-data`, { body: Buffer.from("#cloud-config\n"), headers });
  const refused = await attach(SCRIPT);
  expect([refused.status, refused.code]).toEqual([409, "USER_DATA_KEPT"]);
  expect(refused.text).toContain("?replace=true");
  expect(await recordIn(api)).toMatchObject({ text: "#cloud-config\n" });
  expect((await recordIn(api)).payloads).toBeUndefined();
  expect((await attach(SCRIPT, "?replace=yes")).code).toBe("REQUEST_INVALID");
  expect((await attach(SCRIPT, "?replace=true")).status).toBe(204);
  expect((await attach(other)).status).toBe(204);
  expect((await recordIn(api)).text).toContain(`sum=${hashOf(other)}`);
});

test("what is not there is named by nobody, and roles and revisions hold", async () => {
  const api = await withInstance();
  const { ask } = api;
  await upload(api, SCRIPT);
  const sha256 = hashOf(SCRIPT);
  const codeOf = async (request: string, asked: object = {}) => (await ask(request, asked)).code;
  expect(await codeOf(`PUT ${AT}/payload`, { body: { sha256: NOBODY } })).toBe("PAYLOAD_UNKNOWN");
  expect(await codeOf(`PUT ${AT}/payload`, { body: { sha256: "x" } })).toBe("PAYLOAD_UNKNOWN");
  const body = { ...BODY, payloads: [{ sha256: NOBODY, bytes: 1 }] };
  expect(await codeOf(`PUT ${AT}`, { body })).toBe("PAYLOAD_UNKNOWN");
  const elsewhere = "/v1/instances/204/nobody/payload";
  expect(await codeOf(`PUT ${elsewhere}`, { body: { sha256 } })).toBe("INSTANCE_UNKNOWN");
  expect(await codeOf(`DELETE ${elsewhere}`)).toBe("INSTANCE_UNKNOWN");
  const ifMatch = { headers: { "if-match": '"9"' } };
  const stale = { body: { sha256 }, ...ifMatch };
  expect(await codeOf(`PUT ${AT}/payload`, stale)).toBe("REVISION_MISMATCH");
  const read = { role: "read", body: { sha256 } } as const;
  for (const request of [`PUT ${AT}/payload`, "POST /v1/payloads", `DELETE /v1/payloads/${sha256}`])
    expect(await codeOf(request, read)).toBe("ROLE_TOO_LOW");
  expect((await recordIn(api)).payloads).toBeUndefined();
});

test("where a source owns the records, nothing is uploaded or attached", async () => {
  const api = openApi({ readOnly: true });
  const refused = await upload(api, SCRIPT);
  expect([refused.status, refused.code]).toEqual([409, "RECORDS_READ_ONLY"]);
  for (const method of ["PUT", "DELETE"]) {
    const body = method === "PUT" ? { body: { sha256: NOBODY } } : {};
    expect((await api.ask(`${method} ${AT}/payload`, body)).code).toBe("RECORDS_READ_ONLY");
  }
});
