/** How the files of replayed clients are read. */

import { expect, test } from "bun:test";
import { parseExchanges } from "./exchange.ts";

const WHOLE = `# a comment

### The title
@port password
@from 10.1.1.58
GET / HTTP/1.1
Host: x

=> 200 "a\\nb" close

### Another
@same connection
GET /b HTTP/1.1

=> 404 base64 "AAE="
`;

test("an exchange is a request to the last byte, and its answer", () => {
  expect(parseExchanges(WHOLE)).toEqual([
    {
      title: "The title",
      line: 3,
      port: "password",
      from: "10.1.1.58",
      sameConnection: false,
      request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      status: 200,
      body: Buffer.from("a\nb"),
      close: true,
    },
    {
      title: "Another",
      line: 11,
      port: "metadata",
      from: "10.1.1.57",
      sameConnection: true,
      request: "GET /b HTTP/1.1\r\n\r\n",
      status: 404,
      body: Buffer.from([0, 1]),
      close: false,
    },
  ]);
});

test("what is not understood is an error with its line", () => {
  check(WHOLE.replace("=> 200", "-> 200"), "line 3");
  check(WHOLE.replace("@port password", "@port 8080"), '"@port 8080" means nothing');
  check(WHOLE.replace("GET /b HTTP/1.1\n", ""), "line 11");
});

function check(text: string, expected: string): void {
  expect(() => parseExchanges(text)).toThrow(expected);
}
