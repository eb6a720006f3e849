import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { CloudStackError } from "../../model/errors.ts";
import { type ClientOptions, CloudStackClient } from "./client.ts";
import type { Clock } from "./gate.ts";
import { encode } from "./sign.ts";
import { errorFault, FakeApi, type Fault, KEYS, SIGNAL } from "./testing.ts";

/** A clock on which nobody waits. */
class Jumping implements Clock {
  readonly slept: number[] = [];
  #ahead = 0;

  now(): number {
    return Date.now() + this.#ahead;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.slept.push(ms);
    this.#ahead += ms;
  }
}

test("a read is signed, by GET, and answers what stands under the answer's name", async () => {
  await withApi({}, async ({ api, client }) => {
    const { capability } = await client.read("listCapabilities", { name: "a b*~'" }, SIGNAL);
    expect(capability).toEqual({ cloudstackversion: "4.22.0.0" });
    expect(api.asked.map(({ method }) => method)).toEqual(["GET"]);
  });
});

test("a read with much to say is a form", async () => {
  await withApi({}, async ({ api, client }) => {
    await client.read("listCapabilities", { ids: "x,".repeat(5000) }, SIGNAL);
    expect(api.asked.map(({ method }) => method)).toEqual(["POST"]);
  });
});

test("every error says what to do about it, and is repeated only where that may help", async () => {
  const error401 = readFileSync("fixtures/cloudstack/api/error-401.json", "utf8");
  const error431 = readFileSync("fixtures/cloudstack/api/error-431.json", "utf8");
  const cases: readonly (readonly [Fault, CloudStackError["code"], number, string])[] = [
    [{ status: 401, body: error401 }, "CLOUDSTACK_KEYS", 1, "check the API key"],
    [{ status: 431, body: error431 }, "CLOUDSTACK_REQUEST", 1, "too long for http GET"],
    // Some proxies turn every status into 200.
    [{ status: 200, body: error431 }, "CLOUDSTACK_REQUEST", 1, "431"],
    [errorFault(432, "unknown"), "CLOUDSTACK_FORBIDDEN", 1, "role may not use it"],
    [errorFault(531, "no"), "CLOUDSTACK_FORBIDDEN", 1, "531: no"],
    [errorFault(530, "no permission", 4365), "CLOUDSTACK_FORBIDDEN", 1, "no permission"],
    [errorFault(400, "expires is past"), "CLOUDSTACK_CLOCK", 1, "expires"],
    [errorFault(430, "malformed"), "CLOUDSTACK_REQUEST", 1, "430: malformed"],
    [errorFault(530, "internal"), "CLOUDSTACK_FAILED", 4, "530: internal"],
    [errorFault(533, "no room"), "CLOUDSTACK_FAILED", 4, "533: no room"],
    [{ status: 503, body: "<html>" }, "CLOUDSTACK_FAILED", 4, "503"],
    [{ status: 200, body: " <!doctype html>" }, "CLOUDSTACK_ADDRESS", 1, "check its address"],
    [{ status: 404, body: "nothing" }, "CLOUDSTACK_ADDRESS", 1, "404"],
    [{ status: 302, body: "", headers: { location: "/" } }, "CLOUDSTACK_ADDRESS", 1, "302"],
    [{ status: 200, body: '{"a":{"b":' }, "CLOUDSTACK_ANSWER", 4, "cut, not JSON"],
    [{ status: 200, body: deep(64) }, "CLOUDSTACK_ANSWER", 4, "nested too deep"],
    [{ status: 200, body: "[]" }, "CLOUDSTACK_ANSWER", 4, "not JSON"],
    [{ status: 200, body: '{"a":{"b":1}}', cut: true }, "CLOUDSTACK_ANSWER", 4, "cut"],
    [{ status: 200, body: `{"a":"${"x".repeat(5000)}"}` }, "CLOUDSTACK_TOO_LARGE", 1, "4000"],
    [{ hang: true }, "CLOUDSTACK_TIMEOUT", 4, "within 150 ms"],
  ];
  for (const [fault, code, requests, said] of cases) {
    await withApi({ requestMsMax: 150, answerBytesMax: 4000 }, async ({ api, client }) => {
      api.fail("listZones", ...Array.from({ length: 9 }, () => fault));
      const error = await failure(client.read("listZones", {}, SIGNAL));
      expect([error.code, api.count("listZones")]).toEqual([code, requests]);
      expect(error.message).toStartWith("listZones: ");
      expect(error.message).toContain(said);
    });
  }
});

