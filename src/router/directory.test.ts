import { expect, test } from "bun:test";
import { type Ip, parseIp } from "../model/address.ts";
import type { Binding, Withheld } from "../model/binding.ts";
import type { Change } from "../model/change.ts";
import { lookUp } from "../protocol/document.ts";
import { changeOf, Directory, type Entry } from "./directory.ts";

const A = parseIp("10.1.1.57");

test("an address is found in every spelling the kernel has for it", () => {
  const { directory } = make();
  directory.apply([put("net", A, 1, "a"), put("net", parseIp("2001:db8::5"), 1, "b")]);
  expect(instanceAt(directory, "10.1.1.57")).toBe("a");
  expect(instanceAt(directory, "::ffff:10.1.1.57")).toBe("a");
  expect(instanceAt(directory, "2001:db8:0::5")).toBe("b");
  expect(instanceAt(directory, "2001:db8::5%eth0")).toBe("b");
  for (const peer of ["10.1.1.58", "", "10.1.1.057", "::ffff:10.1.1.58", "::ffff:x.y", "junk:"]) {
    expect(directory.find(peer), peer).toBeUndefined();
  }
});

test("a batch replaces documents whole, and counts what answers", () => {
  const { directory } = make();
  directory.apply([
    put("net", A, 1, "a", [
      ["k", "1"],
      ["gone", "x"],
    ]),
  ]);
  directory.apply([put("net", A, 1, "a", [["k", "2"]])]);
  const entry = directory.find(A);
  expect(
    entry?.kind === "bound" && [lookUp(entry.document, "k"), lookUp(entry.document, "gone")],
  ).toEqual(["2", undefined]);
  expect(directory.size).toBe(1);
  directory.apply([{ kind: "withhold", withheld: withheld(1) }]);
  expect([directory.size, directory.find(A)?.kind]).toEqual([0, "withheld"]);
  directory.apply([{ kind: "delete", network: "net", address: A }]);
  expect([directory.size, directory.find(A)]).toEqual([0, undefined]);
});

test("a new epoch is told once, and the same epoch is not", () => {
  const { directory, epochs } = make();
  directory.apply([put("net", A, 1, "a")]);
  directory.apply([put("net", A, 1, "a", [["k", "2"]])]);
  expect(epochs).toEqual([]);
  directory.apply([{ kind: "withhold", withheld: withheld(2) }]);
  directory.apply([put("net", A, 2, "b")]);
  expect(epochs).toEqual([2]);
  directory.apply([{ kind: "delete", network: "net", address: A }]);
  expect(epochs).toEqual([2, 3]);
});

test("what was put comes back as changes, for a snapshot", () => {
  const { directory } = make();
  const changes = [
    put("net", A, 3, "a", [
      ["k", "1"],
      ["public-keys", null],
    ]),
    { kind: "withhold", withheld: withheld(1, parseIp("10.1.1.9")) } as const,
  ];
  directory.apply(changes);
  expect([...directory.entries()].map(changeOf)).toEqual(changes);
});

test("the network of an unknown address is the one whose range holds it", () => {
  const { directory } = make();
  directory.setNetworks([
    { id: "front", cidrs: ["10.1.1.1/24"] },
    { id: "back", cidrs: ["10.1.2.0/24", "fd00::/64"] },
  ]);
  expect(directory.networkOf(parseIp("10.1.2.3"))).toBe("back");
  expect(directory.networkOf(parseIp("fd00::1"))).toBe("back");
  expect(directory.networkOf(parseIp("10.1.1.255"))).toBe("front");
  expect(directory.networkOf(parseIp("10.1.3.0"))).toBeUndefined();
});

test("a host name of two lines is told", () => {
  const { directory, cuts } = make();
  directory.apply([put("net", A, 1, "a", [["local-hostname", "a\nb"]])]);
  directory.apply([put("net", A, 1, "a", [["local-hostname", "a"]])]);
  expect(cuts).toEqual([true, false]);
  directory.apply([put("net", A, 1, "a", [["local-hostname", "a\nb"]])]);
  directory.apply([put("net", A, 1, "a", [["local-hostname", "a\nc"]])]);
  directory.apply([{ kind: "delete", network: "net", address: A }]);
  expect(cuts.slice(-1)).toEqual([false]);
});

