import { describe, expect, test } from "bun:test";
import {
  ACKNOWLEDGED,
  isDeliverable,
  NOT_UNDERSTOOD,
  NOTHING_PENDING,
  type PasswordAsk,
  POSTED,
  passwordReply,
  readPasswordAsk,
  WRONG_METHOD,
} from "./password.ts";

const cases: readonly (readonly [method: string, word: string | undefined, ask: PasswordAsk])[] = [
  ["GET", "send_my_password", "send"],
  ["GET", "saved_password", "acknowledge"],
  ["GET", " \tsend_my_password ", "send"],
  ["GET", undefined, "bad-request"],
  ["GET", "", "bad-request"],
  ["GET", "Send_My_Password", "bad-request"],
  ["GET", "save_password", "bad-request"],
  ["GET", "send_my_password, send_my_password", "bad-request"],
  ["GET", "saved_password, send_my_password", "bad-request"],
  ["GET", "\u00a0send_my_password", "bad-request"],
  ["POST", "save_password", "save"],
  ["POST", "saved_password", "ignore"],
  ["POST", "send_my_password", "ignore"],
  ["POST", "other", "ignore"],
  ["POST", undefined, "ignore"],
  ["HEAD", "send_my_password", "bad-method"],
  ["PUT", "save_password", "bad-method"],
  ["DELETE", undefined, "bad-method"],
  ["OPTIONS", "send_my_password", "bad-method"],
  ["get", "send_my_password", "bad-method"],
];

describe("a request with DomU_Request", () => {
  for (const [method, word, ask] of cases) {
    test(`${method} ${JSON.stringify(word)} is ${ask}`, () => {
      const headers: Readonly<Record<string, string | undefined>> = { domu_request: word };
      expect(readPasswordAsk(method, (name) => headers[name])).toBe(ask);
    });
  }
});

describe("an answer", () => {
  const text = { status: 200, type: "text/plain; charset=utf-8" } as const;

  test("is the password as it is, or the word that there is none", () => {
    expect(passwordReply("Pa$s=w0rd")).toEqual({ ...text, body: "Pa$s=w0rd" });
    expect(passwordReply(undefined)).toEqual({ ...text, body: "saved_password" });
  });

  test("is a word of the closed vocabulary, or nothing", () => {
    for (const reply of [NOTHING_PENDING, ACKNOWLEDGED]) {
      expect(reply).toEqual({ ...text, body: "saved_password" });
    }
    expect(NOT_UNDERSTOOD).toEqual({ ...text, body: "bad_request" });
    expect(POSTED).toEqual({ status: 200 });
    expect(WRONG_METHOD).toEqual({ status: 405, allow: "GET, POST" });
  });
});

test("the dialogue's own words are no passwords", () => {
  expect(["saved_password", "bad_request", ""].filter(isDeliverable)).toEqual([]);
  expect(["Saved_Password", "send_my_password", "bad_requests"].every(isDeliverable)).toBe(true);
});
