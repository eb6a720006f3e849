/**
 * A list of whole numbers below 2^32 that grows, and whose memory is used again: a snapshot of ten
 * thousand instances has half a million of them.
 */

/** Room at the beginning: a frame of a snapshot fits. Numbers. */
const ROOM = 16_384;

export class Words {
  array: Uint32Array = new Uint32Array(ROOM);
  length = 0;

  /** Makes room for `count` more, which the caller writes into `array` itself. */
  reserve(count: number): Uint32Array {
    if (this.length + count > this.array.length) {
      const grown = new Uint32Array(2 * (this.length + count));
      grown.set(this.array.subarray(0, this.length));
      this.array = grown;
    }
    return this.array;
  }

  push(word: number): void {
    this.reserve(1)[this.length++] = word;
  }

  get used(): Uint32Array {
    return this.array.subarray(0, this.length);
  }
}
