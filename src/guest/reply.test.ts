import { expect, test } from "bun:test";
import fc from "fast-check";
import { HEADER_BYTES_MAX } from "./limits.ts";
import { type Outcome, openReply } from "./reply.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const BYTES_MAX = 20;

/** What is sent, before the server closes, and what it is: a body, or why there is none. */
type Case = readonly [sent: string, expected: string];

// biome-ignore format: a table reads best with one line for each case
const CASES: readonly Case[] = [
  [`${OK}Content-Length: 2\r\n\r\nok`, "ok, kept"],
  [`${OK}content-length:2\r\nConnection: x, Close\r\n\r\nok`, "ok"],
  [`${OK}Content-Length: 0\r\n\r\n`, ", kept"],
  [`${OK}Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n`, "ok"],
  [`${OK}\r\nok`, "ok"],
  ["HTTP/1.0 200\r\nContent-Length: 2\r\n\r\nok", "ok"],
  ["HTTP/1.1 204 No Content\r\n\r\n", ", kept"],
  ["HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", ", kept"],
  [`HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`, "ok, kept"],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n2;x="y"\r\nok\r\n0A\r\n0123456789\r\n0\r\nX: y\r\n\r\n`, "ok0123456789, kept"],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, ", kept"],
  ["", "EPIPE"],
  ["HTTP/1.1 200 OK\r\n", "EPIPE"],
  [`${OK}Content-Length: 3\r\n\r\nok`, "EPIPE"],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`, "EPIPE"],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n`, "EPIPE"],
  ["SSH-2.0-OpenSSH_9.2\r\n", "EPROTO"],
  ["HTTP/2 200\r\n\r\n", "EPROTO"],
  ["HTTP/1.1 2e2 OK\r\nContent-Length: 0\r\n\r\n", "EPROTO"],
  ["HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n", "EPROTO"],
  ["HTTP/1.1 099 No\r\n\r\n", "EPROTO"],
  ["HTTP/1.1 101 Switching Protocols\r\n\r\n", "EPROTO"],
  [`${OK}No colon\r\n\r\n`, "EPROTO"],
  [`${OK}Spaced : x\r\n\r\n`, "EPROTO"],
  [`${OK}A: b\r\n folded\r\n\r\n`, "EPROTO"],
  [`${OK}A: b\0\r\n\r\n`, "EPROTO"],
  [`${OK}A: b\n\r\n\r\n`, "EPROTO"],
  [`${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`, "EPROTO"],
  [`${OK}Content-Length: -2\r\n\r\nok`, "EPROTO"],
  [`${OK}Content-Length: 0x2\r\n\r\nok`, "EPROTO"],
  [`${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, "EPROTO"],
  [`${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, "EPROTO"],
  ["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "EPROTO"],
  [`${OK}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok`, "EPROTO"],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n-1\r\nok\r\n`, "EPROTO"],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n1\r\nok\r\n`, "EPROTO"],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n${"0".repeat(300)}`, "EPROTO"],
  [`${OK}X: ${"x".repeat(HEADER_BYTES_MAX)}`, "EPROTO"],
  [`${OK}Content-Length: 21\r\n\r\n`, "EMSGSIZE"],
  [`${OK}\r\n${"x".repeat(21)}`, "EMSGSIZE"],
  [`${OK}Transfer-Encoding: chunked\r\n\r\nffffffff\r\n${"x".repeat(21)}`, "EMSGSIZE"],
];

test("a reply is read, or refused with a reason", () => {
  for (const [sent, expected] of CASES) check(sent, [Buffer.from(sent, "latin1")], expected);
});

// Goal: what a reply is does not depend on how the network cuts it.
// Method: cut each reply of the table at random places.
test("a reply is the same in whatever pieces it comes", () => {
  const cuts = fc.array(fc.nat(400), { maxLength: 12 });
  fc.assert(
    fc.property(fc.constantFrom(...CASES), cuts, ([sent, expected], places) => {
      // What comes behind a reply is only seen when it comes with it.
      const bytes = Buffer.from(sent.replace(/(?<=\r\n\r\nok)HTTP.*\r\n/, ""), "latin1");
      const sorted = [0, ...places.toSorted((a, b) => a - b), bytes.length];
      const pieces = sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end));
      check(sent, pieces, bytes.length < sent.length ? "ok, kept" : expected);
    }),
  );
});

test("each byte alone is a piece too", () => {
  for (const [sent, expected] of CASES.filter(([text]) => !text.includes("okHTTP"))) {
    check(
      sent,
      [...Buffer.from(sent, "latin1")].map((byte) => Buffer.from([byte])),
      expected,
    );
  }
});

test("a header that came twice is a list, and a name that means something to JavaScript is none", () => {
  const outcome = read([Buffer.from(`${OK}__proto__: x\r\nA: 1\r\na: 2\r\nB: 3\r\n\r\n`)]);
  expect(outcome.kind === "reply" && { ...outcome.headers }).toEqual(
    JSON.parse('{"__proto__": "x", "a": ["1", "2"], "b": "3"}'),
  );
});

function check(sent: string, pieces: readonly Buffer[], expected: string): void {
  const outcome = read(pieces);
  const { kind } = outcome;
  const said = kind === "reply" ? `${outcome.body}${outcome.keeps ? ", kept" : ""}` : outcome.code;
  expect([sent.slice(0, 90), said]).toEqual([sent.slice(0, 90), expected]);
}

function read(pieces: readonly Buffer[]): Outcome {
  const reader = openReply(BYTES_MAX);
  for (const piece of pieces) {
    const outcome = reader.push(piece);
    if (outcome !== undefined) return outcome;
  }
  return reader.end();
}