test("a read that fails for a moment succeeds", async () => {
  await withApi({}, async ({ api, client, clock }) => {
    const passing = [errorFault(530, "x"), { status: 502, body: "" }, { body: "{", cut: true }];
    api.fail("listCapabilities", ...passing);
    await client.read("listCapabilities", {}, SIGNAL);
    expect(api.count("listCapabilities")).toBe(4);
    expect(clock.slept.every((ms, at) => ms <= 250 * 2 ** at)).toBe(true);
  });
});

test("an API that nobody answers for is said to be unreachable", async () => {
  const endpoint = new URL("http://127.0.0.1:1/client/api");
  using client = new CloudStackClient({ endpoint, credentials: KEYS, clock: new Jumping() });
  const error = await failure(client.read("listZones", {}, SIGNAL));
  // Whoever prints it whole prints no signed request, and no key with the client either.
  expect(inspect([error, client], { depth: 9 })).not.toMatch(/signature|EXAMPLE-secret/i);
  expect(inspect(error, { depth: 9 })).not.toContain(KEYS.apiKey);
  expect([error.code, error.message]).toEqual([
    "CLOUDSTACK_UNREACHABLE",
    expect.stringContaining("listZones: the API cannot be reached"),
  ]);
});

test("an API that is asked too often is left alone as long as it says, by everybody", async () => {
  const body = JSON.stringify({
    errorresponse: { errorcode: 429, errortext: "api limit, please retry after [700] ms." },
  });
  const cases: readonly (readonly [Fault, number])[] = [
    [{ status: 429, body, headers: { "retry-after": "3" } }, 3000],
    [{ status: 429, body }, 700],
    [{ status: 429, body: "slow down" }, 1000],
    [{ status: 429, body, headers: { "retry-after": "86400" } }, 60_000],
  ];
  for (const [fault, waitMs] of cases) {
    await withApi({}, async ({ api, client, clock }) => {
      // More often than a failure would be repeated.
      api.fail("listCapabilities", ...Array.from({ length: 4 }, () => fault));
      await client.read("listCapabilities", {}, SIGNAL);
      expect(api.count("listCapabilities")).toBe(5);
      for (const ms of clock.slept) expect(Math.abs(ms - waitMs)).toBeLessThan(500);
    });
  }
});

test("an API that never stops refusing for the rate is given up in the end", async () => {
  await withApi({}, async ({ api, client }) => {
    const busy = { status: 429, body: "", headers: { "retry-after": "60" } };
    api.fail("listZones", ...Array.from({ length: 50 }, () => busy));
    expect((await failure(client.read("listZones", {}, SIGNAL))).code).toBe("CLOUDSTACK_BUSY");
  });
});

test("only a few requests are under way at once", async () => {
  await withApi({}, async ({ api, client }) => {
    const asks = Array.from({ length: 40 }, () => client.read("listCapabilities", {}, SIGNAL));
    await Promise.all(asks);
    expect(api.underWayMost).toBeLessThanOrEqual(4);
  });
});