const RANGED = [
  { id: "red", cidrs: ["10.1.1.0/24"] },
  { id: "blue", cidrs: ["10.1.1.0/24"] },
  { id: "green", cidrs: ["10.2.0.0/16"] },
];
const GREEN = parseIp("10.2.0.5");

test("an address that two networks have in their ranges is nobody's, whoever has it", () => {
  const { directory, overlapping } = make();
  directory.apply([put("red", A, 1, "r"), put("green", GREEN, 1, "g")]);
  expect(instanceAt(directory, A)).toBe("r");
  directory.setNetworks(RANGED);
  expect(directory.find(A)).toMatchObject({ kind: "withheld", reason: "conflict" });
  expect(instanceAt(directory, GREEN)).toBe("g");
  expect(overlapping).toEqual(["10.1.1.0/24: red blue"]);
  directory.setNetworks(RANGED.slice(1));
  expect(directory.find(A)).toBeUndefined(); // It is blue's, and blue has nobody there.
  directory.setNetworks([...RANGED.slice(0, 1), ...RANGED.slice(2)]);
  expect(instanceAt(directory, A)).toBe("r");
  expect(overlapping).toEqual(["10.1.1.0/24: red blue", "", ""]);
});

test("an address is of the network whose range holds it, and of no other", () => {
  const { directory } = make();
  directory.setNetworks(RANGED.slice(1));
  directory.apply([put("green", A, 1, "astray"), put("blue", A, 1, "b")]);
  expect(instanceAt(directory, A)).toBe("b");
  directory.apply([{ kind: "delete", network: "blue", address: A }]);
  expect(directory.find(A)).toBeUndefined();
  directory.apply([put("green", parseIp("192.0.2.1"), 1, "outside")]);
  expect(directory.find("192.0.2.1")).toBeUndefined();
});

test("where no range says it, the one network that has the address does, and two are none", () => {
  const { directory, contested } = make();
  directory.setNetworks(RANGED.slice(1));
  const six = parseIp("fd00::5");
  directory.apply([put("blue", six, 1, "b")]);
  expect(instanceAt(directory, six)).toBe("b");
  directory.apply([put("green", six, 1, "g")]);
  expect(directory.find(six)).toMatchObject({ kind: "withheld", reason: "conflict" });
  expect(contested).toEqual(["fd00::5: blue green"]);
  directory.apply([{ kind: "delete", network: "blue", address: six }]);
  expect(instanceAt(directory, six)).toBe("g");
  expect(contested).toEqual(["fd00::5: blue green", "fd00::5: "]);
  directory.apply([put("green", six, 2, "h")]);
  expect(instanceAt(directory, six)).toBe("h");
});

function make() {
  const epochs: number[] = [];
  const cuts: boolean[] = [];
  const contested: string[] = [];
  const overlapping: string[] = [];
  const directory = new Directory({
    epochBegan: (_network, _address, epoch) => epochs.push(epoch),
    hostNameCut: (_network, _address, cut) => cuts.push(cut),
    contested: (address, networks) => contested.push(`${address}: ${networks.join(" ")}`),
    overlapping: (all) =>
      overlapping.push(all.map(({ range, networks }) => `${range}: ${networks.join(" ")}`).join()),
  });
  return { directory, epochs, cuts, contested, overlapping };
}

function put(
  network: string,
  address: Ip,
  epoch: number,
  instance: string,
  keys: Binding["keys"] = [],
): Change {
  const origin = { kind: "databag", place: "vmdata.json" } as const;
  return { kind: "put", binding: { network, address, epoch, instance, name: "n", keys, origin } };
}

function withheld(epoch: number, address: Ip = A): Withheld {
  return { network: "net", address, reason: "no-lease", epoch, since: 5 };
}

function instanceAt(directory: Directory, peer: string): string | undefined {
  const entry: Entry | undefined = directory.find(peer);
  return entry?.kind === "bound" ? entry.instance : undefined;
}
