/** What counts as a difference, and how the documentation lists one. */

import { expect, test } from "bun:test";
import { differences, parseListed } from "./differences.ts";
import { parseReply } from "./recording.ts";

const THEIRS = "HTTP/1.1 200 OK\nDate: then\nContent-Length: 5\nVary: x\n\nhello";

test("a reply that is equal but for what names the moment and the server is no difference", () => {
  check(THEIRS, []);
  check("HTTP/1.1 200 OK\r\nETag: y\r\nContent-Length: 5\r\nvary: x\r\n\r\nhello", []);
});

test("every other respect is a difference of its own", () => {
  check(THEIRS.replace("200", "404"), ["status"]);
  check(THEIRS.replace("hello", "hellO"), ["body"]);
  check(THEIRS.replace(": 5", ": 6"), ["length"]);
  check(THEIRS.replace("Content-Length: 5\n", ""), ["length"]);
  check(THEIRS.replace("HTTP/1.1", "HTTP/1.0"), ["protocol"]);
  check(THEIRS.replace("Vary: x", "Vary: z"), ["header vary"]);
  check(THEIRS.replace("Vary: x", "Allow: GET"), ["header allow", "header vary"]);
  check(THEIRS.replace("Vary: x", "Vary: x\nVary: x"), ["header vary"]);
});

test("the documentation lists requests below the heading that gives the reason", () => {
  const text = "# Errors\n\n```golden\n1.2.3.4 GET /a -> body, length\n```\n\n```sh\ncurl\n```\n";
  expect(parseListed(text)).toEqual(
    new Map([["1.2.3.4 GET /a", { aspects: ["body", "length"], headings: ["Errors"] }]]),
  );
});

test("a request may stand below several headings", () => {
  const text = "# A\n```golden\nx GET / -> body\n```\n# B\n```golden\nx GET / -> status\n```\n";
  const { aspects, headings } = parseListed(text).get("x GET /") ?? {};
  expect({ aspects, headings }).toEqual({ aspects: ["body", "status"], headings: ["A", "B"] });
});

test("a line that lists nothing is an error", () => {
  expect(() => parseListed("# A\n```golden\n1.2.3.4 GET /a\n```\n")).toThrow("GET /a");
  expect(() => parseListed("```golden\n1.2.3.4 GET /a -> body\n```\n")).toThrow("heading");
});

function check(ours: string, expected: readonly string[]): void {
  expect(differences(parseReply(THEIRS), parseReply(ours))).toEqual(expected);
}
