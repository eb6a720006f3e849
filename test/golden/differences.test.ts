/** What counts as a difference, and how the documentation lists one. */

import { expect, test } from "bun:test";
import { compare, differences, parseListed } from "./differences.ts";
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
  expect([...parseListed(text, "bun")]).toEqual([["1.2.3.4 GET /a", ["body", "length"]]]);
});

test("a request may stand below several headings, and for one rim alone", () => {
  const text =
    "# A\n```golden\nx GET / -> body\n```\n# B\n```golden\nx GET / -> status (node)\n```\n";
  expect([...parseListed(text, "bun")]).toEqual([["x GET /", ["body"]]]);
  expect([...parseListed(text, "node")]).toEqual([["x GET /", ["body", "status"]]]);
});

test("a line that lists nothing is an error", () => {
  const parse = (text: string) => () => parseListed(text, "bun");
  expect(parse("# A\n```golden\n1.2.3.4 GET /a\n```\n")).toThrow("GET /a");
  expect(parse("# A\n```golden\n1.2.3.4 GET /a -> body (deno)\n```\n")).toThrow("deno");
  expect(parse("```golden\n1.2.3.4 GET /a -> body\n```\n")).toThrow("heading");
});

test("what is found must be listed, and what is listed must be found", () => {
  const found = new Map([
    ["a", new Set(["body", "header x"])],
    ["b", new Set(["header x"])],
  ]);
  const listed = (text: string) => parseListed(`# A\n\`\`\`golden\n${text}\n\`\`\`\n`, "bun");
  const none: string[] = [];
  expect(compare(found, listed("a -> body, header x\nb -> header x"))).toEqual({
    unlisted: none,
    unfound: none,
  });
  expect(compare(found, listed("* -> header x\na -> body"))).toEqual({
    unlisted: none,
    unfound: none,
  });
  expect(compare(found, listed("a -> body, status\n* -> header y"))).toEqual({
    unlisted: ["a -> header x", "b -> header x"],
    unfound: ["a -> status", "* -> header y"],
  });
});

function check(ours: string, expected: readonly string[]): void {
  expect(differences(parseReply(THEIRS), parseReply(ours))).toEqual(expected);
}
