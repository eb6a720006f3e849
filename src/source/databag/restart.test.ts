import { expect, test } from "bun:test";
import { rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { Ip } from "../../model/address.ts";
import type { Binding } from "../../model/binding.ts";
import type { Change } from "../../model/change.ts";
import { BagDir, edit, entry, type Json, Lab, lease, leases, served, X, Y } from "./testing.ts";

const Z = "10.1.1.7";

test("a restart over the same databags tells nothing", async () => {
  for (const topology of ["isolated", "vpc", "redundant", "shared"]) {
    await using lab = await new Lab(new BagDir(topology)).open();
    await lab.poll();
    const before = new Map(lab.known);
    const again = await new Lab(lab.dir).open(lab);
    const told = (await again.told()).filter((text) => !text.includes(" password "));
    expect(told).toEqual([]);
    expect(again.known).toEqual(before);
  }
});

test("what changed while this program was down is told", async () => {
  await checkRestart({
    meanwhile: (lab) => edit(lab, { [X]: entry("I", [["a", "1"]]), [Y]: entry("M") }),
    told: [`${X} serve 1 I`],
  });
  await checkRestart({
    meanwhile: (lab) => leases(lab, { [X]: lease("0a", true) }),
    told: [`${X} lease-removed 1`],
  });
});

test("another formatting is no change, after a restart too", async () => {
  await checkRestart({
    meanwhile: (lab) =>
      lab.dir.writeText("vmdata.json", JSON.stringify(lab.dir.read("vmdata.json"))),
    told: [],
  });
});

test("an address that passed on meanwhile is not answered with the former's metadata", async () => {
  await checkRestart({
    meanwhile: (lab) => leases(lab, { [X]: lease("0b") }),
    told: [`${X} awaiting-metadata 2`],
  });
  await checkRestart({
    meanwhile: (lab) => {
      leases(lab, { [X]: lease("0b") });
      edit(lab, { [X]: entry("J") });
    },
    told: [`${X} serve 2 J`],
  });
  // The metadata changed, but whether before or after the MAC nobody knows.
  await checkRestart({
    meanwhile: (lab) => {
      leases(lab, { [X]: lease("0b") });
      edit(lab, { [X]: entry("I", [["a", "1"]]) });
    },
    told: [`${X} awaiting-metadata 2`],
  });
});

test("metadata that an unseen instance left behind is not the next one's", async () => {
  const meanwhile =
    (host: string) =>
    (lab: Lab): void => {
      edit(lab, { [X]: entry("J") });
      leases(lab, { [X]: lease("0c", false, host) });
      utimesSync(join(lab.dir.path, "vmdata.json"), 1000, 1000);
    };
  await checkRestart({ meanwhile: meanwhile("host-K"), told: [`${X} awaiting-metadata 2`] });
  await checkRestart({ meanwhile: meanwhile("host-J"), told: [`${X} serve 2 J`] });
});

test("metadata that was awaited is still awaited, and is known when it comes", async () => {
  const before = async (lab: Lab): Promise<void> => {
    leases(lab, { [X]: lease("0b") });
    await lab.poll();
  };
  await checkRestart({ before, told: [] });
  await checkRestart({
    before,
    meanwhile: (lab) => edit(lab, { [X]: entry("J") }),
    told: [`${X} serve 2 J`],
  });
  await checkRestart({
    before,
    meanwhile: (lab) => edit(lab, { [X]: entry("I", [["a", "1"]]) }),
    told: [`${X} serve 2 I`],
  });
  await checkRestart({
    before,
    meanwhile: (lab) => leases(lab, { [X]: lease("0a") }),
    told: [`${X} serve 3 I`],
  });
});

test("a lease that was given back keeps the former's metadata from the next one", async () => {
  const before = async (lab: Lab): Promise<void> => {
    leases(lab, { [X]: lease("0a", true) });
    await lab.poll();
  };
  await checkRestart({ before, told: [] });
  await checkRestart({
    before,
    meanwhile: (lab) => leases(lab, { [X]: lease("0a") }),
    told: [`${X} serve 1 I`],
  });
  await checkRestart({
    before,
    meanwhile: (lab) => leases(lab, { [X]: lease("0b") }),
    told: [`${X} awaiting-metadata 2`],
  });
  await checkRestart({
    before,
    meanwhile: (lab) => {
      leases(lab, { [X]: lease("0b") });
      edit(lab, { [X]: entry("J") });
    },
    told: [`${X} serve 2 J`],
  });
});

test("what was withheld without a note is taken for the former's", async () => {
  await using lab = await served();
  leases(lab, { [X]: lease("0a", true) });
  await lab.poll();
  const { note: _, ...bare } = lab.known.get(X as Ip) as { note?: string } as never as Json;
  lab.known.set(X as Ip, bare as never);
  leases(lab, { [X]: lease("0b") });
  edit(lab, { [X]: entry("J") });
  const again = await new Lab(lab.dir).open(lab);
  expect(await again.told()).toEqual([`${X} awaiting-metadata 2`]);
  edit(again, { [X]: entry("J", [["a", "1"]]) });
  expect(await again.told()).toEqual([`${X} serve 2 J`]);
});

test("what commands brought holds until the databag's own entry changes", async () => {
  const before = async (lab: Lab): Promise<void> => {
    lab.apply({ ...lease("0b"), ipv4_address: X });
    lab.apply({ type: "vmdata", vm_ip_address: X, vm_metadata: entry("J") });
    lab.apply({ ...lease("0e"), ipv4_address: Z });
    lab.apply({ type: "vmdata", vm_ip_address: Z, vm_metadata: entry("N") });
    lab.apply({ ...lease("0d", true), ipv4_address: Y });
  };
  await checkRestart({ before, told: [] });
  await checkRestart({
    before,
    meanwhile: (lab) => {
      leases(lab, { [X]: lease("0b") });
      edit(lab, { [X]: entry("J"), [Z]: entry("N", [["a", "1"]]) });
    },
    // What is noted beside the binding is other, its content is not.
    told: [`${X} serve 2 J`, `${Z} serve 1 N`],
  });
  await checkRestart({
    before,
    meanwhile: (lab) => leases(lab, { [Y]: { ...lease("0d"), host_name: "x" } }),
    told: [`${Y} serve 1 M`],
  });
});

test("the databag's older metadata is not served to the next one after a command's", async () => {
  await checkRestart({
    before: async (lab) => {
      lab.apply({ ...lease("0b"), ipv4_address: X });
      lab.apply({ type: "vmdata", vm_ip_address: X, vm_metadata: entry("J") });
      lab.apply({ ...lease("0b", true), ipv4_address: X });
    },
    meanwhile: (lab) => leases(lab, { [X]: lease("0c") }),
    told: [`${X} awaiting-metadata 3`],
  });
});

test("entries and leases that the databags lost meanwhile stay served", async () => {
  await checkRestart({
    meanwhile: (lab) => lab.dir.write("vmdata.json", { id: "vmdata" }),
    told: [],
    raised: ["SOURCE_SHRANK vmdata.json"],
  });
  await checkRestart({
    meanwhile: (lab) => lab.dir.write("dhcpentry.json", { id: "dhcpentry" }),
    told: [],
    raised: ["SOURCE_SHRANK dhcpentry.json"],
  });
});

test("without a readable databag the router answers as it did before", async () => {
  for (const name of ["vmdata.json", "dhcpentry.json"]) {
    await checkRestart({
      meanwhile: (lab) => rmSync(join(lab.dir.path, name)),
      told: [],
      raised: [`SOURCE_UNREADABLE ${name}`],
    });
    await checkRestart({
      meanwhile: (lab) => lab.dir.writeText(name, "{"),
      told: [],
      raised: [`SOURCE_MALFORMED ${name}`],
    });
  }
});

test("epochs go on after a restart", async () => {
  await using lab = await served();
  for (const [mac, id] of [
    ["0b", "J"],
    ["0c", "K"],
  ] as const) {
    leases(lab, { [X]: lease(mac) });
    edit(lab, { [X]: entry(id) });
    await lab.poll();
  }
  expect(lab.at(X)).toBe(`${X} serve 3 K`);
  const again = await new Lab(lab.dir).open(lab);
  leases(lab, { [X]: lease("0f") });
  expect(await again.told()).toEqual([`${X} awaiting-metadata 4`]);
});

test("what was reported of an entry is reported again", async () => {
  await checkRestart({
    before: async (lab) => {
      edit(lab, { [X]: entry("I", [["../x", "y"]]), [Y]: entry("M", [["a", "1"]]) });
      await lab.poll();
    },
    told: [],
    raised: [`KEY_REFUSED ${X}`],
  });
});

/** Two instances are served, something happens, this program ends, something happens, it starts. */
async function checkRestart(check: {
  readonly before?: (lab: Lab) => Promise<void>;
  readonly meanwhile?: (lab: Lab) => void;
  readonly told: readonly string[];
  readonly raised?: readonly string[];
}): Promise<void> {
  await using lab = await served();
  await check.before?.(lab);
  check.meanwhile?.(lab);
  const again = await new Lab(lab.dir, { firstStart: false }).open(lab);
  expect(await again.told()).toEqual([...check.told]);
  expect(again.raised).toEqual([...(check.raised ?? [])]);
  await again.source[Symbol.asyncDispose]();
}

test("an epoch that a password was kept for is begun by nobody else", async () => {
  await using first = await served();
  const binding = first.known.get(X as Ip) as Binding;
  const { network } = binding;
  const restart = async (changes: Change[], kept: number): Promise<string[]> => {
    const lab = await new Lab(first.dir).open();
    const epochs = [{ network, address: X as Ip, epoch: kept }];
    lab.source.restore(changes, epochs);
    await lab.source.glance?.(new AbortController().signal);
    expect(lab.source.hasten?.(X as Ip)).toEqual([]);
    return (await lab.told()).filter((line) => line.startsWith(`${X} `));
  };
  const put: Change = { kind: "put", binding };
  expect(await restart([put], 1)).toEqual([]);
  expect(await restart([put], 2)).toEqual([`${X} serve 3 I`]);
  expect(await restart([], 2)).toEqual([`${X} serve 3 I`]);
  first.dir.edit("vmdata.json", (bag) => {
    bag[X] = entry("Z");
  });
  expect(await restart([put], 2)).toEqual([`${X} serve 4 Z`]);
});
