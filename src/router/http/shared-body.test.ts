import { expect, spyOn, test } from "bun:test";
import fc from "fast-check";
import type { StoredBody } from "../../model/binding.ts";
import {
  LINE_MAX,
  type Reader,
  SharedBodies,
  TURN_MS_PER_MIB,
  WAITING_PER_GUEST_MAX,
} from "./shared-body.ts";

const MIB = 1024 * 1024;

test("guests who ask for equal content read it once, and have one copy", async () => {
  const { bodies, disk } = live();
  const replies = await Promise.all(
    Array.from({ length: 300 }, () => bodies.get(disk.body("a", MIB), reader())),
  );
  expect([disk.reads, new Set(replies).size, bodies.heldBytes]).toEqual([1, 1, MIB]);
});

test("what is held stays within the budget, and each has its turn when others have got all", async () => {
  const { bodies, disk } = live(4 * MIB);
  const open = new Set<number>();
  let most = 0;
  const ask = async (guest: number): Promise<void> => {
    open.add(guest);
    await bodies.get(disk.body(`guest ${guest}`, MIB), {
      guest: `${guest}`,
      isOpen: () => open.has(guest),
      cut: () => {},
    });
    most = Math.max(most, bodies.heldBytes);
    setTimeout(() => open.delete(guest), 5);
  };
  await Promise.all(Array.from({ length: 40 }, (_, guest) => ask(guest)));
  expect([disk.reads, most]).toEqual([40, 4 * MIB]);
});

test("a guest that reads nothing keeps its body, and those behind it wait", async () => {
  const { bodies, disk } = live(2 * MIB);
  let isOpen = true;
  await bodies.get(
    disk.body("slow", 2 * MIB),
    reader(() => isOpen),
  );
  let answered = false;
  const next = bodies.get(disk.body("next", MIB), reader()).then(() => {
    answered = true;
  });
  await Bun.sleep(100);
  expect([answered, bodies.heldBytes]).toEqual([false, 2 * MIB]);
  isOpen = false;
  await next;
  expect(bodies.heldBytes).toBe(MIB);
});

test("one body larger than the budget is sent alone", async () => {
  const { bodies, disk } = live(MIB);
  let isOpen = true;
  await bodies.get(
    disk.body("huge", 3 * MIB),
    reader(() => isOpen),
  );
  isOpen = false;
  await bodies.get(disk.body("next", MIB), reader());
  expect([disk.reads, bodies.heldBytes]).toEqual([2, MIB]);
});

test("what nobody waits for any more is not read", async () => {
  const { bodies, disk } = live(MIB);
  let isOpen = true;
  await bodies.get(
    disk.body("slow", MIB),
    reader(() => isOpen),
  );
  const given = bodies.get(
    disk.body("given up", MIB),
    reader(() => false),
  );
  const next = bodies.get(disk.body("next", MIB), reader());
  isOpen = false;
  expect(await given).toBeUndefined();
  await next;
  expect(disk.reads).toBe(2);
});

test("a body that cannot be read fails for all who wait for it, and is tried again", async () => {
  const { bodies, disk } = live();
  disk.isBroken = true;
  const asked = [1, 2, 3].map(() => bodies.get(disk.body("a", MIB), reader()));
  expect(await Promise.allSettled(asked)).toMatchObject(Array(3).fill({ status: "rejected" }));
  expect(bodies.heldBytes).toBe(0);
  disk.isBroken = false;
  await bodies.get(disk.body("a", MIB), reader());
  expect(bodies.heldBytes).toBe(MIB);
});

test("bytes that lie in memory are shared as well", async () => {
  const { bodies } = live();
  const bytes = new Uint8Array(MIB);
  const [one, two] = await Promise.all([bodies.get(bytes, reader()), bodies.get(bytes, reader())]);
  expect([one === two, bodies.heldBytes]).toEqual([true, MIB]);
});

test("while others wait, a body has its turn and no more, however its readers come and go", async () => {
  const scene = make(2 * MIB);
  const { bodies, disk, clock } = scene;
  const [slow, late] = [new Slow("one"), new Slow("one")];
  void bodies.get(disk.body("one", 2 * MIB), slow);
  await clock.pass(60_000);
  expect(slow.isCut).toBe(false); // Nobody else wants its place.
  const next = scene.ask("next", "another");
  await clock.pass(100);
  expect(slow.isCut).toBe(true);
  expect(await next.content).toBeDefined();
  // A body that is held goes on being shared, but not with those who would prolong its turn.
  void bodies.get(disk.body("one", 2 * MIB), late);
  expect(bodies.waiting).toBe(1);
});

