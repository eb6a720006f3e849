/**
 * Goal: who writes what no guest can use is told, and what is there already stands in nobody's way.
 * Method: bodies with one such thing each, and records that a source has left.
 */

import { expect, test } from "bun:test";
import { parseRecord } from "../../model/record-parse.ts";
import { openApi } from "./testing.ts";

const AT = "/v1/instances/204/i-1";
const BODY = { name: "web-01", nics: [{ addresses: ["10.1.1.5"], default: true }] };
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ada@laptop";

test("what no guest can use is refused by the name of its field", async () => {
  const { ask, store } = openApi();
  const nics = (keys: unknown) => ({ nics: [{ ...BODY.nics[0], keys }] });
  const cases: readonly (readonly [changed: object, message: string])[] = [
    [{ name: "bad name!" }, "name: is no host name: letters, digits and dashes"],
    [{ name: "w\u00e9b" }, "name: is no host name"],
    [{ name: "-web" }, "name: is no host name"],
    [{ keys: [["local-hostname", "a_b"]] }, "keys[0]: local-hostname is no host name"],
    [nics([["local-hostname", "a b"]]), "nics[0].keys[0]: local-hostname is no host name"],
    [{ keys: [["x", "a\u0000b"]] }, "keys[0]: x has a control character"],
    [nics([["x", "\u001b[2J"]]), "nics[0].keys[0]: x has a control character"],
    [{ publicKeys: [KEY, "nokey"] }, "publicKeys[1]: is no public key: write TYPE BASE64"],
  ];
  for (const [changed, message] of cases) {
    const { status, code, text } = await ask(`PUT ${AT}`, { body: { ...BODY, ...changed } });
    expect([changed, status, code]).toEqual([changed, 400, "RECORD_INVALID"]);
    expect(text).toContain(message);
  }
  expect((await store.list()).records).toEqual([]);
  await ask(`PUT ${AT}`, { body: BODY });
  const keys = await ask(`PUT ${AT}/keys`, { body: { publicKeys: [KEY, "nokey"] } });
  expect([keys.status, keys.code]).toEqual([400, "RECORD_INVALID"]);
  expect(keys.text).toContain("publicKeys[1]: is no public key");
});

test("a name of no host is taken where the guest is told another, or none", async () => {
  const { ask } = openApi();
  const good: readonly object[] = [
    { name: "web-01.example.org", publicKeys: [KEY, `no-pty ${KEY}`] },
    { name: "Ada's machine", keys: [["local-hostname", "ada"]] },
    { name: "Ada's machine", keys: [["cert", "a\n\tb\r\n"]] },
    { name: "Ada's machine", keys: [["local-hostname", null]] },
  ];
  for (const body of good) {
    const { status } = await ask(`PUT ${AT}`, { body: { ...BODY, ...body } });
    expect([body, status === 200 || status === 201]).toEqual([body, true]);
  }
});

test("what a source has left may stay, and be sent back", async () => {
  const { ask, store } = openApi();
  const keys = [
    ["local-hostname", "a_b"],
    ["x", "\u0000"],
  ];
  const record = { network: "204", id: "i-1", ...BODY, name: "a_b", keys, publicKeys: ["nokey"] };
  await store.put(parseRecord({ ...record, incarnation: 1, epoch: 1 }));
  const { json } = await ask(`GET ${AT}`);
  expect((await ask(`PUT ${AT}`, { body: { ...(json as object), zone: "z" } })).status).toBe(200);
  const more = { body: { publicKeys: ["nokey", KEY] } };
  expect((await ask(`PUT ${AT}/keys`, more)).status).toBe(200);
  expect((await ask(`PUT ${AT}`, { body: { ...(json as object), name: "c_d" } })).status).toBe(400);
});
