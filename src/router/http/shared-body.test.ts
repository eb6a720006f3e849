import { expect, test } from "bun:test";
import type { StoredBody } from "../../model/binding.ts";
import { SharedBodies } from "./shared-body.ts";

const MIB = 1024 * 1024;

test("guests who ask for equal content read it once, and have one copy", async () => {
  const { bodies, disk } = make();
  const replies = await Promise.all(
    Array.from({ length: 300 }, () => bodies.get(disk.body("a", MIB), () => true)),
  );
  expect([disk.reads, new Set(replies).size, bodies.heldBytes]).toEqual([1, 1, MIB]);
});

test("what is held stays within the budget, and each has its turn when others have got all", async () => {
  const { bodies, disk } = make(4 * MIB);
  const open = new Set<number>();
  let most = 0;
  const ask = async (guest: number): Promise<void> => {
    open.add(guest);
    await bodies.get(disk.body(`guest ${guest}`, MIB), () => open.has(guest));
    most = Math.max(most, bodies.heldBytes);
    setTimeout(() => open.delete(guest), 5);
  };
  await Promise.all(Array.from({ length: 40 }, (_, guest) => ask(guest)));
  expect([disk.reads, most]).toEqual([40, 4 * MIB]);
});

test("a guest that reads nothing keeps its body, and those behind it wait", async () => {
  const { bodies, disk } = make(2 * MIB);
  let isOpen = true;
  await bodies.get(disk.body("slow", 2 * MIB), () => isOpen);
  let answered = false;
  const next = bodies
    .get(disk.body("next", MIB), () => true)
    .then(() => {
      answered = true;
    });
  await Bun.sleep(100);
  expect([answered, bodies.heldBytes]).toEqual([false, 2 * MIB]);
  isOpen = false;
  await next;
  expect(bodies.heldBytes).toBe(MIB);
});

test("one body larger than the budget is sent alone", async () => {
  const { bodies, disk } = make(MIB);
  let isOpen = true;
  await bodies.get(disk.body("huge", 3 * MIB), () => isOpen);
  isOpen = false;
  await bodies.get(disk.body("next", MIB), () => true);
  expect([disk.reads, bodies.heldBytes]).toEqual([2, MIB]);
});

test("what nobody waits for any more is not read", async () => {
  const { bodies, disk } = make(MIB);
  let isOpen = true;
  await bodies.get(disk.body("slow", MIB), () => isOpen);
  const given = bodies.get(disk.body("given up", MIB), () => false);
  const next = bodies.get(disk.body("next", MIB), () => true);
  isOpen = false;
  expect(given).rejects.toThrow();
  await next;
  expect(disk.reads).toBe(2);
});

test("a body that cannot be read fails for all who wait for it, and is tried again", async () => {
  const { bodies, disk } = make();
  disk.isBroken = true;
  const asked = [1, 2, 3].map(() => bodies.get(disk.body("a", MIB), () => true));
  expect(await Promise.allSettled(asked)).toMatchObject(Array(3).fill({ status: "rejected" }));
  expect(bodies.heldBytes).toBe(0);
  disk.isBroken = false;
  await bodies.get(disk.body("a", MIB), () => true);
  expect(bodies.heldBytes).toBe(MIB);
});

test("bytes that lie in memory are shared as well", async () => {
  const { bodies } = make();
  const bytes = new Uint8Array(MIB);
  const [one, two] = await Promise.all([
    bodies.get(bytes, () => true),
    bodies.get(bytes, () => true),
  ]);
  expect([one === two, bodies.heldBytes]).toEqual([true, MIB]);
});

interface Disk {
  reads: number;
  isBroken: boolean;
  body(hash: string, length: number): StoredBody;
}

function make(bytesMax?: number): { bodies: SharedBodies<{ bytes: Uint8Array }>; disk: Disk } {
  const disk: Disk = {
    reads: 0,
    isBroken: false,
    body: (hash, length) => ({
      length,
      hash,
      async read() {
        disk.reads++;
        await Bun.sleep(1);
        if (disk.isBroken) throw new Error("not whole");
        return new Uint8Array(length);
      },
    }),
  };
  const limit = bytesMax === undefined ? {} : { bytesMax };
  return { bodies: new SharedBodies({ wrap: (bytes) => ({ bytes }), ...limit }), disk };
}
