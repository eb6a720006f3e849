import { expect, test } from "bun:test";
import fc from "fast-check";
import { Bag, DEPTH_MAX, type Value } from "./bag.ts";
import { BagFlaw, VALUE_BYTES_MAX } from "./members.ts";
import { CHUNK_BYTES, linesAt, TornError } from "./stream.ts";
import { fileOf, slices, take } from "./testing.ts";

const RUNS = process.env.FRONTDESK_LONG === undefined ? 300 : 5000;

test("a bag says what JSON.parse says, whatever the formatting", async () => {
  await check(['{"a":1,"b":[2,{"c":"}"}]}'], [{ a: "set", b: "set" }]);
  await check([' {\n\t"a" :\r\n 1 } \n'], [{ a: "set" }]);
  await check(["{}"], [{}]);
  await check(['{"a\\u0062":"\\"}","ü":null}'], [{ ab: "set", ü: "set" }]);
});

test("a second reading says what differs, and nothing else", async () => {
  await check(['{"a":1,"b":2}', '{"a":1,"b":2}'], [{ a: "set", b: "set" }, {}]);
  await check(['{"a":1,"b":2}', '{"a":1,"b":22}'], [{ a: "set", b: "set" }, { b: "set" }]);
  await check(['{"a":1,"b":2}', '{"a":12,"b":2}'], [{ a: "set", b: "set" }, { a: "set" }]);
  await check(['{"a":1,"b":2}', '{"b":2}'], [{ a: "set", b: "set" }, { a: "gone" }]);
  await check(['{"b":2}', '{"a":1,"b":2,"c":3}'], [{ b: "set" }, { a: "set", c: "set" }]);
  await check(['{"a":1,"b":2}', '{"b":2, "a":1}'], [{ a: "set", b: "set" }, {}]);
  await check(
    ['{"a":1,"b":2}', "{}"],
    [
      { a: "set", b: "set" },
      { a: "gone", b: "gone" },
    ],
  );
});

test("of duplicate names the last wins", async () => {
  await check(['{"a":1,"a":2}', '{"a":1}'], [{ a: "set" }, { a: "set" }]);
  await check(['{"a":1,"b":0}', '{"a":1,"b":0,"a":2}'], [{ a: "set", b: "set" }, { a: "set" }]);
  await check(['{"b":0,"a":2}', '{"a":1,"b":0,"a":2}'], [{ a: "set", b: "set" }, {}]);
  await check(['{"a":1,"b":0,"a":2}', '{"a":3,"b":0,"a":2}'], [{ a: "set", b: "set" }, {}]);
});

test("names that mean something to JavaScript are names like others", async () => {
  const text = '{"__proto__":{"x":1},"constructor":1,"toString":2}';
  const said = Object.fromEntries(Object.keys(JSON.parse(text)).map((key) => [key, "set"]));
  await check([text], [said as Said]);
});

test("what is no JSON object is refused with its line, and changes nothing", async () => {
  const good = '{"a":1,\n"b":[1,2],\n"c":"x"}';
  const cases: [string, number][] = [
    ["", 1],
    ["   \n ", 1],
    ["[1]", 1],
    ["null", 1],
    ['"}', 1],
    ["}", 1],
    [good.slice(0, 12), 2],
    ['{"a":1,\n"b":[1,2,\n"c":"x"}', 2],
    ['{"a":1,\n"b":[1 2],\n"c":"x"}', 2],
    ['{"a":1,\n"b":[1,2]\n"c":"x"}', 3],
    ['{"a":1,\n"b" [1,2],\n"c":"x"}', 2],
    ['{"a":1,\n"b":[1,2],\n"c":"x",}', 3],
    ['{"a":1,\n"b":,\n"c":"x"}', 2],
    ['{"a":1,\nb:[1,2],\n"c":"x"}', 2],
    [`${good}\n{}`, 4],
    [`${good}}`, 3],
    ['{"a":1,\n"b":[1,2],\n"c":"x\\"}', 3],
    ["\ufeff{}", 1],
  ];
  for (const [text, line] of cases) {
    const bag = new Bag(parse);
    await take(bag, good);
    const flaw = await bag.read(fileOf(text), slices()).catch((error: unknown) => error);
    expect(flaw, text).toBeInstanceOf(BagFlaw);
    const seen = await linesAt(fileOf(text), [(flaw as BagFlaw).at], slices());
    expect([text, seen]).toEqual([text, [line]]);
    expect(contentOf(bag)).toEqual(JSON.parse(good));
  }
});

