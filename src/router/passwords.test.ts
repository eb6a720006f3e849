import { describe, expect, test } from "bun:test";
import {
  collect,
  type Desk,
  GUEST,
  ledger,
  MINUTE,
  NETWORK,
  STANDING,
} from "../../test/state/ledger.ts";
import { parseIp } from "../model/address.ts";
import { StateError } from "../model/errors.ts";

const OTHER = parseIp("10.1.1.6");

describe("a password", () => {
  test("is given out until it is acknowledged, and never again", async () => {
    const desk = ledger();
    await desk.offer("one");
    for (let reading = 0; reading < 3; reading++) expect(desk.send()).toBe("one");
    await desk.acknowledge();
    expect(desk.send()).toBeUndefined();
    desk.restart();
    expect(desk.send()).toBeUndefined();
  });

  test("waits for its guest without a limit of time, over restarts", async () => {
    const desk = ledger();
    await desk.offer("one");
    desk.time += 365 * 24 * 60 * MINUTE;
    desk.restart();
    expect(desk.send()).toBe("one");
  });

  test("is given out before it is durable, and its offer resolves when it is", async () => {
    const desk = ledger();
    const disk = Promise.withResolvers<void>();
    desk.before = () => disk.promise;
    let isDurable = false;
    const offered = desk.offer("one").then(() => {
      isDurable = true;
    });
    expect(desk.send()).toBe("one");
    await Bun.sleep(5);
    expect(isDurable).toBe(false);
    disk.resolve();
    await offered;
  });

  test("goes to its address only", async () => {
    const desk = ledger();
    await desk.offer("one");
    expect(desk.send({ address: OTHER })).toBeUndefined();
    await desk.acknowledge({ address: OTHER });
    expect(desk.send()).toBe("one");
  });

  test("goes to its network only", async () => {
    const desk = ledger();
    await desk.offer("one");
    expect(desk.passwords.send("205", GUEST, 1)).toBeUndefined();
  });

  test("is replaced by the next", async () => {
    const desk = ledger();
    await desk.offer("one");
    await desk.offer("two");
    expect(desk.send()).toBe("two");
  });

  for (const word of ["saved_password", undefined]) {
    test(`is cleared by ${word ?? "its absence"}`, async () => {
      const desk = ledger();
      await desk.offer("one");
      await desk.offer(word);
      expect(desk.send()).toBeUndefined();
      desk.restart();
      expect(desk.send()).toBeUndefined();
    });
  }

  test("is counted while it waits", async () => {
    const desk = ledger();
    expect(desk.passwords.pendingCount).toBe(0);
    await desk.offer("one");
    expect(desk.passwords.pendingCount).toBe(1);
    await collect(desk);
    expect(desk.passwords.pendingCount).toBe(0);
  });

  test("that was acknowledged is nowhere in what is kept", async () => {
    const desk = ledger();
    await desk.offer("a-secret-word");
    await collect(desk);
    expect(JSON.stringify([...desk.passwords.entries()])).not.toContain("a-secret-word");
  });
});

describe("an epoch", () => {
  test("that begins drops what was pending, at once and after a restart", async () => {
    const desk = ledger();
    await desk.offer("one");
    desk.passwords.epochBegan(NETWORK, GUEST, 2);
    for (const epoch of [1, 2]) expect(desk.send({ epoch })).toBeUndefined();
    desk.restart(); // At once: the end of the former epoch is not durable yet.
    expect(desk.send({ epoch: 2 })).toBeUndefined();
    desk.passwords.epochBegan(NETWORK, GUEST, 2);
    await Bun.sleep(1);
    desk.restart();
    for (const epoch of [1, 2]) expect(desk.send({ epoch })).toBeUndefined();
  });

  test("that the ledger was not told of gets nothing of the former's", async () => {
    const desk = ledger();
    await desk.offer("one");
    expect(desk.send({ epoch: 2 })).toBeUndefined();
    await desk.acknowledge({ epoch: 2 });
    expect(desk.send()).toBe("one");
  });

  test("that is over takes no more passwords", async () => {
    const desk = ledger();
    await desk.offer("one", { epoch: 2 });
    await desk.offer("late", { epoch: 1 });
    expect(desk.send({ epoch: 2 })).toBe("one");
    expect(desk.send({ epoch: 1 })).toBeUndefined();
  });

  test("that is over says so when a password comes for it, until one comes in time", async () => {
    const desk = ledger();
    await desk.offer("one", { epoch: 2 });
    await desk.offer(undefined, { epoch: 1 });
    expect(desk.held()).toEqual([]);
    await desk.offer("late", { epoch: 1 });
    expect(desk.held()).toEqual([`PASSWORD_OUTDATED ${GUEST}`]);
    expect(JSON.stringify(desk.conditions.list())).not.toContain("late");
    await desk.offer("two", { epoch: 2 });
    expect(desk.held()).toEqual([]);
  });

  test("begins with the first password for it", async () => {
    const desk = ledger();
    await desk.offer("one");
    await desk.offer("two", { epoch: 2 });
    expect(desk.send({ epoch: 1 })).toBeUndefined();
    expect(desk.send({ epoch: 2 })).toBe("two");
  });

  test("may use a password that was acknowledged in the one before", async () => {
    const desk = ledger();
    await desk.offer("one");
    await collect(desk);
    await desk.offer("one", { epoch: 2 });
    expect(desk.send({ epoch: 2 })).toBe("one");
  });
});

