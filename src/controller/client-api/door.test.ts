import { expect, test } from "bun:test";
import { signedQuery } from "../../source/cloudstack/sign.ts";
import { ATTEMPTS_MAX, ATTEMPTS_MS } from "../attempts.ts";
import { Door } from "./door.ts";
import { verify } from "./sign.ts";
import { KEYS, NOW, openTestLab } from "./testing.ts";

const SECRETS = new Map([[KEYS.apiKey, KEYS.secretKey]]);
const EXPIRES = NOW + 3_600_000;
const right = signedQuery("listZones", {}, KEYS, EXPIRES);
const unknown = signedQuery("listZones", {}, { ...KEYS, apiKey: "nobody" }, EXPIRES);
const wrong = signedQuery("listZones", {}, { ...KEYS, secretKey: "wrong" }, EXPIRES);
const unsigned = right.replace(/&signature=.*/, "");

/** A door that counts how often a signature was computed. */
function counting(): { came: (query: string, peer?: string) => boolean; made: () => number } & {
  later: (ms: number) => void;
} {
  let now = NOW;
  let made = 0;
  const door = new Door({
    secretKeys: SECRETS,
    now: () => now,
    check: (...given) => {
      made++;
      return verify(...given);
    },
  });
  return {
    came(query, peer = "10.0.0.1") {
      try {
        door.enter(new Map(new URLSearchParams(query)), peer);
        return true;
      } catch {
        return false;
      }
    },
    made: () => made,
    later: (ms) => {
      now += ms;
    },
  };
}

test("beyond the limit, what cannot be right costs no signature, and what is right is taken", () => {
  for (const failing of [unknown, unsigned, "", "apiKey=&signature=AAAA"]) {
    const { came, made, later } = counting();
    for (let n = 0; n < ATTEMPTS_MAX; n++) expect(came(failing)).toBe(false);
    expect(made()).toBe(ATTEMPTS_MAX);
    for (let n = 0; n < 100; n++) expect(came(failing)).toBe(false);
    expect(made()).toBe(ATTEMPTS_MAX);
    expect(came(right)).toBe(true);
    expect(came(failing, "10.0.0.2")).toBe(false);
    expect(made()).toBe(ATTEMPTS_MAX + 2);
    later(ATTEMPTS_MS);
    expect(came(failing)).toBe(false);
    expect(made()).toBe(ATTEMPTS_MAX + 3);
  }
});

test("a wrong signature of a known key counts, and does not keep the right one out", () => {
  const { came, made } = counting();
  for (let n = 0; n < 3 * ATTEMPTS_MAX; n++) expect(came(wrong)).toBe(false);
  const before = made();
  expect(came(unknown)).toBe(false);
  expect(made()).toBe(before);
  expect(came(right)).toBe(true);
});

test("refused beyond the limit is refused in the same words, for that address alone", async () => {
  const lab = openTestLab();
  const ask = async (query: string, peer: string) => {
    const response = await lab.app.request(`/?${query}`, {}, { peer });
    return [response.status, await response.text()];
  };
  const first = await ask(unknown, "10.0.0.1");
  expect(first[0]).toBe(401);
  for (let n = 0; n < 2 * ATTEMPTS_MAX; n++) expect(await ask(unknown, "10.0.0.1")).toEqual(first);
  expect(await ask(unknown, "10.0.0.2")).toEqual(first);
  expect((await ask(right, "10.0.0.1"))[0]).toBe(200);
});
