import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import fc from "fast-check";
import { type Form, parseForm } from "./form.ts";

const PORT = 18_600;
const URLENCODED = "application/x-www-form-urlencoded";

function parse(
  type: string | undefined,
  body: string,
): Readonly<Record<string, string>> | undefined {
  const form = parseForm(type, Buffer.from(body, "latin1"));
  return form === undefined ? undefined : Object.fromEntries(form);
}

/** A multipart body as a browser or curl writes it. */
function multipart(
  fields: readonly (readonly [string, string])[],
  boundary = "----b",
): readonly [type: string, body: string] {
  const parts = fields.map(([name, value]) => {
    const disposition = `Content-Disposition: form-data; name="${name}"`;
    return `--${boundary}\r\n${disposition}\r\n\r\n${value}\r\n`;
  });
  return [`multipart/form-data; boundary=${boundary}`, `${parts.join("")}--${boundary}--\r\n`];
}

describe("a url-encoded form", () => {
  const cases: Readonly<Record<string, Readonly<Record<string, string>> | undefined>> = {
    "": {},
    "a=1&b=2": { a: "1", b: "2" },
    "a=": { a: "" },
    "a=b=c": { a: "b=c" },
    "a=1&&b=2&": { a: "1", b: "2" },
    "a=Pa%24s%3Dw0rd": { a: "Pa$s=w0rd" },
    "a=b+c%20d%2Be": { a: "b c d+e" },
    "a=%C3%A4": { a: "ä" },
    "a=\u00c3\u00a4": { a: "ä" },
    "a=%E4": undefined,
    "a=\u00e4": undefined,
    "a=%": undefined,
    "a=%zz": undefined,
    a: undefined,
    "a=1&a=2": undefined,
    [Array.from({ length: 17 }, (_, index) => `f${index}=x`).join("&")]: undefined,
  };
  for (const [body, fields] of Object.entries(cases)) {
    test(`${JSON.stringify(body.slice(0, 40))} is ${fields ? "read" : "refused"}`, () => {
      expect(parse(URLENCODED, body)).toEqual(fields as Record<string, string>);
    });
  }

  test("may have a charset in its type, in any case", () => {
    expect(parse("Application/X-WWW-Form-URLEncoded; charset=UTF-8", "a=1")).toEqual({ a: "1" });
  });
});

describe("a multipart form", () => {
  test("is read, whatever its values hold", () => {
    const value = "a\r\nb--c\0=&\u00c3\u00a4 ";
    const expected = Buffer.from(value, "latin1").toString("utf8");
    const form = parse(
      ...multipart([
        ["ip", "10.1.1.5"],
        ["password", value],
        ["token", ""],
      ]),
    );
    expect(form).toEqual({ ip: "10.1.1.5", password: expected, token: "" });
  });

  test("may have a quoted boundary, and types of its parts", () => {
    const [, body] = multipart([["a", "1"]], "x y");
    expect(parse('multipart/form-data; boundary="x y"', body)).toEqual({ a: "1" });
    const typed = body.replace("\r\n\r\n1", "\r\nContent-Type: text/plain\r\n\r\n1");
    expect(parse('multipart/form-data; boundary="x y"', typed)).toEqual({ a: "1" });
  });

  test("without fields is read", () => {
    expect(parse("multipart/form-data; boundary=b", "--b--\r\n")).toEqual({});
  });

  const [type, good] = multipart([
    ["a", "1"],
    ["b", "2"],
  ]);
  const refused: Readonly<Record<string, readonly [string, string]>> = {
    "without a boundary": ["multipart/form-data", good],
    "with an empty boundary": ["multipart/form-data; boundary=", good],
    "with two boundaries": [`${type}; boundary=x`, good],
    "with a boundary of 71 characters": multipart([["a", "1"]], "x".repeat(71)),
    "with another boundary": ["multipart/form-data; boundary=other", good],
    "with a preamble": [type, `hello\r\n${good}`],
    "with an epilogue": [type, `${good}hello`],
    "without an end": [type, good.slice(0, -8)],
    "with bare line feeds": [type, good.replaceAll("\r\n", "\n")],
    "with a field that is there twice": multipart([
      ["a", "1"],
      ["a", "2"],
    ]),
    "with a file": [type, good.replace('name="a"', 'name="a"; filename="x"')],
    "with a transfer encoding": [
      type,
      good.replace("\r\n\r\n1", "\r\nContent-Transfer-Encoding: base64\r\n\r\n1"),
    ],
    "with a part that has no name": [type, good.replace('; name="a"', "")],
    "with a part that has two": [
      type,
      good.replace("\r\n\r\n1", '\r\nContent-Disposition: form-data; name="c"\r\n\r\n1'),
    ],
    "with a part that has no headers": ["multipart/form-data; boundary=b", "--b\r\n\r\n1\r\n--b--"],
    "with a boundary that goes on in a value": [type, good.replace("1", "1\r\n------bc")],
    "with a value that is not UTF-8": multipart([["a", "\u00e4"]]),
    "with 17 fields": multipart(
      Array.from({ length: 17 }, (_, index) => [`f${index}`, ""] as const),
    ),
    "with a part header of more than 1 KiB": [
      type,
      good.replace("\r\n\r\n1", `\r\nContent-Type: ${"x".repeat(1024)}\r\n\r\n1`),
    ],
  };
  for (const [what, [type, body]] of Object.entries(refused)) {
    test(`${what} is refused`, () => {
      expect(parse(type, body)).toBeUndefined();
    });
  }
});

