import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { StoreError } from "../../model/errors.ts";
import { encode, signedQuery } from "../../source/cloudstack/sign.ts";
import { MemoryStore } from "../../store/memory.ts";
import { commands } from "./commands.ts";
import { JOB_MS_MAX, PARAMS_MAX } from "./limits.ts";
import { readRequest } from "./request.ts";
import { verify } from "./sign.ts";
import { asked, KEYS, LEAST, NOW, openTestLab } from "./testing.ts";

const UNAUTHORIZED = "unable to verify user credentials and/or request signature";

test("the documented signature is accepted until it expires", () => {
  const { params, secretKey, signature } = JSON.parse(
    readFileSync("fixtures/cloudstack/api/signing-example.json", "utf8"),
  ) as { params: Record<string, string>; secretKey: string; signature: string };
  const keys = new Map([["EXAMPLEapikey0123456789", secretKey]]);
  const sent = new Map(Object.entries({ ...params, signature }));
  const end = Date.parse("2026-11-22T12:00:00Z");
  expect(verify(sent, keys, end - 1)).toBe("EXAMPLEapikey0123456789");
  expect(() => verify(sent, keys, end)).toThrow(UNAUTHORIZED);
});

test("an expiry is read in each form that CloudStack reads", () => {
  const forms: readonly (readonly [expires: string, good: boolean])[] = [
    ["2026-11-23T12:00:01+0000", true],
    ["2026-11-23T14:00:01+02:00", true],
    ["2026-11-23T12:00:01Z", true],
    ["2026-11-23T12:00:01.500Z", true],
    ["2026-11-23T12:00:00+0000", false],
    ["2026-11-23T13:00:00+0200", false],
    ["2026-11-24", false],
    ["tomorrow", false],
    ["", false],
  ];
  for (const [expires, good] of forms) {
    const sent = signed({ command: "listZones", signatureVersion: "3", expires });
    if (good) expect(verify(sent, SECRETS, NOW)).toBe(KEYS.apiKey);
    else expect(() => verify(sent, SECRETS, NOW)).toThrow(UNAUTHORIZED);
  }
});

test("without a version, a signature has no end, as tools of old make it", () => {
  expect(verify(signed({ command: "listZones" }), SECRETS, NOW)).toBe(KEYS.apiKey);
  const unlimited = signed({ command: "listZones", signatureVersion: "3" });
  expect(() => verify(unlimited, SECRETS, NOW)).toThrow(UNAUTHORIZED);
});

test("who cannot sign is refused in the same words, whatever the reason", async () => {
  const lab = openTestLab();
  const good = signedQuery("listZones", {}, KEYS, NOW + 1000);
  const queries = [
    "",
    "command=listZones&response=json",
    good.replace(/&signature=.*/, ""),
    good.replace(/&signature=.*/, "&signature=AAAA"),
    good.replace(/&signature=.*/, "&signature="),
    good.replace("listZones", "listNetworks"),
    `${good}&listall=true`,
    signedQuery("listZones", {}, KEYS, NOW),
    signedQuery("listZones", {}, { ...KEYS, secretKey: "wrong" }, NOW + 1000),
    signedQuery("listZones", {}, { ...KEYS, apiKey: "nobody" }, NOW + 1000),
    signedQuery("listZones", {}, { ...KEYS, apiKey: "" }, NOW + 1000),
    signedQuery("noSuchCommand", {}, { ...KEYS, secretKey: "wrong" }, NOW + 1000),
  ];
  for (const query of queries) {
    for (const post of [false, true]) {
      const { status, content, name } = await asked(lab.app, query, post);
      expect([query, status]).toEqual([query, 401]);
      expect(content).toEqual({ uuidList: [], errorcode: 401, errortext: UNAUTHORIZED });
      expect(name).toMatch(/^(errorresponse|listzonesresponse|listnetworksresponse)$/);
    }
  }
});

test("no change of a signed request is taken for it", async () => {
  const lab = openTestLab();
  const query = signedQuery("listVirtualMachines", { name: "web" }, KEYS, NOW + 1000);
  await fc.assert(
    fc.asyncProperty(fc.nat(query.length - 1), fc.constantFrom(..."aZ0&=%+"), async (at, by) => {
      const other = query.slice(0, at) + by + query.slice(at + 1);
      const { status } = await asked(lab.app, other);
      // Letters are signed in one case, and names of parameters have none.
      const [before = "", after = ""] = [query, other].map((text) => text.split("&signature=")[0]);
      const isSame =
        before.toLowerCase() === after.toLowerCase() && signatureOf(other) === signatureOf(query);
      expect([401, 430]).toContain(isSame ? 401 : status);
    }),
    { numRuns: 200 },
  );
});

