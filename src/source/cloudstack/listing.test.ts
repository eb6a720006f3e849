import { expect, test } from "bun:test";
import { CloudStackError } from "../../model/errors.ts";
import type { Fields } from "./answer.ts";
import type { Api } from "./client.ts";
import { listAll } from "./listing.ts";
import { SIGNAL } from "./testing.ts";

/** A list that the test changes between two requests. */
class Changing implements Api {
  names: string[];
  readonly pages: string[] = [];
  sizeMax = 500;
  tooLargeFrom = Number.POSITIVE_INFINITY;
  count: (real: number) => number | undefined = (real) => real;
  before: (request: number) => void = () => {};

  constructor(count: number) {
    this.names = Array.from({ length: count }, (_, at) => `i-${at}`);
  }

  async read(command: string, params: Readonly<Record<string, string>>): Promise<Fields> {
    this.before(this.pages.length);
    const size = Number(params.pagesize);
    const page = Number(params.page);
    this.pages.push(`${page}/${size}`);
    if (size > this.sizeMax) {
      throw new CloudStackError("CLOUDSTACK_REQUEST", `${command}: pageSize exceeds its max`);
    }
    if (size >= this.tooLargeFrom) throw new CloudStackError("CLOUDSTACK_TOO_LARGE", "too large");
    const items = this.names.slice((page - 1) * size, page * size).map((id) => ({ id }));
    if (this.names.length === 0) return {};
    return { count: this.count(this.names.length), item: items };
  }
}

test("a quiet list is read once, whatever its length", async () => {
  for (const count of [0, 1, 499, 500, 501, 1000, 1700]) {
    const api = new Changing(count);
    expect(await found(api)).toEqual({ count, settled: true });
    expect(api.pages.length).toBe(Math.max(1, Math.ceil(count / 500)));
  }
});

test("an item that vanishes between two pages hides none of the others", async () => {
  const api = new Changing(1700);
  api.before = (request) => {
    if (request === 2) api.names.splice(0, 1);
  };
  expect(await found(api)).toEqual({ count: 1699, settled: true });
});

test("an item that appears between two pages is there once", async () => {
  const api = new Changing(1700);
  api.before = (request) => {
    if (request === 2) api.names.unshift("new");
  };
  expect(await found(api)).toEqual({ count: 1701, settled: true });
});

test("one for one is noticed by the item that comes twice", async () => {
  const api = new Changing(1700);
  api.before = (request) => {
    if (request !== 2) return;
    api.names.unshift("new");
    api.names.pop();
  };
  const { items } = await list(api);
  expect(items).toContain("new");
  expect(items.length).toBe(1700);
});

test("what vanished and was made up for is noticed by the count between", async () => {
  const api = new Changing(1200);
  api.before = (request) => {
    if (request === 1) api.names.shift();
    if (request === 2) api.names.push("new");
  };
  const { items } = await list(api);
  expect(items).toContain("i-500");
  expect(items.length).toBe(1200);
});

test("a list that is never quiet is all that was seen, and says so", async () => {
  const api = new Changing(1700);
  api.before = () => {
    api.names.shift();
  };
  const { items, settled } = await list(api);
  expect(settled).toBe(false);
  // Whoever was there all the time is in it.
  for (let at = 100; at < 1700; at++) expect(items).toContain(`i-${at}`);
  expect(api.pages.length).toBe(16);
});

test("a count that is wrong is believed less than two passes that found the same", async () => {
  for (const count of [() => 1705, () => 1600, () => undefined]) {
    const api = new Changing(1700);
    api.count = count;
    expect(await found(api)).toEqual({ count: 1700, settled: true });
    expect(api.pages.length).toBe(8);
  }
});

test("a page that is refused for its size, or is too large, is asked for in halves", async () => {
  const refused = new Changing(300);
  refused.sizeMax = 200;
  expect(await found(refused)).toEqual({ count: 300, settled: true });
  expect(refused.pages).toEqual(["1/500", "1/250", "1/125", "2/125", "3/125"]);
  const large = new Changing(300);
  large.tooLargeFrom = 300;
  expect(await found(large)).toEqual({ count: 300, settled: true });
  const hopeless = new Changing(300);
  hopeless.tooLargeFrom = 1;
  expect(list(hopeless)).rejects.toThrow("too large");
});

test("where one page fails, the others are given up, and so is all when that is asked", async () => {
  const asked: AbortSignal[] = [];
  const api: Api = {
    read: async (_, { page }, signal) => {
      asked.push(signal);
      if (page === "3") throw new CloudStackError("CLOUDSTACK_KEYS", "third");
      return {
        count: 2000,
        item: Array.from({ length: 500 }, (_, at) => ({ id: `${page}-${at}` })),
      };
    },
  };
  await expect(list(api)).rejects.toThrow("third");
  expect(asked.map(({ aborted }) => aborted)).toEqual([true, true, true, true]);
  const abort = new AbortController();
  const waiting: Api = {
    read: (_, __, signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        abort.abort(new Error("enough"));
      }),
  };
  const whole = listAll(waiting, { command: "list", item: "item" }, String, abort.signal);
  await expect(whole).rejects.toThrow("enough");
});

test("an item without a name leaves the list unsettled; too many are refused", async () => {
  const api = new Changing(3);
  api.names[1] = "";
  expect(await found(api)).toEqual({ count: 2, settled: false });
  const endless = new Changing(1);
  endless.count = () => 1e9;
  await expect(list(endless)).rejects.toThrow("more than 200000");
  // Smaller pages would have as many in all.
  expect(endless.pages).toEqual(["1/500"]);
});

test("an answer that contradicts itself is no list, also if it says so again and again", async () => {
  const cases: readonly (readonly [content: Fields, isList: boolean])[] = [
    [{}, true],
    [{ count: 0 }, true],
    [{ count: 0, item: [] }, true],
    [{ item: [] }, true],
    [{ count: 2, item: "xx" }, false],
    [{ count: 2, item: {} }, false],
    [{ item: null }, false],
    [{ item: "xx" }, false],
    [{ count: 2, item: [] }, false],
    [{ count: 2 }, false],
    [{ count: "2" }, false],
    [{ count: -1 }, false],
    [{ count: "many" }, false],
  ];
  for (const [content, isList] of cases) {
    const answer = list({ read: async () => content });
    if (isList) expect(await answer).toEqual({ items: [], settled: true });
    else await expect(answer).rejects.toMatchObject({ code: "CLOUDSTACK_ANSWER" });
  }
});

async function list(api: Api): Promise<{ items: string[]; settled: boolean }> {
  const read = (raw: Fields): string => String(raw.id);
  const { items, settled } = await listAll(api, { command: "list", item: "item" }, read, SIGNAL);
  return { items: [...items], settled };
}

async function found(api: Api): Promise<{ count: number; settled: boolean }> {
  const { items, settled } = await list(api);
  return { count: new Set(items).size, settled };
}