test("a body of another type, or of none, is no form", () => {
  for (const type of [undefined, "", "text/plain", "application/json", "multipart/mixed"]) {
    expect(parse(type, "a=1")).toBeUndefined();
  }
});

const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/);
const fields = fc.uniqueArray(fc.tuple(name, fc.string({ unit: "binary", maxLength: 30 })), {
  selector: ([name]) => name,
  maxLength: 5,
});

test("what the runtime writes as a form is read back, whatever it holds", async () => {
  await fc.assert(
    fc.asyncProperty(fields, async (fields) => {
      const sound = fields.filter(([, value]) => !/\p{Surrogate}/u.test(value));
      const params = new URLSearchParams();
      for (const [name, value] of sound) params.append(name, value);
      const urlencoded = parseForm(URLENCODED, Buffer.from(params.toString()));
      expect(urlencoded).toEqual(new Map(sound));
      const latin1 = sound.map(
        ([name, value]) => [name, Buffer.from(value).toString("latin1")] as const,
      );
      expect(parse(...multipart(latin1, "----boundary"))).toEqual(Object.fromEntries(sound));
    }),
  );
});

test("any bytes are read or refused, and quickly", () => {
  const pieces = [
    "--b",
    "\r\n",
    "\r\n--b",
    "--",
    'Content-Disposition: form-data; name="a"',
    "=",
    "&",
    "%",
  ];
  const body = fc
    .array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: "binary", maxLength: 8 })), {
      maxLength: 40,
    })
    .map((parts) => Buffer.from(parts.join("")));
  fc.assert(
    fc.property(
      fc.constantFrom(URLENCODED, "multipart/form-data; boundary=b"),
      body,
      (type, body) => {
        const form: Form | undefined = parseForm(type, body);
        expect(form === undefined || form.size <= 16).toBe(true);
      },
    ),
    { numRuns: 2000 },
  );
  const hostile = "--b\r\n\r\n".repeat(2340);
  const began = performance.now();
  parse("multipart/form-data; boundary=b", hostile);
  parse(URLENCODED, "&".repeat(16_384));
  parse(`multipart/form-data${"; boundary=".repeat(1400)}`, hostile);
  expect(performance.now() - began).toBeLessThan(100);
});

const curl = spawnSync("curl", ["--version"]).status === 0;
if (!curl) console.log("skipped: forms as curl sends them (curl is not installed)");

test.skipIf(!curl)("forms are read as curl sends them", async () => {
  const password = "Pa$s=w0rd &+%ä\"'";
  const secret = ["ip=10.1.1.5", `password=${password}`, "token=0123456789abcdef"];
  const ways: readonly (readonly string[])[] = [
    secret.flatMap((field) => ["-F", field]),
    secret.flatMap((field) => ["--form-string", field]),
    secret.flatMap((field) => ["--data-urlencode", field]),
    ["-d", secret[0] ?? "", "--data-urlencode", secret[1] ?? "", "-d", secret[2] ?? ""],
  ];
  const forms: (Form | undefined)[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    forms.push(parseForm(request.headers["content-type"], Buffer.concat(chunks)));
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(PORT, "127.0.0.1", resolve));
  try {
    for (const way of ways) {
      const child = Bun.spawn(["curl", "-sS", ...way, `http://127.0.0.1:${PORT}/`]);
      expect(await child.exited).toBe(0);
    }
  } finally {
    server.close();
  }
  const expected = new Map([
    ["ip", "10.1.1.5"],
    ["password", password],
    ["token", "0123456789abcdef"],
  ]);
  expect(forms).toEqual(ways.map(() => expected));
});