test("no parameter of a signed request is hidden in the name of another", async () => {
  const lab = openTestLab();
  const query = signedQuery("listVirtualMachines", { id: "a1", userdata: "true" }, KEYS, NOW);
  expect((await asked(lab.app, query)).status).toBe(401);
  const sent = new URLSearchParams(query);
  const hide = (name: string, behind: string): void => {
    const hidden = `${name}=${encode(sent.get(name) ?? "")}&${behind}`;
    sent.append(hidden, sent.get(behind) ?? "");
    sent.delete(name);
    sent.delete(behind);
  };
  hide("expires", "id");
  hide("signatureVersion", "userdata");
  expect(await asked(lab.app, String(sent))).toMatchObject({ status: 430 });
});

test("a name has letters, digits and what names of maps have, and nothing else", async () => {
  const cases: readonly (readonly [name: string, good: boolean])[] = [
    ["details[0].cpuNumber", true],
    ["details[12].SSH.PublicKey", true],
    ["details[0].extraconfig-1", true],
    ["details[0].hypervisor:key_2", true],
    ["details[0].example.org/key", true],
    ["iptonetworklist[0].networkid", true],
    ["", false],
    ["a=b", false],
    ["a&b", false],
    ["a b", false],
    ["a%3db", false],
    ["details[0].a\n", false],
    ["détails", false],
  ];
  for (const [name, good] of cases) {
    const asked = readRequest(new Request(`http://x/?${new URLSearchParams([[name, "1"]])}`));
    if (good) expect((await asked).sent).toEqual(new Map([[name, "1"]]));
    else await expect(asked).rejects.toMatchObject({ errorCode: 430 });
  }
});

test("an error is CloudStack's: its number is the status, its text a header too", async () => {
  const lab = openTestLab();
  const unknown = await lab.ask("destroyEverything");
  expect(unknown).toMatchObject({ status: 432, name: "errorresponse" });
  expect(unknown.content).toEqual({
    uuidList: [],
    errorcode: 432,
    cserrorcode: 9999,
    errortext: "There is no such command, or it is not available",
  });
  const missing = await lab.ask("getVirtualMachineUserData");
  expect(missing).toMatchObject({ status: 431, name: "getvirtualmachineuserdataresponse" });
  expect(missing.content).toMatchObject({ errorcode: 431, cserrorcode: 4350 });
  expect(missing.headers.get("x-description")).toBe("The parameter virtualmachineid is missing");
  expect(missing.headers.get("content-type")).toBe("application/json;charset=UTF-8");
  expect(missing.headers.get("cache-control")).toBe("no-store");
});

test("names that objects have by birth are no commands", async () => {
  const lab = openTestLab();
  for (const command of ["constructor", "__proto__", "toString", "hasOwnProperty", "listzones"]) {
    expect((await lab.ask(command)).status).toBe(432);
  }
});

test("answers are JSON, and whoever asks for another kind is told so", async () => {
  const lab = openTestLab();
  for (const response of ["xml", ""]) {
    const sent = signed({ command: "listZones", response });
    const { status, content } = await asked(lab.app, String(new URLSearchParams([...sent])));
    expect([status, content.errortext]).toEqual([
      431,
      "Answers are JSON only: ask with response=json",
    ]);
  }
  const json = signed({ command: "listZones", response: "JSON" });
  expect((await asked(lab.app, String(new URLSearchParams([...json])))).status).toBe(200);
});

test("what is not a request is refused before anything is looked at", async () => {
  const lab = openTestLab();
  const good = signedQuery("listZones", {}, KEYS, NOW + 1000);
  const many = Array.from({ length: PARAMS_MAX + 1 }, (_, at) => `p${at}=1`).join("&");
  const cases: readonly (readonly [number, string, boolean?])[] = [
    [430, `${good}&command=listNetworks`],
    [430, `${good}&COMMAND=listNetworks`],
    [430, `${good}&Response=xml`, true],
    [430, many],
    [430, `${"n".repeat(300)}=1`],
    [400, "x".repeat(70_000)],
    [400, `x=${"x".repeat(1024 * 1024)}`, true],
  ];
  for (const [status, query, post] of cases) {
    const answer = await asked(lab.app, query, post);
    expect([query.slice(0, 80), answer.status]).toEqual([query.slice(0, 80), status]);
    expect(answer.content.errorcode).toBe(status);
  }
  for (const method of ["PUT", "DELETE", "OPTIONS"]) {
    expect((await lab.app.request(`/?${good}`, { method })).status).toBe(405);
  }
});

test("a form that says no length is cut off at the limit", async () => {
  const lab = openTestLab();
  let given = 0;
  const body = new ReadableStream({
    pull(controller) {
      given += 65_536;
      controller.enqueue(new Uint8Array(65_536).fill(97));
    },
  });
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const request = new Request("http://x/", { method: "POST", headers, body });
  expect((await lab.app.request(request)).status).toBe(400);
  expect(given).toBeLessThan(2 * 1024 * 1024);
});

