import { expect, test } from "bun:test";
import type { RecordName } from "../../model/record.ts";
import type { Store } from "../../store/store.ts";
import { SEARCH_RECORDS_MAX } from "./limits.ts";
import { search } from "./search.ts";
import { openApi } from "./testing.ts";

const _BODY = {
  name: "web-01",
  zone: "z1",
  nics: [{ mac: "02:00:4A:1C:00:05", addresses: ["10.1.1.5"], default: true }],
};
const _AT = "/v1/instances/204/i-1";

test("pages go through all, and the network that is asked for", async () => {
  const { ask } = openApi();
  for (let i = 0; i < 25; i++) {
    const network = i % 5 === 0 ? "205" : "204";
    const nics = [{ addresses: [`10.1.1.${i + 1}`] }];
    await ask(`PUT /v1/instances/${network}/i-${i}`, { body: { name: `n${i}`, nics } });
  }
  expect((await walk("/v1/instances?limit=7")).length).toBe(25);
  expect((await walk("/v1/instances?limit=2&network=205")).length).toBe(5);
  expect(await walk("/v1/instances?network=none")).toEqual([]);
  expect(new Set(await walk("/v1/instances?limit=1")).size).toBe(25);
  const { json } = await ask("GET /v1/instances?limit=1");
  const [first] = (json as { instances: object[] }).instances;
  expect(Object.keys(first ?? {})).not.toContain("keys");

  async function walk(path: string): Promise<string[]> {
    const ids: string[] = [];
    for (let next: string | undefined = ""; next !== undefined; ) {
      const { json } = await ask(`GET ${path}${next && `&after=${next}`}`, { role: "read" });
      const page = json as { instances: { id: string }[]; next?: string };
      ids.push(...page.instances.map(({ id }) => id));
      next = page.next;
    }
    return ids;
  }
});

test("instances are found by their exact name or id, a page at a time too", async () => {
  const { ask } = openApi();
  const made = [
    ["204", "i-1", "web"],
    ["204", "i-2", "web-2"],
    ["204", "web", "other"],
    ["205", "i-1", "web"],
    ["205", "i-3", "Web"],
  ];
  for (const [at, [network, id, name]] of made.entries()) {
    const nics = [{ addresses: [`10.1.1.${at + 1}`] }];
    await ask(`PUT /v1/instances/${network}/${id}`, { body: { name, nics } });
  }
  const cases: readonly (readonly [query: string, found: readonly string[]])[] = [
    ["name=web", ["204 i-1", "205 i-1"]],
    ["name=web&network=205", ["205 i-1"]],
    ["id=i-1", ["204 i-1", "205 i-1"]],
    ["id=web&name=web", ["204 i-1", "204 web", "205 i-1"]],
    ["name=we", []],
    ["name=web&network=none", []],
  ];
  for (const [query, found] of cases) {
    for (const limit of [1, 2, 100]) {
      const names: string[] = [];
      for (let next: string | undefined = ""; next !== undefined; ) {
        const path = `/v1/instances?${query}&limit=${limit}${next && `&after=${next}`}`;
        const { json } = await ask(`GET ${path}`, { role: "read" });
        const page = json as { instances: { network: string; id: string }[]; next?: string };
        expect(page.instances.length).toBeLessThanOrEqual(limit);
        names.push(...page.instances.map(({ network, id }) => `${network} ${id}`));
        next = page.next;
      }
      expect([query, names]).toEqual([query, [...found]]);
    }
  }
});

test("a search reads so much in one request, and goes on where it was", async () => {
  const records = Array.from({ length: 2 * SEARCH_RECORDS_MAX + 7 }, (_, at) => {
    const id = `i-${String(at).padStart(6, "0")}`;
    return { revision: 1, record: { network: "204", id, name: at % 4000 === 3 ? "web" : "db" } };
  });
  let read = 0;
  const list: Store["list"] = async ({ after } = {}) => {
    const from = after === undefined ? 0 : records.findIndex(({ record }) => record.id > after.id);
    const page = records.slice(from, from + 1000);
    read += page.length;
    const last = from + 1000 < records.length ? page.at(-1)?.record : undefined;
    const next = last && { network: "204", id: last.id };
    return { records: page as never, revision: 9, ...(next !== undefined && { next }) };
  };
  const found: string[] = [];
  const reads: number[] = [];
  const wanted = { network: undefined, name: "web", id: undefined, limit: 100 };
  for (let after: RecordName | undefined, isFirst = true; isFirst || after !== undefined; ) {
    isFirst = false;
    read = 0;
    const page = await search({ list }, { ...wanted, after });
    reads.push(read);
    found.push(...page.records.map(({ record }) => record.id));
    after = page.next;
  }
  expect(found).toEqual(["i-000003", "i-004003", "i-008003"]);
  expect(reads).toEqual([SEARCH_RECORDS_MAX, SEARCH_RECORDS_MAX, 7]);
});

test("queries that mean nothing are refused", async () => {
  const { ask } = openApi();
  const cursor = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const queries = [
    ...["limit=0", "limit=1001", "limit=x", "limit=", "limit=1.5", "limit=1&limit=2", "limit=-1"],
    ...["netwrok=204", "network=", `network=${"x".repeat(65)}`, "network=1&network=2"],
    ...["after=", "after=x", `after=${cursor(["a"])}`, `after=${cursor(["a", 1])}`],
    ...[`after=${cursor(["a", "b", "c"])}`, `after=${cursor("ab")}`, `after=${"A".repeat(3000)}`],
  ];
  for (const query of queries) {
    const { status, code } = await ask(`GET /v1/instances?${query}`);
    expect([query, status, code]).toEqual([query, 400, "REQUEST_INVALID"]);
  }
});
