import { expect, test } from "bun:test";
import { type Asked, openApi } from "./testing.ts";
import { instanceView } from "./view.ts";

const AT = "/v1/instances/204/i-1";
const SEAL = `${AT}/seal`;
const NAME = { network: "204", id: "i-1" };
const BODY = { name: "web-01", nics: [{ addresses: ["10.1.1.5"], default: true }] };
const USER_DATA = { base64: "aGVsbG8=" };

async function withInstance() {
  const api = openApi();
  await api.ask(`PUT ${AT}`, { body: { ...BODY, userData: USER_DATA } });
  return api;
}

test("an instance is sealed and opened, twice as well as once", async () => {
  const { ask, store } = await withInstance();
  const state = async () => {
    const { json, headers } = await ask(`GET ${SEAL}`, { role: "read" });
    return [json, headers.get("etag")];
  };
  expect(await state()).toEqual([{ sealed: false, incarnation: 1 }, '"1"']);
  const [sealed, open] = [
    { sealed: true, incarnation: 1 },
    { sealed: false, incarnation: 1 },
  ];
  for (const asked of [{}, { body: {} }, { body: { sealed: true } }, { body: sealed }] as Asked[]) {
    const put = await ask(`PUT ${SEAL}`, { role: "write", ...asked });
    expect([put.status, put.json, put.headers.get("etag")]).toEqual([200, sealed, '"2"']);
  }
  expect(await state()).toEqual([sealed, '"2"']);
  expect((await ask(`GET ${AT}`)).json).toMatchObject({ sealed: true, userData: { bytes: 5 } });
  expect((await ask("GET /v1/instances")).json).toMatchObject({ instances: [{ sealed: true }] });
  for (let i = 0; i < 2; i++) {
    const { status, headers } = await ask(`DELETE ${SEAL}`, { role: "write" });
    expect([status, headers.get("etag")]).toEqual([204, '"3"']);
  }
  expect(await state()).toEqual([open, '"3"']);
  expect((await ask(`GET ${AT}`)).json).toMatchObject({ sealed: false });
  expect((await store.get(NAME))?.record.sealedIncarnation).toBeUndefined();
});

test("what is not a seal, or not the one that is meant, changes nothing", async () => {
  const { ask, store } = await withInstance();
  const type = { "content-type": "text/plain" };
  const cases: readonly (readonly [request: string, asked: Asked, status: number, code: string])[] =
    [
      [`PUT ${SEAL}`, { body: { sealed: false } }, 400, "REQUEST_INVALID"],
      [`PUT ${SEAL}`, { body: { closed: true } }, 400, "REQUEST_INVALID"],
      [`PUT ${SEAL}`, { body: { incarnation: "1" } }, 400, "REQUEST_INVALID"],
      [`PUT ${SEAL}`, { body: [] }, 400, "REQUEST_INVALID"],
      [`PUT ${SEAL}`, { body: null }, 400, "REQUEST_INVALID"],
      [`PUT ${SEAL}`, { body: "{" }, 400, "BODY_MALFORMED"],
      [`PUT ${SEAL}`, { body: "sealed", headers: type }, 415, "BODY_TYPE"],
      [`PUT ${SEAL}`, { body: { incarnation: 2 } }, 412, "REVISION_MISMATCH"],
      [`PUT ${SEAL}`, { headers: { "if-match": '"2"' } }, 412, "REVISION_MISMATCH"],
      [`PUT ${SEAL}`, { headers: { "if-none-match": "*" } }, 412, "REVISION_MISMATCH"],
      [`PUT ${SEAL}`, { headers: { "if-match": "1" } }, 400, "REQUEST_INVALID"],
      [`DELETE ${SEAL}`, { headers: { "if-match": '"2"' } }, 412, "REVISION_MISMATCH"],
      [`PUT ${SEAL}`, { role: "read" }, 403, "ROLE_TOO_LOW"],
      [`DELETE ${SEAL}`, { role: "read" }, 403, "ROLE_TOO_LOW"],
      [`POST ${SEAL}`, {}, 405, "METHOD_UNKNOWN"],
      [`PUT ${SEAL}/x`, {}, 404, "PATH_UNKNOWN"],
      ["GET /v1/instances/204/i-2/seal", {}, 404, "INSTANCE_UNKNOWN"],
      ["PUT /v1/instances/204/i-2/seal", {}, 404, "INSTANCE_UNKNOWN"],
      ["PUT /v1/instances/205/i-1/seal", {}, 404, "INSTANCE_UNKNOWN"],
      ["DELETE /v1/instances/204/i-2/seal", {}, 404, "INSTANCE_UNKNOWN"],
    ];
  for (const [request, asked, status, code] of cases) {
    const answer = await ask(request, asked);
    expect([request, asked, answer.status, answer.code]).toEqual([request, asked, status, code]);
  }
  expect((await store.list()).revision).toBe(1);
  const held = await ask(`PUT ${SEAL}`, { headers: { "if-match": '"1"' } });
  expect([held.status, held.headers.get("etag")]).toEqual([200, '"2"']);
});

