import { expect, test } from "bun:test";
import { MemoryStore } from "../../store/memory.ts";
import type { FollowOptions } from "../../store/store.ts";
import { FOLLOWERS_MAX } from "./limits.ts";
import { type Api, openApi, TOKENS } from "./testing.ts";

const AT = "/v1/instances/204/i-1";
const BODY = { name: "web-01", nics: [{ addresses: ["10.1.1.5"], default: true }] };

test("changes come as they happen, and no secret with them", async () => {
  const api = openApi();
  const { ask } = api;
  await using events = await follow(api, "/v1/events");
  expect(await events.next()).toEqual(["snapshot", "0", { revision: 0 }]);
  const userData = { base64: Buffer.from("SECRET-DATA").toString("base64") };
  await ask(`PUT ${AT}`, { body: { ...BODY, userData, keys: [["k", "SECRET-KEY"]] } });
  const [kind, id, data] = await events.next();
  expect([kind, id]).toEqual(["put", "1"]);
  expect(data).toMatchObject({ network: "204", id: "i-1", userData: { bytes: 11 }, revision: 1 });
  await ask(`PUT ${AT}/password`, { body: { password: "SECRET-WORD" } });
  const name = { network: "204", id: "i-1" };
  expect(await events.next()).toEqual([
    "secret",
    "2",
    { ...name, revision: 2, password: "pending" },
  ]);
  await ask(`DELETE ${AT}/password`);
  expect(await events.next()).toEqual(["secret", "3", { ...name, revision: 3, password: "none" }]);
  for (const [method, sealed] of [["PUT", true] as const, ["DELETE", false] as const]) {
    await ask(`${method} ${AT}/seal`);
    const [what, , after] = await events.next();
    expect([what, after]).toMatchObject(["put", { ...name, sealed }]);
  }
  await ask("PUT /v1/networks/204", { body: { cidrs: [] } });
  const networks = ["204", "205"].map((id) => ({ id, cidrs: [] }));
  expect(await events.next()).toEqual(["networks", "6", { networks, revision: 6 }]);
  await ask(`DELETE ${AT}`);
  expect(await events.next()).toEqual(["delete", "7", { ...name, revision: 7 }]);
  expect(events.text()).not.toContain("SECRET");
});

test("a stream is begun without any record that is there", async () => {
  const begun: (FollowOptions | undefined)[] = [];
  const store = new (class extends MemoryStore {
    override follow(signal: AbortSignal, options?: FollowOptions) {
      begun.push(options);
      return super.follow(signal, options);
    }
  })();
  const api = openApi({}, store);
  await api.ask("PUT /v1/networks/204", { body: { cidrs: [] } });
  await api.ask(`PUT ${AT}`, { body: BODY });
  await using events = await follow(api, "/v1/events");
  expect(await events.next()).toEqual(["snapshot", "2", { revision: 2 }]);
  expect(begun).toEqual([{ from: "now" }]);
  await api.ask(`DELETE ${AT}`);
  expect((await events.next()).slice(0, 2)).toEqual(["delete", "3"]);
});

test("a stream of one network tells nothing of another", async () => {
  const api = openApi();
  await using events = await follow(api, "/v1/events?network=205");
  await events.next();
  await api.ask(`PUT ${AT}`, { body: BODY });
  await api.ask("PUT /v1/instances/205/i-2", { body: BODY });
  expect((await events.next())[2]).toMatchObject({ network: "205", id: "i-2" });
  expect(events.text()).not.toContain("i-1");
});

test("so many may follow at a time, and one that goes makes room", async () => {
  const api = openApi();
  const all = await Promise.all(
    Array.from({ length: FOLLOWERS_MAX }, () => follow(api, "/v1/events")),
  );
  expect((await api.ask("HEAD /v1/events")).status).toBe(200);
  const refused = await api.ask("GET /v1/events");
  expect([refused.status, refused.code]).toEqual([503, "FOLLOWERS_TOO_MANY"]);
  expect(refused.headers.get("retry-after")).toBe("1");
  await all[0]?.[Symbol.asyncDispose]();
  while (await isFull(api)) await Bun.sleep(5);
  await using another = await follow(api, "/v1/events");
  expect((await another.next())[0]).toBe("snapshot");
  for (const one of all.slice(1)) await one[Symbol.asyncDispose]();
});

test("a stream ends with its listener, and with the store", async () => {
  const api = openApi();
  const closing = new AbortController();
  const one = await follow(api, "/v1/events", closing.signal);
  await one.next();
  closing.abort();
  expect(await one.ended()).toBe(true);
  const late = await follow(api, "/v1/events", closing.signal);
  expect(await late.ended()).toBe(true);
  const two = await follow(api, "/v1/events");
  await two.next();
  await api.store.close();
  expect(await two.ended()).toBe(true);
});

test("a stream ends with its token", async () => {
  let isThere = true;
  const bearer = async () => (isThere ? { name: "ci", role: "read" as const } : undefined);
  const api = openApi({ tokens: { bearer } });
  const events = await follow(api, "/v1/events");
  await events.next();
  isThere = false;
  await api.store.putNetworks([{ id: "204", cidrs: [] }]);
  expect(await events.ended()).toBe(true);
  expect(events.text()).not.toContain("204");
});

async function isFull({ app }: Api): Promise<boolean> {
  const headers = { authorization: `Bearer ${TOKENS.read}` };
  const answer = await app.request("/v1/events", { headers });
  await answer.body?.cancel();
  return answer.status === 503;
}

interface Events extends AsyncDisposable {
  next(): Promise<[event: string, id: string, data: unknown]>;
  ended(): Promise<boolean>;
  text(): string;
}

async function follow({ app }: Api, path: string, closing?: AbortSignal): Promise<Events> {
  const headers = { authorization: `Bearer ${TOKENS.read}` };
  const answer = await app.request(path, { headers }, { ...(closing && { closing }) });
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  let text = "";
  let read = 0;
  const more = async (): Promise<boolean> => {
    const { done, value } = await reader.read();
    text += value === undefined ? "" : Buffer.from(value).toString();
    return !done;
  };
  return {
    text: () => text,
    next: async () => {
      while (!text.slice(read).includes("\n\n")) if (!(await more())) throw new Error("it ended");
      const end = text.indexOf("\n\n", read);
      const block = text.slice(read, end);
      read = end + 2;
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1] ?? "";
      return [field("event"), field("id"), JSON.parse(field("data"))];
    },
    ended: async () => {
      while (await more());
      return true;
    },
    [Symbol.asyncDispose]: () => reader.cancel(),
  };
}