test("a password that an epoch has in common with the one before was read by nobody in it", async () => {
  const desk = ledger();
  await desk.offer("one", { epoch: 1 });
  expect(desk.send({ epoch: 1 })).toBe("one");
  await desk.offer("one", { epoch: 2 });
  await desk.offer("two", { epoch: 2 });
  await desk.acknowledge({ epoch: 2 });
  expect(desk.send({ epoch: 2 })).toBeUndefined();
});

describe("a password for an address of which nothing is known", () => {
  const claim = (desk: Desk, epoch = 1): string | undefined => {
    desk.passwords.claim(NETWORK, GUEST, epoch);
    return desk.send({ epoch });
  };
  const hold = (): Desk => {
    const desk = ledger();
    desk.passwords.hold(GUEST, "one");
    return desk;
  };

  test("is the next guest's there, in whatever epoch, and durable then", async () => {
    const desk = hold();
    expect(claim(desk, 7)).toBe("one");
    await Bun.sleep(1);
    desk.restart();
    expect(desk.send({ epoch: 7 })).toBe("one");
  });

  test("waits for ten minutes", () => {
    const desk = hold();
    desk.time += 10 * MINUTE + 1;
    expect(claim(desk)).toBeUndefined();
  });

  test("is nobody's after that epoch", () => {
    const desk = hold();
    desk.passwords.epochBegan(NETWORK, GUEST, 2);
    expect(claim(desk, 2)).toBeUndefined();
  });

  for (const later of ["two", undefined]) {
    test(`gives way to what comes later (${later})`, async () => {
      const desk = hold();
      await desk.offer(later);
      expect(claim(desk)).toBe(later);
    });
  }

  test("is claimed once", async () => {
    const desk = hold();
    claim(desk);
    await desk.acknowledge();
    expect(claim(desk)).toBeUndefined();
  });

  test("is one of 1,024 at most, the oldest gone first", () => {
    const desk = hold();
    for (let index = 0; index < 1_024; index++) {
      desk.passwords.hold(parseIp(`10.2.${index >> 8}.${index & 255}`), "more");
    }
    expect(claim(desk)).toBeUndefined();
  });
});

