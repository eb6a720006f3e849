import { describe, expect, test } from "bun:test";
import { collect, ledger, MINUTE, STANDING } from "../../test/state/ledger.ts";

describe("one reset that arrives twice", () => {
  const ways = { apply: {}, "a file": STANDING } as const;
  for (const [first, one] of Object.entries(ways)) {
    for (const [second, two] of Object.entries(ways)) {
      test(`by ${first} and then by ${second} is delivered once`, async () => {
        const desk = ledger();
        await desk.offer("one", one);
        await desk.offer("one", two);
        expect(await collect(desk)).toBe("one");
        expect(desk.send()).toBeUndefined();
        await desk.offer("one", two);
        expect(desk.send()).toBeUndefined();
        desk.restart();
        desk.time += 9 * MINUTE;
        await desk.offer("one", two);
        expect(desk.send()).toBeUndefined();
      });
    }
  }

  test("after more than ten minutes is two resets, if it was handed in", async () => {
    const desk = ledger();
    await desk.offer("one");
    await collect(desk);
    desk.time += 10 * MINUTE;
    await desk.offer("one");
    expect(desk.send()).toBe("one");
  });

  test("is known for each of several that were acknowledged shortly before", async () => {
    const desk = ledger();
    for (const password of ["one", "two", "three"]) {
      await desk.offer(password);
      expect(await collect(desk)).toBe(password);
    }
    for (const password of ["one", "two", "three"]) {
      await desk.offer(password);
      expect(desk.send()).toBeUndefined();
    }
  });

  test("is durable for the second as well before it resolves", async () => {
    const desk = ledger();
    const disk = Promise.withResolvers<void>();
    desk.before = () => disk.promise;
    void desk.offer("one");
    let isDurable = false;
    const second = desk.offer("one").then(() => {
      isDurable = true;
    });
    await Bun.sleep(5);
    expect(isDurable).toBe(false);
    disk.resolve();
    await second;
    expect(desk.writes()).toBe(1);
  });
});

describe("what a file states", () => {
  test("is news once, however often it is read", async () => {
    const desk = ledger();
    await desk.offer("one", STANDING);
    expect(await collect(desk)).toBe("one");
    for (let start = 0; start < 3; start++) {
      desk.time += 24 * 60 * MINUTE;
      desk.restart();
      await desk.offer("one", STANDING);
      expect(desk.send()).toBeUndefined();
    }
  });

  test("stays old news when the address passes to another instance", async () => {
    const desk = ledger();
    await desk.offer("one", STANDING);
    await desk.offer("one", { ...STANDING, epoch: 2 });
    expect(desk.send({ epoch: 2 })).toBeUndefined();
    desk.restart();
    await desk.offer("one", { ...STANDING, epoch: 2 });
    expect(desk.send({ epoch: 2 })).toBeUndefined();
  });

  test("does not undo what was handed in since", async () => {
    const desk = ledger();
    await desk.offer("saved_password", STANDING);
    await desk.offer("one");
    desk.restart();
    await desk.offer("saved_password", STANDING);
    expect(desk.send()).toBe("one");
  });

  test("for the first time, hours after it was handed in and acknowledged, is the same reset", async () => {
    const desk = ledger();
    await desk.offer("one");
    await collect(desk);
    desk.restart();
    desk.time += 5 * 60 * MINUTE;
    await desk.offer("one", STANDING);
    expect(desk.send()).toBeUndefined();
  });

  test("is news again when it stated something else between", async () => {
    const desk = ledger();
    await desk.offer("one", STANDING);
    await collect(desk);
    await desk.offer("two", STANDING);
    await collect(desk);
    desk.time += 11 * MINUTE;
    await desk.offer("one", STANDING);
    expect(desk.send()).toBe("one");
  });
});
