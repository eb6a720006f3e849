import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { anyEntry, binding, put } from "../../../test/state/samples.ts";
import type { Change } from "../../model/change.ts";
import { PART_BYTES } from "../../model/payload.ts";
import { render, Shapes } from "../../protocol/document.ts";
import { contentHash } from "../../protocol/etag.ts";
import { decodeFrame, FrameError, type OpenBody } from "./decode.ts";
import { FrameEncoder, HEAD_BYTES } from "./encode.ts";
import type { Entry } from "./entry.ts";

const nothingStored: OpenBody = () => undefined;

function encode(entries: readonly Entry[]): Buffer {
  const encoder = new FrameEncoder(() => {});
  for (const entry of entries) encoder.add(entry);
  return encoder.finish();
}

function decode(frame: Buffer, openBody = nothingStored): Entry[] {
  const entries: Entry[] = [];
  decodeFrame(frame, openBody, (entry) => entries.push(entry));
  return entries;
}

describe("entries of a frame", () => {
  test("come back as they were, whatever they hold", () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 12 }), (entries) => {
        expect(decode(encode(entries))).toStrictEqual(entries);
      }),
    );
  });

  test("come back frame by frame from one encoder, which uses its memory again", () => {
    const encoder = new FrameEncoder(() => {});
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 12 }), (entries) => {
        for (const entry of entries) encoder.add(entry);
        expect(decode(encoder.finish())).toStrictEqual(entries);
      }),
    );
  });

  test("come back though many have the same values, and most have values of their own", () => {
    const encoder = new FrameEncoder(() => {});
    for (let frame = 0; frame < 3; frame++) {
      const entries = Array.from({ length: 300 }, (_, index) => put(300 * frame + index));
      for (const entry of entries) encoder.add(entry);
      expect(decode(encoder.finish())).toStrictEqual(entries);
    }
  });

  test("come back from bindings as the directory keeps them", () => {
    const encoder = new FrameEncoder(() => {});
    const shapes = new Shapes();
    const entries = Array.from({ length: 200 }, (_, index) => {
      const { keys } = binding(index);
      const sealed = index % 5 === 0 && { sealed: true as const };
      return put(index, { keys: index % 3 === 0 ? keys.slice(0, -2) : keys, ...sealed });
    });
    for (const { change } of entries as readonly { readonly change: Change }[]) {
      if (change.kind !== "put") continue;
      const { keys, userData, ...rest } = change.binding;
      encoder.add({
        kind: "kept",
        kept: { ...rest, document: render(keys, userData, shapes).document },
      });
    }
    expect(decode(encoder.finish())).toStrictEqual(entries);
  });

  test("come back even with text that is no valid text", () => {
    const entries = [put(1, { name: "half \ud800" }), put(2, { name: "\u20ac" }), put(3)];
    expect(decode(encode(entries))).toStrictEqual(entries);
  });

  test("leave password changes out, because the ledger has entries of its own", () => {
    const { network, address, epoch } = binding(1);
    const change = { kind: "password", network, address, epoch, password: "x", via: "t" } as const;
    const entries = decode(encode([{ kind: "change", change: { ...change, standing: false } }]));
    expect(entries).toEqual([]);
  });

  test("share strings, so that a hundred instances take less than half of their text", () => {
    const entries = Array.from({ length: 100 }, (_, index) => put(index));
    expect(encode(entries).length).toBeLessThan(JSON.stringify(entries).length / 2);
  });

  test("that a body would make too long say that nothing is known, and no part of it", () => {
    const userData = new Uint8Array(16 * 1024 * 1024 + 1);
    const { network, address } = binding(1);
    const gone = { kind: "change", change: { kind: "delete", network, address } } as const;
    expect(decode(encode([put(1, { userData })]))).toEqual([gone]);
  });
});

describe("a body outside the frame", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const ref = { length: bytes.length, hash: contentHash(bytes) };
  const stored = { ...ref, read: () => Promise.resolve(bytes) };

  test("is named when it is written, and found when it is read", () => {
    const named: unknown[] = [];
    const encoder = new FrameEncoder((body) => named.push(body));
    encoder.add(put(1, { userData: stored }));
    expect(named).toEqual([stored]);
    const opened: unknown[] = [];
    const entries = decode(encoder.finish(), (found) => {
      opened.push(found);
      return stored;
    });
    expect(opened).toEqual([ref]);
    expect(entries).toEqual([put(1, { userData: stored })]);
  });

  test("that is gone takes its binding with it, rather than leave the user data out", () => {
    const { network, address } = binding(1);
    const entries = decode(encode([put(1, { userData: stored }), put(2)]));
    const gone = { kind: "change", change: { kind: "delete", network, address } } as const;
    expect(entries).toEqual([gone, put(2)]);
  });
});

