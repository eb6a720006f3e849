import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Ip } from "../../model/address.ts";
import type { Binding } from "../../model/binding.ts";
import { BagDir, entry, guest, type Json, Lab, lease, shorten, X, Y } from "./testing.ts";

const RUNS = process.env.FRONTDESK_LONG === "1" ? 2000 : 200;
const SIGNAL = new AbortController().signal;

test("whoever asks before the first reading has ended gets what the reading will say", async () => {
  for (const topology of ["isolated", "vpc", "shared"]) {
    await using plain = await new Lab(new BagDir(topology)).open();
    await plain.poll();
    const early = await new Lab(plain.dir).open();
    await early.source.glance?.(SIGNAL);
    expect(early.source.networks()).toEqual(plain.source.networks());
    expect(early.source.endpoints()).toEqual(plain.source.endpoints());
    let served = 0;
    for (const [address, known] of plain.known) {
      const told = early.take(early.source.hasten?.(address) ?? []);
      expect(told.map(shorten)).toEqual("keys" in known ? [plain.at(address)] : []);
      served += told.length;
      expect(early.source.hasten?.(address)).toEqual([]);
    }
    expect(served).toBeGreaterThan(0);
    await early.poll();
    expect(early.known).toEqual(plain.known);
  }
});

test("what was told early is not told again, and what has changed since is", async () => {
  await using lab = await twoInstances();
  expect(ask(lab, X)).toEqual([`${X} serve 1 I`]);
  expect(await lab.told()).toEqual([`${Y} serve 1 M`]);

  await using other = await twoInstances();
  expect(ask(other, X)).toEqual([`${X} serve 1 I`]);
  other.dir.edit("vmdata.json", (bag) => {
    bag[X] = entry("I", [["a", "1"]]);
  });
  expect(await other.told()).toEqual([`${X} serve 1 I`, `${Y} serve 1 M`]);
  expect(other.keys(X).a).toBe("1");
});

test("an address that passes on between the two gets a new epoch", async () => {
  await using lab = await twoInstances();
  ask(lab, X);
  lab.dir.edit("dhcpentry.json", (bag) => {
    bag[X] = lease("0b");
  });
  expect(await lab.told()).toEqual([`${X} awaiting-metadata 2`, `${Y} serve 1 M`]);
});

test("what is less plain waits for the reading", async () => {
  const check = async (change: (dir: BagDir) => void, address = X): Promise<void> => {
    await using lab = await twoInstances(change);
    expect(ask(lab, address)).toEqual([]);
  };
  const leases = (value: Json | undefined) => (dir: BagDir) =>
    dir.edit("dhcpentry.json", (bag) => void Object.assign(bag, { [X]: value }));
  await check(() => {}, "10.1.1.99");
  await check(() => {}, "192.0.2.1");
  await check(() => {}, "id");
  await check(leases(lease("0a", true)));
  await check(leases(undefined));
  await check(leases([] as unknown as Json));
  await check((dir) => dir.edit("vmdata.json", (bag) => void Object.assign(bag, { [X]: "?" })));
  await check((dir) => dir.remove("dhcpentry.json"));
  await check((dir) => dir.remove("vmdata.json"));
  await check((dir) => dir.write("ips.json", { eth0: [guest("10.2.2.1")] }));
  for (const name of ["vmdata.json", "dhcpentry.json"]) {
    await check((dir) => dir.writeText(name, (dir.readText(name) ?? "").slice(0, -2)));
    await check((dir) => dir.writeText(name, ""));
    await check((dir) => dir.writeText(name, JSON.stringify(dir.read(name))));
  }
});

test("a file that is other than at the glance answers with what it says now, or not", async () => {
  await using lab = await twoInstances();
  lab.dir.edit("vmdata.json", (bag) => {
    bag[X] = entry("J"); // Of the same length.
  });
  expect(ask(lab, X)).toEqual([`${X} serve 1 J`]);
  lab.dir.writeText("vmdata.json", `${" ".repeat(40)}${lab.dir.readText("vmdata.json")}`);
  expect(ask(lab, Y)).toEqual([]);
});