test("nothing that a client sends comes back in an error", async () => {
  const lab = openTestLab();
  const hostile = "<script>alert(7)</script>\u202e\r\nSet-Cookie: a=b";
  const names = Object.values(commands).flatMap(({ params }) => Object.keys(params));
  for (const [command, { params }] of Object.entries(commands)) {
    const all = Object.fromEntries(Object.keys(params).map((name) => [name, hostile]));
    for (const name of Object.keys(params)) {
      for (const given of [
        { ...LEAST, [name]: hostile },
        all,
        { [`${name}[0].${hostile}`]: "x" },
      ]) {
        const { text, headers } = await lab.ask(command, given);
        expect(text).not.toContain("alert");
        expect(headers.get("set-cookie")).toBeNull();
        expect(headers.get("x-description") ?? "").not.toContain("alert");
      }
    }
  }
  expect(names.length).toBeGreaterThan(50);
  expect(lab.lines.join("")).not.toContain("alert");
});

test("where a source owns the instances, they are listed and not changed", async () => {
  const store = new MemoryStore();
  const { id } = await openTestLab({ store }).done("deployVirtualMachine", LEAST);
  const lab = openTestLab({ store, readOnly: true });
  const before = JSON.stringify(await store.list());
  for (const [command, { kind }] of Object.entries(commands)) {
    if (kind === "read") continue;
    const answer = await lab.ask(command, { ...LEAST, id: String(id), name: "x" });
    expect([command, answer.status]).toEqual([command, 432]);
    expect(answer.content.errortext).toBe("A source owns the instances: change them there");
  }
  expect(JSON.stringify(await store.list())).toBe(before);
  expect(await lab.ok("listVirtualMachines")).toMatchObject({ count: 1 });
  const empty = openTestLab({ readOnly: true });
  expect(await empty.ok("listNetworks")).toEqual({});
  expect(await empty.store.networks()).toEqual([]);
});

test("a job is pending until it is done, and forgotten after a while", async () => {
  const store = new (class extends MemoryStore {
    gate: Promise<void> | undefined;
    override async put(...args: Parameters<MemoryStore["put"]>) {
      await this.gate;
      return super.put(...args);
    }
  })();
  const lab = openTestLab({ store });
  let open = (): void => {};
  store.gate = new Promise((resolve) => {
    open = resolve;
  });
  const begun = await lab.ok("deployVirtualMachine", LEAST);
  const jobid = String(begun.jobid);
  const pending = await lab.ok("queryAsyncJobResult", { jobid });
  expect(pending).toMatchObject({ jobstatus: 0, jobinstanceid: begun.id, jobid });
  expect(pending).not.toContainKeys(["jobresult", "completed"]);
  // Reading goes on meanwhile.
  expect(await lab.ok("listVirtualMachines")).toEqual({});
  open();
  while ((await lab.ok("queryAsyncJobResult", { jobid })).jobstatus === 0);
  const done = await lab.ok("queryAsyncJobResult", { jobid });
  expect(done).toMatchObject({ jobstatus: 1, jobresultcode: 0, jobresulttype: "object" });
  lab.time += JOB_MS_MAX + 1;
  const { status, content } = await lab.ask("queryAsyncJobResult", { jobid });
  expect([status, content.errortext]).toEqual([
    431,
    "jobid: there is no such job, or not any more",
  ]);
});

test("a store in trouble is an error of ours, and the next request may be luckier", async () => {
  const store = new (class extends MemoryStore {
    fails = true;
    override async documents(kind: string) {
      if (this.fails) throw new StoreError("STORE_UNREADABLE", "/secret/place: no such disk");
      return super.documents(kind);
    }
  })();
  const lab = openTestLab({ store });
  const failed = await lab.ask("listVirtualMachines");
  expect([failed.status, failed.content.errortext]).toEqual([
    530,
    "The store refused (STORE_UNREADABLE); the reason is in the log",
  ]);
  expect(lab.lines.join("")).toContain("no such disk");
  store.fails = false;
  expect(await lab.ok("listVirtualMachines")).toEqual({});
});

function signatureOf(query: string): string {
  return new URLSearchParams(query).get("signature") ?? "";
}

const SECRETS = new Map([[KEYS.apiKey, KEYS.secretKey]]);

/** Signed by code of its own. */
function signed(params: Record<string, string>): Map<string, string> {
  const all: Record<string, string> = { ...params, apiKey: KEYS.apiKey };
  const text = Object.keys(all)
    .sort()
    .map((name) => `${name}=${encodeURIComponent(all[name] ?? "")}`)
    .join("&")
    .toLowerCase();
  const signature = createHmac("sha1", KEYS.secretKey).update(text).digest("base64");
  return new Map(Object.entries({ ...all, signature }));
}