test("a seal outlasts every change but another installation", async () => {
  const { ask, store } = await withInstance();
  await ask(`PUT ${SEAL}`);
  const isSealed = async () => ((await ask(`GET ${SEAL}`)).json as { sealed: boolean }).sealed;
  const shown = instanceView((await store.get(NAME)) as never);
  const changes: readonly (readonly [request: string, asked: Asked])[] = [
    [`PUT ${AT}`, { body: { ...BODY, name: "web-02" } }],
    [`PUT ${AT}`, { body: { ...BODY, sealed: false } }],
    [`PUT ${AT}`, { body: { ...shown, nics: [{ addresses: ["10.1.1.6"], default: true }] } }],
    [`PUT ${AT}/user-data`, { body: { base64: "d29ybGQ=" } }],
    [`DELETE ${AT}/user-data`, {}],
    [`PUT ${AT}/keys`, { body: { publicKeys: ["ssh-rsa AAAA"] } }],
    [`DELETE ${AT}/password`, {}],
  ];
  for (const [request, asked] of changes) {
    expect([request, (await ask(request, asked)).status < 300]).toEqual([request, true]);
    expect([request, await isSealed()]).toEqual([request, true]);
  }
  await ask(`PUT ${AT}`, { body: { ...BODY, incarnation: 2 } });
  expect((await ask(`GET ${SEAL}`)).json).toEqual({ sealed: false, incarnation: 2 });
  await ask(`PUT ${SEAL}`);
  await ask(`DELETE ${AT}`);
  await ask(`PUT ${AT}`, { body: { ...BODY, incarnation: 2 } });
  expect(await isSealed()).toBe(false);
});

test("no password is taken while it is sealed, and one that waits goes on waiting", async () => {
  const { ask, store } = await withInstance();
  await ask(`PUT ${AT}/password`, { body: { password: "before-1" } });
  await ask(`PUT ${SEAL}`);
  const held = await store.get(NAME);
  for (const password of ["another-1", "before-1"]) {
    const { status, code, text } = await ask(`PUT ${AT}/password`, { body: { password } });
    expect([status, code]).toEqual([409, "INSTANCE_SEALED"]);
    expect(text).toContain("frontdesk instances open");
    expect(text).not.toContain(password);
  }
  expect(await store.get(NAME)).toEqual(held);
  expect(held?.record.password?.password).toBe("before-1");
  expect((await ask(`GET ${AT}/password`)).json).toEqual({ state: "pending" });
  await ask(`DELETE ${SEAL}`);
  expect((await ask(`PUT ${AT}/password`, { body: { password: "another-1" } })).status).toBe(202);
});

test("where a source owns the records they are sealed here all the same", async () => {
  const { store } = await withInstance();
  const { ask } = openApi({ readOnly: true, store });
  expect((await ask(`PUT ${SEAL}`)).json).toMatchObject({ sealed: true });
  expect((await ask(`PUT ${AT}`, { body: BODY })).code).toBe("RECORDS_READ_ONLY");
  expect((await ask(`DELETE ${SEAL}`)).status).toBe(204);
});

test("an installation that comes meanwhile is not sealed in place of the one before", async () => {
  const { ask, store } = await withInstance();
  const put = store.put.bind(store);
  store.put = async (record, options) => {
    store.put = put;
    const { record: before } = (await store.get(NAME)) as NonNullable<
      Awaited<ReturnType<typeof store.get>>
    >;
    await put({ ...before, incarnation: 2 });
    return put(record, options);
  };
  const answer = await ask(`PUT ${SEAL}`, { body: { incarnation: 1 } });
  expect([answer.status, answer.code]).toEqual([412, "REVISION_MISMATCH"]);
  expect((await ask(`GET ${SEAL}`)).json).toEqual({ sealed: false, incarnation: 2 });
});