test("a value that is too deep or too long is refused unparsed, the others are not", async () => {
  const refusals: Record<string, string | undefined> = {};
  const bag = new Bag((value) => {
    refusals[value.key] = value.refused;
  });
  const deep = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  const long = `"${"x".repeat(VALUE_BYTES_MAX)}"`;
  const text = `{"deep":${deep(1e5)},"fits":${deep(DEPTH_MAX)},"long":${long},"last":1}`;
  await bag.read(fileOf(text), slices());
  expect(refusals).toEqual({
    deep: "is nested deeper than 64",
    fits: undefined,
    long: "is longer than 4 MiB",
    last: undefined,
  });
});

// Goal: reading by difference is as good as reading the whole.
// Method: texts of random objects in random formatting, each made from the one before by a random
// edit; after each, the bag holds what JSON.parse says, or what it held if JSON.parse refuses.
test("any sequence of files gives what JSON.parse gives, or the last good state", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(edit(), { minLength: 1, maxLength: 12 }), async (edits) => {
      const bag = new Bag(parse);
      let text = "{}";
      for (const apply of edits) {
        text = apply(text);
        const before = contentOf(bag);
        const expected = parsed(text) ?? before;
        const said = await readAll(bag, text);
        expect(contentOf(bag)).toEqual(expected);
        // Bytes are compared, so the same value in other bytes may be named too.
        expect(said).toMatchObject(differences(before, expected));
      }
    }),
    { numRuns: RUNS },
  );
});

test("files of many chunks are read right, wherever a chunk ends", async () => {
  const filler = (length: number): string => "x".repeat(length);
  const size = 3 * CHUNK_BYTES;
  // The second member begins and ends on every side of the chunk's end.
  for (let shift = -24; shift <= 4; shift++) {
    const first = CHUNK_BYTES + shift - '{"a":"",'.length;
    let text = `{"a":"${filler(first)}","b\\u0062" : [1, "\\\\"] ,"c":"${filler(size)}","d":1 }`;
    const bag = new Bag(parse);
    expect(await readAll(bag, text)).toEqual({ a: "set", bb: "set", c: "set", d: "set" });
    expect(contentOf(bag)).toEqual(JSON.parse(text));
    expect(await readAll(bag, text)).toEqual({});
    text = text.replace("[1,", "[2,").replace('"d":1', '"d":12');
    expect(await readAll(bag, text)).toEqual({ bb: "set", d: "set" });
    expect(contentOf(bag)).toEqual(JSON.parse(text));
    text = `{"new":0,${text.slice(1)}`;
    expect(await readAll(bag, text)).toEqual({ new: "set" });
    expect(contentOf(bag)).toEqual(JSON.parse(text));
  }
});

test("a value longer than can be held is passed over, and what follows it is read", async () => {
  const bag = new Bag(({ refused }) => refused);
  const long = (length: number): string => `"${"\\u0041".repeat(length / 6)}"`;
  for (const length of [VALUE_BYTES_MAX + 6, 3 * VALUE_BYTES_MAX]) {
    await take(bag, `{"a":1,"b": ${long(length)} ,"c":[2],"d":3}`);
    expect(contentOf(bag)).toEqual({
      a: undefined,
      b: "is longer than 4 MiB",
      c: undefined,
      d: undefined,
    });
    expect(bag.size).toBe(4);
  }
  await expect(bag.read(fileOf(`{${long(2 * VALUE_BYTES_MAX)}:1}`), slices())).rejects.toThrow(
    "a name is too long",
  );
});