test("a clock that is wrong is told from keys that are wrong", async () => {
  await withApi({}, async ({ api, client }) => {
    api.ahead = 3_600_000;
    const error = await failure(client.read("listCapabilities", {}, SIGNAL));
    expect(error.code).toBe("CLOUDSTACK_CLOCK");
    expect(error.message).toContain("over 10 min ahead");
    expect(error.remedy).toBe("fix-config");
  });
  const date = new Date(Date.now() - 3_600_000).toUTCString();
  await withApi({}, async ({ api, client }) => {
    api.fail("listZones", { ...errorFault(401, "no"), headers: { date } });
    const error = await failure(client.read("listZones", {}, SIGNAL));
    expect([error.code, error.message]).toEqual(["CLOUDSTACK_CLOCK", expect.anything()]);
    expect(error.message).toMatch(/3[56]\d\d s behind/);
  });
  const wrong = { apiKey: KEYS.apiKey, secretKey: "wrong" };
  await withApi({ credentials: wrong }, async ({ client }) => {
    const error = await failure(client.read("listCapabilities", {}, SIGNAL));
    expect(error.code).toBe("CLOUDSTACK_KEYS");
  });
});

test("no error holds a key, whatever the API repeats", async () => {
  await withApi({}, async ({ api, client }) => {
    const text = `bad ${KEYS.secretKey}\n${KEYS.apiKey} \u001b[31m ${"x".repeat(5000)}`;
    api.fail("listZones", errorFault(431, text));
    const { message } = await failure(client.read("listZones", {}, SIGNAL));
    expect(message).toContain("bad *** *** [31m xxx");
    expect(message.length).toBeLessThan(400);
  });
});

test("no error holds a signature, or a key as a URL or a signed text spells it", async () => {
  const credentials = { apiKey: "Example+api/Key=(1)", secretKey: "Example/secret~Key!" };
  const { apiKey, secretKey } = credentials;
  await withApi({ credentials }, async ({ api, client }) => {
    for (const key of [apiKey, secretKey]) {
      for (const spell of [encode, encodeURIComponent, (text: string) => encode(encode(text))]) {
        for (const text of [spell(key), spell(key).toLowerCase(), spell(key).toUpperCase()]) {
          api.fail("listZones", errorFault(431, `GET /?apiKey=${text}&command=listZones`));
          const { message } = await failure(client.read("listZones", {}, SIGNAL));
          expect(message).toBe("listZones: 431: GET /?apiKey=***&command=listZones");
        }
      }
    }
    const said = "a=1&signature=Ab%2Bc%3D&expires=2 signature=Ab+c= Signature%3dAb+c";
    api.fail("listZones", errorFault(431, `${said} signatureVersion=3`));
    const { message } = await failure(client.read("listZones", {}, SIGNAL));
    const shown = "a=1&signature=***&expires=2 signature=*** Signature=*** signatureVersion=3";
    expect(message).toBe(`listZones: 431: ${shown}`);
  });
});

test("whoever aborts gets the reason at once, also while others wait", async () => {
  await withApi({}, async ({ api, client }) => {
    api.fail("listZones", ...Array.from({ length: 4 }, () => ({ hang: true })));
    const abort = new AbortController();
    const asks = Array.from({ length: 8 }, () => client.read("listZones", {}, abort.signal));
    const ends = Promise.allSettled(asks);
    setTimeout(() => abort.abort(new Error("enough")), 50);
    for (const end of await ends) {
      expect(end.status === "rejected" && String(end.reason)).toBe("Error: enough");
    }
    await client.read("listCapabilities", {}, SIGNAL);
  });
});

/** An answer of the API with lists in lists. */
function deep(levels: number): string {
  return `{"a":{"b":${"[".repeat(levels)}${"]".repeat(levels)}}}`;
}

interface Lab {
  readonly api: FakeApi;
  readonly client: CloudStackClient;
  readonly clock: Jumping;
}

async function withApi(options: Partial<ClientOptions>, use: (lab: Lab) => Promise<void>) {
  await using api = await FakeApi.open();
  const clock = new Jumping();
  using client = new CloudStackClient({
    endpoint: api.url,
    credentials: KEYS,
    clock,
    ...options,
  });
  await use({ api, client, clock });
}

async function failure(work: Promise<unknown>): Promise<CloudStackError> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof CloudStackError)) throw error ?? new Error("it succeeded");
  return error;
}
