/**
 * What real clients send, as files: each exchange is a request to the last byte and what the router
 * must answer.
 *
 *     ### Why this request is there
 *     @port password            (optional: the password server instead of the metadata)
 *     @from 10.1.1.58           (optional: another guest than 10.1.1.57)
 *     @same connection          (optional: on the connection of the exchange before)
 *     GET / HTTP/1.1
 *     Host: 10.1.1.1
 *
 *     => 200 "the body as JSON" close
 *
 * `base64` before the text says that it is base64; `close` that the server closes the connection.
 */

export interface Exchange {
  readonly title: string;
  /** Line in the file where it starts, from 1. */
  readonly line: number;
  readonly port: "metadata" | "password";
  readonly from: string;
  readonly sameConnection: boolean;
  /** The bytes that are sent. */
  readonly request: string;
  readonly status: number;
  readonly body: Buffer;
  readonly close: boolean;
}

const GUEST = "10.1.1.57";
const EXPECTED = /^=> (\d{3}) (base64 )?("(?:[^"\\]|\\.)*")( close)?$/;

/** Reads the exchanges of one file. @throws {Error} naming the line that is not understood. */
export function parseExchanges(text: string): readonly Exchange[] {
  const lines = text.split("\n");
  const starts = lines.flatMap((line, index) => (line.startsWith("###") ? [index] : []));
  return starts.map((start, nth) => parse(lines.slice(start, starts[nth + 1]), start + 1));
}

function parse(lines: readonly string[], line: number): Exchange {
  const options = lines.slice(1).filter((text) => text.startsWith("@"));
  const request = lines.slice(1).filter((text) => !/^@|^=>|^$/.test(text));
  const last = lines.find((text) => text.startsWith("=>")) ?? "";
  const [, status, base64, body, close] = EXPECTED.exec(last) ?? [];
  if (status === undefined || body === undefined || request.length === 0) {
    throw new Error(`line ${line}: an exchange needs a request and its answer`);
  }
  const from = options.find((text) => text.startsWith("@from "))?.slice("@from ".length);
  const known = ["@port password", "@same connection", `@from ${from}`];
  const unknown = options.find((option) => !known.includes(option));
  if (unknown !== undefined) throw new Error(`line ${line}: "${unknown}" means nothing`);
  return {
    title: (lines[0] ?? "").slice("###".length).trim(),
    line,
    port: options.includes("@port password") ? "password" : "metadata",
    from: from ?? GUEST,
    sameConnection: options.includes("@same connection"),
    request: `${request.join("\r\n")}\r\n\r\n`,
    status: Number(status),
    body: Buffer.from(JSON.parse(body), base64 === undefined ? "utf8" : "base64"),
    close: close !== undefined,
  };
}