test("every entry of a file of several pieces is found", async () => {
  const PIECE = 1024 * 1024;
  // The last ones end just before, on and behind the border of a piece.
  for (const spare of [0, 1, 60, 130, 255, 256, 257, 300]) {
    const all: Json = {};
    for (let i = 0; i < 9; i++) all[`10.1.1.${i + 10}`] = [["metadata", "instance-id", `i${i}`]];
    const pad = (length: number): Json => [["userdata", "user-data", "A".repeat(length)]] as never;
    const write = (dir: BagDir, length: number): number => {
      dir.write("vmdata.json", { "10.1.1.5": pad(length), ...all });
      return dir.readText("vmdata.json")?.length ?? 0;
    };
    await using lab = await twoInstances((dir) => {
      const rest = write(dir, 0);
      write(dir, 2 * PIECE - rest + spare);
      dir.write("dhcpentry.json", {});
    });
    for (const address of Object.keys(all)) expect(ask(lab, address)).toHaveLength(1);
  }
});

test("the last entry of a file is found too", async () => {
  await using lab = await twoInstances((dir) => {
    for (const name of ["vmdata.json", "dhcpentry.json"]) {
      dir.edit(name, (bag) => void delete bag.id);
    }
  });
  expect(ask(lab, Y)).toEqual([`${Y} serve 1 M`]);
});

test("without any lease every instance is answered", async () => {
  await using lab = await twoInstances((dir) => dir.write("dhcpentry.json", { id: "dhcpentry" }));
  expect(ask(lab, X)).toEqual([`${X} serve 1 I`]);
  expect(await lab.told()).toEqual([`${Y} serve 1 M`]);
});

test("what an earlier run knew comes before any glance", async () => {
  await using lab = await twoInstances();
  await lab.poll();
  const again = await new Lab(lab.dir).open(lab);
  await again.source.glance?.(SIGNAL);
  expect(ask(again, X)).toEqual([]);
  expect(await again.told()).toEqual([]);
});

// Goal: an early answer is never one that the whole file does not give.
// Method: damage the file anywhere; where it still parses, compare with a reading of all of it;
// where not, what is answered is an entry that was there before the damage or stands in the text.
test("no damage to a file makes an early answer that it does not say", async () => {
  const damage = fc.tuple(fc.nat(), fc.nat(40), fc.string({ unit: "binary-ascii", maxLength: 12 }));
  const bag = fc.constantFrom("vmdata.json", "dhcpentry.json");
  await fc.assert(
    fc.asyncProperty(bag, damage, async (name, [where, length, text]) => {
      await using lab = await twoInstances((dir) => {
        const good = dir.readText(name) ?? "";
        const at = where % good.length;
        dir.writeText(name, good.slice(0, at) + text + good.slice(at + length));
      });
      const told = [...ask(lab, X), ...ask(lab, Y)];
      const early = new Map(lab.known);
      const content = lab.dir.readText(name) ?? "";
      for (const known of early.values()) {
        const { instance } = known as Binding;
        const isSaid = instance.startsWith("address:") || content.includes(instance);
        expect(isSaid || name === "dhcpentry.json").toBe(true);
        expect(told).toContain(shorten({ kind: "put", binding: known as Binding }));
      }
      if (!isJson(content)) return;
      await using plain = await new Lab(lab.dir).open();
      await plain.poll();
      for (const [address, known] of early) expect(plain.known.get(address)).toEqual(known);
    }),
    { numRuns: RUNS },
  );
});

function ask(lab: Lab, address: string): string[] {
  return lab.take(lab.source.hasten?.(address as Ip) ?? []).map(shorten);
}

/** I at X and M at Y; a glance was taken, and nothing read yet. */
async function twoInstances(change: (dir: BagDir) => void = () => {}): Promise<Lab> {
  const dir = new BagDir();
  dir.write("vmdata.json", { [X]: entry("I"), [Y]: entry("M"), id: "vmdata" });
  dir.write("dhcpentry.json", { [X]: lease("0a"), [Y]: lease("0d"), id: "dhcpentry" });
  dir.write("ips.json", { eth0: [guest("10.1.1.1")], id: "ips" });
  change(dir);
  const lab = await new Lab(dir).open();
  await lab.source.glance?.(SIGNAL);
  return lab;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