describe("an acknowledgement", () => {
  test("means the password that the guest has read, and not one that came meanwhile", async () => {
    const desk = ledger();
    await desk.offer("one");
    expect(desk.send()).toBe("one");
    await desk.offer("two");
    await desk.acknowledge();
    expect(await collect(desk)).toBe("two");
    expect(desk.send()).toBeUndefined();
    await desk.offer("one");
    expect(desk.send()).toBeUndefined();
  });

  test("that is repeated does not mean the next password", async () => {
    const desk = ledger();
    await desk.offer("one");
    await collect(desk);
    await desk.offer("two");
    await desk.acknowledge();
    expect(desk.send()).toBe("two");
  });

  test("counts without a reading, when there is nothing else that it could mean", async () => {
    const desk = ledger();
    await desk.offer("one");
    await desk.acknowledge();
    expect(desk.send()).toBeUndefined();
  });

  test("counts for what was read before a restart", async () => {
    const desk = ledger();
    await desk.offer("one");
    desk.send();
    desk.restart();
    await desk.acknowledge();
    expect(desk.send()).toBeUndefined();
  });

  test("of nothing does nothing", async () => {
    const desk = ledger();
    await desk.acknowledge();
    expect(desk.writes()).toBe(0);
  });

  test("takes effect at once, and resolves when it is durable", async () => {
    const desk = ledger();
    await desk.offer("one");
    desk.send();
    const disk = Promise.withResolvers<void>();
    desk.before = () => disk.promise;
    let isDone = false;
    const acknowledged = desk.acknowledge().then(() => {
      isDone = true;
    });
    expect(desk.send()).toBeUndefined();
    await Bun.sleep(20);
    expect(isDone).toBe(false);
    disk.resolve();
    await acknowledged;
    expect(desk.held()).toEqual([]);
  });

  test("waits for a slow disk for 100 ms, and then a condition says so until it is durable", async () => {
    const desk = ledger();
    await desk.offer("one");
    desk.send();
    const disk = Promise.withResolvers<void>();
    desk.before = () => disk.promise;
    const began = performance.now();
    await desk.acknowledge();
    expect(performance.now() - began).toBeGreaterThan(95);
    expect(desk.held()).toEqual(["STATE_UNWRITABLE acknowledged passwords"]);
    disk.resolve();
    await Bun.sleep(1);
    expect(desk.held()).toEqual([]);
    desk.restart();
    expect(desk.send()).toBeUndefined();
  });

  test("that was too slow is no condition any more when its write has failed", async () => {
    const desk = ledger();
    await desk.offer("one");
    desk.send();
    const disk = Promise.withResolvers<void>();
    desk.before = () => disk.promise;
    await desk.acknowledge();
    disk.reject(new StateError("STATE_UNWRITABLE", "full"));
    await Bun.sleep(1);
    expect(desk.held()).toEqual([]);
  });

  test("on a disk that cannot be written is answered, and is not given out again", async () => {
    const desk = ledger();
    await desk.offer("one");
    desk.send();
    desk.before = () => Promise.reject(new StateError("STATE_UNWRITABLE", "full"));
    await desk.acknowledge();
    expect(desk.send()).toBeUndefined();
    expect(desk.held()).toEqual([]); // The condition is the disk's, and goes with its trouble.
  });
});

describe("a password that the disk does not take", () => {
  test("is delivered all the same, and whoever offered it is told", async () => {
    const desk = ledger();
    desk.before = () => Promise.reject(new StateError("STATE_UNWRITABLE", "full"));
    expect(desk.offer("one")).rejects.toThrow("full");
    expect(desk.send()).toBe("one");
  });

  test("is written when it is offered again", async () => {
    const desk = ledger();
    desk.before = () => Promise.reject(new StateError("STATE_UNWRITABLE", "full"));
    await desk.offer("one").catch(() => {});
    desk.before = () => Promise.resolve();
    await desk.offer("one");
    desk.restart();
    expect(desk.send()).toBe("one");
  });
});

describe("a password that the dialogue cannot carry", () => {
  const cases = {
    "an empty one": "",
    "the word for a bad request": "bad_request",
    "a space before it": " hunter2",
    "a space behind it": "hunter2 ",
    "a line break in it": "hunter2\ntwo",
    "a carriage return in it": "hunter2\rtwo",
    "a NUL in it": "hunter2\0two",
    "more than 1 KiB": "x".repeat(1025),
    "more than 1 KiB of UTF-8": "ä".repeat(513),
    "half a character": "hunter2\ud800",
  };
  for (const [what, password] of Object.entries(cases)) {
    test(`${what}: is not delivered, and a condition names the address`, async () => {
      const desk = ledger();
      await desk.offer("before");
      await desk.offer(password);
      expect(desk.send()).toBe("before");
      expect(desk.held()).toEqual([`PASSWORD_UNDELIVERABLE ${GUEST}`]);
      expect(JSON.stringify(desk.conditions.list())).not.toContain("hunter2");
      await desk.offer("after");
      expect(desk.held()).toEqual([]);
    });
  }

  for (const password of ["x", "Pa$s=w0rd", "pässwörd", "with a space", "😀", "x".repeat(1024)]) {
    test(`is not ${password.slice(0, 20)}`, async () => {
      const desk = ledger();
      await desk.offer(password);
      expect(desk.send()).toBe(password);
      expect(desk.held()).toEqual([]);
    });
  }

  test("is reported at every start for as long as a file states it", async () => {
    const desk = ledger();
    await desk.offer("bad_request", STANDING);
    desk.conditions.clear("PASSWORD_UNDELIVERABLE", GUEST);
    await desk.offer("bad_request", STANDING);
    expect(desk.held()).toEqual([`PASSWORD_UNDELIVERABLE ${GUEST}`]);
  });
});

test("equal passwords of two guests do not show in what is kept", async () => {
  const desk = ledger();
  await desk.offer("one", STANDING);
  await desk.offer("one", { ...STANDING, address: OTHER });
  const digests = desk.durable.map(({ standing }) => standing);
  expect(new Set(digests).size).toBe(2);
});
