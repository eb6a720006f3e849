import { expect, test } from "bun:test";
import { FORM_BYTES_MAX, PARAMS_MAX } from "./limits.ts";
import { base64Of, LEAST, openTestLab } from "./testing.ts";

/** A dozen megabytes are decoded and signed: seconds on a machine that has other work. ms. */
const SLOW_MS = 30_000;

test(
  "user data has one limit by GET, one by POST, and the operator's for both",
  async () => {
    const cases: readonly (readonly [chars: number, max: number, get: number, post: number])[] = [
      [4096, 32_768, 200, 200],
      [4100, 32_768, 431, 200],
      [32_768, 32_768, 431, 200],
      [32_772, 32_768, 431, 431],
      [4096, 2048, 431, 431],
      [1_000_000, 1_048_576, 431, 200],
    ];
    for (const [chars, userDataMax, get, post] of cases) {
      const lab = openTestLab({ userDataMax });
      const userdata = base64Of(chars);
      const { id } = await lab.done("deployVirtualMachine", LEAST);
      for (const [command, params] of [
        ["deployVirtualMachine", { ...LEAST, userdata }],
        ["updateVirtualMachine", { id: String(id), userdata }],
        ["registerUserData", { name: "x", userdata }],
      ] as const) {
        const before = JSON.stringify(await lab.store.list());
        // A query is cut short long before the largest of them.
        const byGet = chars > 60_000 ? get : (await lab.ask(command, params)).status;
        if (get === 431) expect(JSON.stringify(await lab.store.list())).toBe(before);
        if (command === "registerUserData" && byGet === 200) continue;
        const { status: byPost, content } = await lab.ask(command, params, { post: true });
        // Its job writes later, and the next command looks at what is written.
        const jobid = String(content.jobid ?? "");
        while (jobid !== "" && (await lab.ok("queryAsyncJobResult", { jobid })).jobstatus === 0);
        expect([command, chars, byGet, byPost]).toEqual([command, chars, get, post]);
      }
    }
  },
  SLOW_MS,
);

test("a refusal of user data names the size, the limit, and the way out", async () => {
  const lab = openTestLab();
  const params = { name: "x", userdata: base64Of(5000) };
  const { name, content } = await lab.ask("registerUserData", params);
  expect(name).toBe("registeruserdataresponse");
  expect(content).toEqual({
    uuidList: [],
    errorcode: 431,
    cserrorcode: 4350,
    errortext: "user data has 5000 characters of base64; the limit by GET is 4096; send it by POST",
  });
});

test("a page has so many bytes of registered user data, and a smaller one is shown", async () => {
  const lab = openTestLab();
  const userdata = Buffer.alloc(1024 * 1024).toString("base64");
  const known = Array.from({ length: 17 }, (_, at) => ({
    id: `u-${at}`,
    name: `n-${at}`,
    userdata,
  }));
  await lab.store.putDocuments(
    "client-api-user-data",
    known.map((one) => [one.id, one]),
  );
  const list = (params: Record<string, string>) => lab.ask("listUserData", params);
  const whole = await list({});
  expect([whole.status, whole.content.errortext]).toEqual([
    431,
    "The page has more than 16777216 bytes of user data: ask for a smaller page size",
  ]);
  const page = await list({ page: "1", pagesize: "16" });
  expect([page.status, page.content.count]).toEqual([200, 17]);
  expect((await list({ name: "n-3" })).content.count).toBe(1);
});

test("a page has 500 items at most, and both of its parameters", async () => {
  const lab = openTestLab();
  const statusOf = async (params: Record<string, string>): Promise<number> =>
    (await lab.ask("listZones", params)).status;
  expect(await statusOf({ page: "1", pagesize: "500" })).toBe(200);
  expect(await statusOf({ page: "1", pagesize: "501" })).toBe(431);
  expect(await statusOf({ page: "1" })).toBe(431);
  expect(await statusOf({ pagesize: "10" })).toBe(431);
  expect(await statusOf({ page: "0", pagesize: "10" })).toBe(431);
  expect(await statusOf({ page: "-1", pagesize: "10" })).toBe(431);
  expect(await statusOf({ page: "999999999", pagesize: "500" })).toBe(200);
  expect(await statusOf({ projectid: "-1" })).toBe(200);
  expect((await lab.ask("listVirtualMachines", { projectid: "p" })).status).toBe(431);
});

test("parameters are counted before a query or a form is taken apart", async () => {
  const { app } = openTestLab();
  const own = URLSearchParams;
  let apart = 0;
  globalThis.URLSearchParams = class extends own {
    constructor(text?: string) {
      super(text);
      apart += text?.length ?? 0;
    }
  } as typeof own;
  try {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    for (const [text, isForm, status, isApart] of [
      ["a&".repeat(524_280), true, 430, false],
      ["&".repeat(FORM_BYTES_MAX), true, 430, false],
      ["a&".repeat(30_000), false, 430, false],
      [`a=${"b".repeat(FORM_BYTES_MAX - 2)}`, true, 401, true],
      [Array.from({ length: PARAMS_MAX }, (_, at) => `p${at}=1`).join("&"), true, 401, true],
    ] as const) {
      const init = isForm ? { method: "POST", headers, body: text } : {};
      apart = 0;
      const answer = await app.request(isForm ? "/" : `/?${text}`, init);
      expect([text.slice(0, 9), answer.status]).toEqual([text.slice(0, 9), status]);
      expect(apart).toBe(isApart ? text.length : 0);
    }
  } finally {
    globalThis.URLSearchParams = own;
  }
});
