import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { decodeUserData } from "./user-data.ts";

const HAS_PYTHON = spawnSync("python3", ["--version"]).status === 0;

test("user data is decoded with padding, without it, and with alien characters", () => {
  check("aGVsbG8=", "hello");
  check("aGVsbG8", "hello");
  check("aGVs\r\nbG8=\n", "hello");
  check("aGVs bG8", "hello");
  check("a-G_V*sbG8", "hello");
  check("aGVsbG8=d29ybGQ=", "hello");
  check("aGVsbG8hIQ==", "hello!!");
  check("aGVsbG8hIQ=", "hello!!");
  check("=aGVsbG8", "hello");
  check("====", "");
});

test("text whose letters leave one over is not base64", () => {
  for (const text of ["a", "aGVsb", "aGVs\nb", "aGVsb="]) {
    expect(decodeUserData(text)).toBeUndefined();
  }
});

test("the bytes lie in memory of their own", () => {
  for (const length of [1, 256, 64 * 1024, 64 * 1024 + 1, 1024 * 1024]) {
    const bytes = Buffer.alloc(length, 0xa7);
    const decoded = decodeUserData(bytes.toString("base64"));
    expect(decoded?.buffer.byteLength).toBe(length);
    decodeUserData("AAAAAAAA");
    expect(Buffer.compare(decoded ?? Buffer.alloc(0), bytes)).toBe(0);
  }
});

test("any bytes come back from their base64", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, padded) => {
      const text = Buffer.from(bytes).toString("base64");
      const decoded = decodeUserData(padded ? text : text.replace(/=+$/, ""));
      expect([...(decoded ?? [])]).toEqual([...bytes]);
    }),
  );
});

// Goal: what CloudStack's router made of user data, ours makes too.
// Method: Python pads to a multiple of four and decodes, as that router does; random texts of
// letters, padding and junk. Where Python gives up on the padding, ours goes on.
test.skipIf(!HAS_PYTHON)("Python's decoder says the same of any text", () => {
  const piece = fc.constantFrom("A", "b", "9", "+", "/", "=", "-", "_", "\n", " ", "é");
  const texts = fc.sample(fc.string({ unit: piece, maxLength: 24 }), 500);
  const script =
    "import base64,json,sys\n" +
    "def d(s):\n" +
    "  b=s.encode()\n" +
    "  try: return base64.b64decode(b+b'='*(-len(b)%4)).hex()\n" +
    "  except ValueError: return None\n" +
    "print(json.dumps([d(s) for s in json.load(sys.stdin)]))";
  const python = spawnSync("python3", ["-c", script], { input: JSON.stringify(texts) });
  const expected = JSON.parse(python.stdout.toString()) as (string | null)[];
  for (const [i, text] of texts.entries()) {
    if (typeof expected[i] !== "string") continue;
    const decoded = decodeUserData(text);
    expect([text, decoded && Buffer.from(decoded).toString("hex")]).toEqual([text, expected[i]]);
  }
  expect(expected.some((hex) => typeof hex === "string" && hex.length > 8)).toBe(true);
});

function check(text: string, expected: string): void {
  expect(Buffer.from(decodeUserData(text) ?? "none").toString()).toBe(expected);
}