describe("payloads, whose parts lie outside the frame,", () => {
  const part = (seed: string, length: number) => {
    const ref = { length, hash: contentHash(seed) };
    return { ...ref, read: () => Promise.resolve(new Uint8Array(length)) };
  };
  const two = {
    sha256: "a".repeat(64),
    bytes: PART_BYTES + 5,
    parts: [part("a0", PART_BYTES), part("a1", 5)],
  };
  const one = { sha256: "b".repeat(64), bytes: PART_BYTES, parts: [part("b0", PART_BYTES)] };
  const all = [...two.parts, ...one.parts];
  const entries = [put(1, { payloads: [two, one] }), put(2), put(3, { payloads: [two] })];

  test("are named when they are written, and found when they are read", () => {
    const named: unknown[] = [];
    const encoder = new FrameEncoder((body) => named.push(body));
    const shapes = new Shapes();
    for (const entry of entries) encoder.add(entry);
    const { keys, userData, payloads, ...rest } = binding(4, { payloads: [one] });
    const { document } = render(keys, userData, shapes);
    encoder.add({ kind: "kept", kept: { ...rest, document: { ...document, payloads } } });
    expect(named).toEqual([...all, ...two.parts, ...one.parts]);
    const asked: string[] = [];
    const found = decode(encoder.finish(), ({ hash, length }) => {
      asked.push(hash);
      return all.find((body) => body.hash === hash && body.length === length);
    });
    expect(found).toEqual([...entries, put(4, { payloads: [one] })]);
    // Looked for once, however many have the same.
    expect(asked).toEqual(all.map(({ hash }) => hash));
  });

  test("of which a part is gone are left out, and their bindings stay", () => {
    const found = decode(encode(entries), ({ hash }) =>
      all.find((body) => body.hash === hash && body !== two.parts[1]),
    );
    expect(found).toEqual([put(1, { payloads: [one] }), put(2), put(3)]);
  });

  test("stand at a record's end, where a program that knows none does not look", () => {
    const frame = encode(entries);
    const before = frame.readUInt32LE(0) + frame.readUInt32LE(4);
    const length = frame.readUInt32LE(HEAD_BYTES + 4 * before);
    const plain = encode([put(1)]);
    const plainAt = HEAD_BYTES + 4 * (plain.readUInt32LE(0) + plain.readUInt32LE(4));
    // They are the record's last numbers: count, then name, bytes and hashes of each.
    expect(length - plain.readUInt32LE(plainAt)).toBe(1 + (2 + 2) + (2 + 1));
  });
});

describe("a frame of another release", () => {
  /** Rewrites the numbers of the records, which begin behind the strings and pairs. */
  function edit(frame: Buffer, change: (records: number[]) => number[]): Buffer {
    const before = frame.readUInt32LE(0) + frame.readUInt32LE(4);
    const records = frame.readUInt32LE(8);
    const at = HEAD_BYTES + 4 * before;
    const numbers = Array.from({ length: records }, (_, index) =>
      frame.readUInt32LE(at + 4 * index),
    );
    const changed = change(numbers);
    const bytes = Buffer.alloc(4 * changed.length);
    for (const [index, number] of changed.entries()) bytes.writeUInt32LE(number, 4 * index);
    const head = Buffer.from(frame.subarray(0, at));
    head.writeUInt32LE(changed.length, 8);
    return Buffer.concat([head, bytes, frame.subarray(at + 4 * records)]);
  }

  test("may have records that we do not know: they are skipped, with their user data", () => {
    const frame = encode([put(1), put(2), put(3)]);
    const foreign = edit(frame, (numbers) => {
      const second = numbers[0] ?? 0;
      return numbers.with(second + 1, 99);
    });
    expect(decode(foreign)).toEqual([put(1), put(3)]);
  });

  test("may have more fields at a record's end: they are not looked at", () => {
    const frame = encode([put(1), put(2)]);
    const foreign = edit(frame, (numbers) => {
      const length = numbers[0] ?? 0;
      // No payloads; flags, of which this program knows none; then what it has no name for.
      const first = [length + 4, ...numbers.slice(1, length), 0, 0x8000_0002, 7, 8];
      return [...first, ...numbers.slice(length)];
    });
    expect(decode(foreign)).toEqual([put(1), put(2)]);
  });

  test("with a record that is too short is refused, not guessed at", () => {
    const frame = encode([put(1)]);
    const foreign = edit(frame, (numbers) => [5, ...numbers.slice(1, 5)]);
    expect(() => decode(foreign)).toThrow(FrameError);
  });

  test("with any bytes in it is read or refused, and never hangs", () => {
    const frame = encode([put(1), put(2)]);
    fc.assert(
      fc.property(fc.nat(frame.length - 1), fc.nat(255), (at, byte) => {
        const spoilt = Buffer.from(frame);
        spoilt[at] = byte;
        try {
          decode(spoilt);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 500 },
    );
  });
});
