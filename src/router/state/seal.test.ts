import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { scratch } from "../../../test/state/samples.ts";
import { type Reading, readSealed } from "./read.ts";
import { type FileIdentity, FRAME_HEADER_BYTES, HEADER_BYTES, Sealer, TAG_BYTES } from "./seal.ts";

const KEY = randomBytes(32);
const JOURNAL: FileIdentity = { kind: "journal", label: "router" };
const CONTENTS = ["first", "second", "third"];

interface Sealed {
  readonly header: Buffer;
  readonly frames: readonly Buffer[];
}

function seal(contents: readonly string[], identity = JOURNAL, number = 7): Sealed {
  const sealer = new Sealer(KEY, identity, number);
  return {
    header: sealer.header,
    frames: contents.map((text) => Buffer.from(sealer.seal(Buffer.from(text)))),
  };
}

function whole({ header, frames }: Sealed): Buffer {
  return Buffer.concat([header, ...frames]);
}

/** Reads a file back: what became of it, and the contents. */
function read(file: Buffer, identity = JOURNAL, sealKey = KEY): [Reading, readonly string[]] {
  using folder = scratch();
  const path = join(folder.path, "file");
  writeFileSync(path, file);
  const contents: string[] = [];
  const onFrame = (content: Buffer) => contents.push(content.toString());
  return [readSealed({ path, sealKey, identity, onFrame }), contents];
}

function outcome(file: Buffer, identity = JOURNAL, sealKey = KEY): string {
  return read(file, identity, sealKey)[0].outcome;
}

describe("a sealed file", () => {
  test("gives back what was sealed, in order, with its number", () => {
    const [reading, contents] = read(whole(seal(CONTENTS)));
    expect(reading).toEqual({ outcome: "whole", number: 7, ended: false });
    expect(contents).toEqual(CONTENTS);
  });

  test("shows nothing of its content", () => {
    expect(whole(seal(["a secret word"])).includes("secret")).toBe(false);
  });

  test("says whether its last frame is the last that was meant", () => {
    const sealer = new Sealer(KEY, JOURNAL, 7);
    const file = Buffer.concat([sealer.header, sealer.seal(Buffer.from("x"), true)]);
    expect(read(file)[0]).toEqual({ outcome: "whole", number: 7, ended: true });
  });

  test("that is not there is absent", () => {
    const path = join("/nowhere", "file");
    const reading = readSealed({ path, sealKey: KEY, identity: JOURNAL, onFrame: () => {} });
    expect(reading).toEqual({ outcome: "absent" });
  });

  test("never seals twice with one key and nonce: equal files differ in every frame", () => {
    const [a, b] = [seal(CONTENTS), seal(CONTENTS)];
    a.frames.forEach((frame, index) => {
      expect(frame.equals(b.frames[index] as Buffer)).toBe(false);
    });
    const contents = new Set(
      [...a.frames, ...seal(["same", "same"]).frames].map((frame) =>
        frame.subarray(FRAME_HEADER_BYTES).toString("hex"),
      ),
    );
    expect(contents.size).toBe(5);
  });
});

describe("frames do not open", () => {
  const { header, frames } = seal(CONTENTS);
  const [first, second, third] = frames as [Buffer, Buffer, Buffer];
  const other = seal(CONTENTS);

  const cases: Readonly<Record<string, readonly Buffer[]>> = {
    "when two are swapped": [header, second, first, third],
    "when one in the middle is dropped": [header, first, third],
    "when the first is dropped": [header, second, third],
    "when one is repeated": [header, first, first, second, third],
    "when one comes from another file": [header, first, other.frames[1] as Buffer, third],
    "when all come from another file": [header, ...other.frames],
    "when the header comes from another file": [other.header, ...frames],
  };
  for (const [name, parts] of Object.entries(cases)) {
    test(name, () => {
      const [reading, contents] = read(Buffer.concat(parts));
      expect(reading.outcome).not.toBe("whole");
      expect(CONTENTS.slice(0, contents.length)).toEqual([...contents]);
      expect(contents.length).toBeLessThan(CONTENTS.length);
    });
  }

  test("in another realm, kind or place", () => {
    const file = whole(seal(CONTENTS));
    expect(outcome(file, { kind: "journal", label: "other" })).toBe("damaged");
    expect(outcome(file, { kind: "snapshot", label: "router" })).toBe("damaged");
  });

  test("with another key", () => {
    expect(outcome(whole(seal(CONTENTS)), JOURNAL, randomBytes(32))).toBe("damaged");
  });

  test("when any one bit was changed", () => {
    const file = whole(seal(CONTENTS));
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.nat(7), (at, bit) => {
        const spoilt = Buffer.from(file);
        spoilt[at] = (spoilt[at] as number) ^ (1 << bit);
        const [reading, contents] = read(spoilt);
        expect(reading.outcome).not.toBe("whole");
        expect(CONTENTS.slice(0, contents.length)).toEqual([...contents]);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a file that was cut off", () => {
  test("at any byte gives back every frame before it, and is no damage", () => {
    const sealed = seal(CONTENTS);
    const file = whole(sealed);
    const ends = sealed.frames.map(
      (_, index) =>
        whole({ header: sealed.header, frames: sealed.frames.slice(0, index + 1) }).length,
    );
    for (let length = 0; length <= file.length; length++) {
      const [reading, contents] = read(file.subarray(0, length));
      const complete = ends.filter((end) => end <= length).length;
      expect({ length, contents }).toEqual({ length, contents: CONTENTS.slice(0, complete) });
      const isClean = length === HEADER_BYTES || ends.includes(length);
      expect({ length, outcome: reading.outcome }).toEqual({
        length,
        outcome: isClean ? "whole" : "torn",
      });
    }
  });

  test("and filled with zeros, as after a loss of power, is no damage either", () => {
    const file = whole(seal(CONTENTS));
    for (let length = 0; length < file.length; length += 7) {
      const torn = Buffer.concat([file.subarray(0, length), Buffer.alloc(file.length - length)]);
      const inHeader = length > 0 && length < HEADER_BYTES;
      // Half a header cannot be told from one of another key: one sector holds all of it.
      if (!inHeader)
        expect({ length, outcome: outcome(torn) }).toEqual({ length, outcome: "torn" });
    }
  });

  test("is told from one that was changed in the middle", () => {
    const sealed = seal(CONTENTS);
    const file = whole(sealed);
    const second = HEADER_BYTES + (sealed.frames[0] as Buffer).length;
    for (let at = HEADER_BYTES; at < second + (sealed.frames[1] as Buffer).length; at++) {
      const spoilt = Buffer.from(file);
      spoilt[at] = (spoilt[at] as number) ^ 1;
      expect({ at, outcome: outcome(spoilt) }).toEqual({ at, outcome: "damaged" });
    }
  });
});

test("a frame takes its header and its tag beside its content", () => {
  const [frame] = seal(["twelve bytes"]).frames as [Buffer];
  expect(frame.length).toBe(FRAME_HEADER_BYTES + 12 + TAG_BYTES);
});