test("a reader that comes every second to the body of another holds no place for ever", async () => {
  const scene = make(MIB);
  const { bodies, disk, clock } = scene;
  void bodies.get(disk.body("own", MIB), new Slow("hog"));
  await clock.pass(1);
  const next = scene.ask("next", "another");
  for (let second = 0; second < 15 && !next.isServed; second++) {
    void bodies.get(disk.body("own", MIB), new Slow("hog"));
    await clock.pass(1_000);
  }
  expect(next.isServed).toBe(true);
});

test("a larger body has a longer turn", async () => {
  const { bodies, disk, clock, ask } = make(3 * MIB);
  const slow = new Slow("one");
  void bodies.get(disk.body("large", 3 * MIB), slow);
  await clock.pass(1);
  ask("next", "another");
  await clock.pass(3 * TURN_MS_PER_MIB - 100);
  expect(slow.isCut).toBe(false);
  await clock.pass(200);
  expect(slow.isCut).toBe(true);
});

test("as many are cut as those in line need: of the guest with most, and then the oldest", async () => {
  const { bodies, disk, clock, ask } = make(4 * MIB);
  const readers = ["a", "hog", "b", "hog"].map((guest) => new Slow(guest));
  for (const [index, reader] of readers.entries()) {
    void bodies.get(disk.body(`body ${index}`, MIB), reader);
    await clock.pass(10);
  }
  await clock.pass(TURN_MS_PER_MIB);
  const cut = () => readers.map(({ isCut }) => isCut);
  ask("c", "c");
  await clock.pass(100);
  expect(cut()).toEqual([false, true, false, false]);
  ask("d", "d");
  ask("e", "e");
  await clock.pass(100);
  expect(cut()).toEqual([true, true, true, false]);
});

test("nobody is cut for those who have gone, nor for a place that is free soon", async () => {
  const { bodies, disk, clock, ask } = make(2 * MIB);
  const readers = [new Slow("a"), new Slow("b")];
  for (const [index, reader] of readers.entries()) {
    void bodies.get(disk.body(`body ${index}`, MIB), reader);
    await clock.pass(10);
  }
  const closes = readers.map((reader) => spyOn(reader, "isOpen").mockReturnValue(true));
  ask("c", "c").reader.cut();
  await clock.pass(TURN_MS_PER_MIB + 100);
  expect(readers.map(({ isCut }) => isCut)).toEqual([false, false]);
  const asked = ask("d", "d");
  await clock.pass(4_000); // The runtime takes its time to close a connection.
  expect([asked.isServed, ...readers.map(({ isCut }) => isCut)]).toEqual([false, true, false]);
  closes[0]?.mockReturnValue(false);
  await clock.pass(100);
  expect([asked.isServed, readers[1]?.isCut]).toEqual([true, false]);
});

test("who holds nothing yet goes before whoever holds something", async () => {
  const { disk, bodies, clock, ask } = make(2 * MIB);
  const slow = [new Slow("hog"), new Slow("hog")];
  for (const [index, reader] of slow.entries()) {
    void bodies.get(disk.body(`held ${index}`, MIB), reader);
  }
  await clock.pass(10);
  const more = [1, 2, 3].map((index) => ask("hog", `more ${index}`));
  const other = ask("other", "other");
  slow[0]?.cut();
  await clock.pass(100);
  expect([other, ...more].map(({ isServed }) => isServed)).toEqual([true, false, false, false]);
});

test("the line has an end, and a guest has few places for one body", async () => {
  const { bodies, disk, clock, ask } = make(MIB);
  void bodies.get(disk.body("held", MIB), new Slow("slow"));
  await clock.pass(10);
  const own = Array.from({ length: WAITING_PER_GUEST_MAX + 1 }, () => ask("one", "its own"));
  expect(await own.at(-1)?.content).toBeUndefined();
  own[0]?.reader.cut(); // It has gone, and tries again.
  const again = ask("one", "its own");
  for (let index = 1; index < LINE_MAX; index++) ask(`guest ${index}`, `body ${index}`);
  expect(bodies.waiting).toBe(LINE_MAX);
  expect(await ask("late", "late").content).toBeUndefined();
  expect(bodies.waiting).toBe(LINE_MAX);
  await clock.pass(TURN_MS_PER_MIB + 1_000);
  expect([again.isServed, own[1]?.isServed]).toEqual([true, true]);
});