test("a file that becomes shorter while it is read changes nothing", async () => {
  const bag = new Bag(parse);
  await readAll(bag, '{"a":1}');
  const torn = { ...fileOf('{"a":2}'), read: () => Promise.reject(new TornError("torn")) };
  await expect(bag.read(torn, slices())).rejects.toThrow(TornError);
  expect(contentOf(bag)).toEqual({ a: 1 });
});

function parse({ raw, refused }: Value): unknown {
  return refused === undefined ? JSON.parse(raw.toString()) : undefined;
}

type Said = Record<string, "set" | "gone">;

/** Reads, commits, and says what the delta named. */
async function readAll(bag: Bag<unknown>, text: string): Promise<Said> {
  try {
    const { changes } = await take(bag, text);
    const names = changes.map(({ key, after }) => [key, after ? "set" : "gone"]);
    return Object.fromEntries(names);
  } catch (error) {
    if (error instanceof BagFlaw) return {};
    throw error;
  }
}

function contentOf<T>(bag: Bag<T>): object {
  return Object.fromEntries([...bag.keys()].map((key) => [key, bag.get(key)?.data]));
}

function parsed(text: string): object | undefined {
  try {
    const value = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? Object.fromEntries(Object.entries(value)) : undefined;
  } catch {
    return undefined;
  }
}

function differences(before: object, after: object): Said {
  const a = new Map(Object.entries(before));
  const b = new Map(Object.entries(after));
  const gone = [...a.keys()].filter((key) => !b.has(key)).map((key) => [key, "gone"]);
  const set = [...b]
    .filter(([key, value]) => !a.has(key) || JSON.stringify(a.get(key)) !== JSON.stringify(value))
    .map(([key]) => [key, "set"]);
  return Object.fromEntries([...gone, ...set]);
}

async function check(texts: string[], expected: Said[]): Promise<void> {
  const bag = new Bag(parse);
  for (const [index, text] of texts.entries()) {
    const { changes } = await take(bag, text);
    const names = changes.map(({ key, after }) => [key, after ? "set" : "gone"]);
    expect(Object.fromEntries(names)).toEqual(expected[index] ?? {});
    expect(contentOf(bag)).toEqual(parsed(text) ?? {});
  }
}

/** A way to make one text from another. */
function edit(): fc.Arbitrary<(text: string) => string> {
  const key = fc.constantFrom("a", "b", "c", "10.1.1.1", "id", "__proto__", 'q"\\', "ü");
  const value = fc.jsonValue({ maxDepth: 3 }).map((json) => JSON.stringify(json));
  const space = fc.constantFrom("", "", " ", "\n  ", "\t\r\n");
  const member = fc
    .tuple(key, value, space, space, space)
    .map(([name, json, a, b, c]) => `${a}${JSON.stringify(name)}${b}:${c}${json}${a}`);
  const object = fc.array(member, { maxLength: 6 }).map((members) => `{${members.join(",")}}`);
  const place = fc.double({ min: 0, max: 1, noNaN: true });
  return fc.oneof(
    // An object with other members: shuffled, duplicated, in other formatting.
    object.map((text) => () => text),
    // One more member, in front or behind.
    member.map((text) => (old: string) => old.replace("{", `{${text}${old === "{}" ? "" : ","}`)),
    // Another value somewhere, of any length.
    fc
      .tuple(place, fc.constantFrom("0", "1", '"', "\\", "[", "]", "{", "}", ",", ":", " ", "ab"))
      .map(([where, piece]) => (old: string) => {
        const at = Math.floor(where * old.length);
        return old.slice(0, at) + piece + old.slice(at + 1);
      }),
    // A piece cut out, or the end: half-written files.
    fc.tuple(place, place).map(([from, to]) => (old: string) => {
      return old.slice(0, Math.floor(from * old.length)) + old.slice(Math.floor(to * old.length));
    }),
    // The values stay, the formatting is another.
    fc.integer({ min: 0, max: 2 }).map((indent) => (old: string) => {
      const object = parsed(old);
      return object === undefined ? old : JSON.stringify(object, undefined, indent);
    }),
  );
}