/** Whatever guests do: how many there are, how large their bodies are, how fast they read. */
const CROWD = fc.array(
  fc.record({
    guest: fc.integer({ min: 0, max: 9 }),
    version: fc.integer({ min: 0, max: 5 }),
    mib: fc.integer({ min: 1, max: 3 }),
    atMs: fc.integer({ min: 0, max: 30_000 }),
    /** Never, for the slowest. */
    readsMs: fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.constant(Number.POSITIVE_INFINITY)),
  }),
  { minLength: 1, maxLength: 40, size: "max" },
);

test("whatever slow readers do, a patient guest is served, and the budget is kept", async () => {
  const check = async (crowd: typeof CROWD extends fc.Arbitrary<infer T> ? T : never) => {
    const { bodies, clock, ask } = make(4 * MIB);
    let most = 0;
    for (const { guest, version, mib, atMs, readsMs } of crowd) {
      clock.later(atMs, () => {
        const asked = ask(`hog ${guest}`, `${guest} ${version}`, mib * MIB);
        void asked.content.then(() => clock.later(readsMs, () => asked.reader.cut()));
      });
    }
    let patient: ReturnType<typeof ask> | undefined;
    clock.later(15_000, () => {
      patient = ask("patient", "patient");
    });
    // Each has its turn in the end, one after the other if need be.
    const turnsMax = crowd.length + 2;
    await clock.pass(15_000 + turnsMax * 3 * TURN_MS_PER_MIB, 500, () => {
      most = Math.max(most, bodies.heldBytes);
    });
    expect([patient?.isServed, bodies.waiting, most <= 4 * MIB]).toEqual([true, 0, true]);
  };
  await fc.assert(fc.asyncProperty(CROWD, check), { numRuns: 40 });
}, 60_000);

/** Reads nothing, until it is cut. */
class Slow implements Reader {
  readonly guest: string;
  isCut = false;

  constructor(guest: string) {
    this.guest = guest;
  }

  isOpen(): boolean {
    return !this.isCut;
  }

  cut(): void {
    this.isCut = true;
  }
}

function reader(isOpen: () => boolean = () => true): Reader {
  return { guest: "10.1.1.5", isOpen, cut: () => {} };
}

interface Disk {
  reads: number;
  isBroken: boolean;
  body(hash: string, length: number): StoredBody;
}

/** Time that passes when the test says so. */
class Clock {
  #now = 0;
  readonly #waiting = new Set<{ readonly at: number; readonly work: () => void }>();

  readonly now = (): number => this.#now;

  readonly later = (delayMs: number, work: () => void): (() => void) => {
    const waiting = { at: this.#now + delayMs, work };
    this.#waiting.add(waiting);
    return () => this.#waiting.delete(waiting);
  };

  async pass(ms: number, stepMs = 10, look = (): void => {}): Promise<void> {
    for (const until = this.#now + ms; this.#now < until; ) {
      this.#now += stepMs;
      for (const waiting of this.#waiting) {
        if (waiting.at > this.#now) continue;
        this.#waiting.delete(waiting);
        waiting.work();
      }
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      look();
    }
  }
}

function make(bytesMax: number) {
  const clock = new Clock();
  const { bodies, disk } = live(bytesMax, clock);
  const ask = (guest: string, content: string, length = MIB) => {
    const reader = new Slow(guest);
    const asked = {
      reader,
      isServed: false,
      content: bodies.get(disk.body(content, length), reader),
    };
    void asked.content.then((content) => {
      asked.isServed = content !== undefined;
    });
    return asked;
  };
  return { bodies, disk, clock, ask };
}

function live(
  bytesMax?: number,
  clock?: Clock,
): { bodies: SharedBodies<{ bytes: Uint8Array }>; disk: Disk } {
  const disk: Disk = {
    reads: 0,
    isBroken: false,
    body: (hash, length) => ({
      length,
      hash,
      async read() {
        disk.reads++;
        if (clock === undefined) await Bun.sleep(1);
        if (disk.isBroken) throw new Error("not whole");
        return new Uint8Array(clock === undefined ? length : 0);
      },
    }),
  };
  const wrap = (bytes: Uint8Array) => ({ bytes });
  const options = { ...(bytesMax !== undefined && { bytesMax }) };
  const clocks = clock === undefined ? {} : { now: clock.now, later: clock.later };
  return { bodies: new SharedBodies({ wrap, ...options, ...clocks }), disk };
}
