import { expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import fc from "fast-check";
import type { Ip } from "../../model/address.ts";
import type { Binding } from "../../model/binding.ts";
import { entry, type Json, type Lab, lease, served, X, Y } from "./testing.ts";

const LONG = process.env.FRONTDESK_LONG === "1";
const RUNS = LONG ? 2000 : 150;
const NAMES = [
  ...["vmdata.json", "dhcpentry.json", "vmpassword.json"],
  ...["ips.json", "guestnetwork.json", "cmdline.json"],
];

// Goal: databag text of any kind never makes a poll throw, and what it says of one address never
// changes what is answered at another.
// Method: spoil the files of two instances again and again; at each step, what is known at Y is
// what Y's own entry said.
test("no text of an entry changes what is answered at another address", async () => {
  await using lab = await served();
  const untouched = lab.known.get(Y as Ip);
  await fc.assert(
    fc.asyncProperty(name(), spoiltValue(), async (file, value) => {
      const rest = { vmdata: { [Y]: entry("M") }, dhcpentry: { [Y]: lease("0d") } };
      const bag = rest[file.split(".")[0] as keyof typeof rest] ?? {};
      const others = Object.entries(bag).map(([key, json]) => `"${key}":${JSON.stringify(json)}`);
      if (file === "ips.json") others.push(`"eth0":${JSON.stringify(lab.dir.read(file).eth0)}`);
      const key = file === "cmdline.json" ? "config" : file === "ips.json" ? "eth9" : X;
      const before = lab.dir.readText(file);
      lab.dir.writeText(file, `{${[`"${key}":${value}`, ...others].join(",")}}`);
      lab.now += 2000;
      await lab.poll();
      expect(lab.known.get(Y as Ip)).toEqual(untouched as Binding);
      if (before === undefined) lab.dir.remove(file);
      else lab.dir.writeText(file, before);
      await lab.poll();
      expect(lab.known.get(Y as Ip)).toEqual(untouched as Binding);
    }),
    { numRuns: RUNS },
  );
});

test("no text of a file makes a poll throw, or answers with what no entry says", async () => {
  await using lab = await served();
  const texts = new Map(NAMES.map((file) => [file, lab.dir.readText(file) ?? "{}"]));
  await fc.assert(
    fc.asyncProperty(name(), damage(), async (file, spoil) => {
      const good = texts.get(file) ?? "{}";
      const spoilt = spoil(good);
      lab.dir.writeText(file, spoilt);
      lab.now += 2000;
      await lab.poll();
      for (const known of lab.known.values()) {
        if (!("keys" in known) || ["I", "M"].includes(known.instance)) continue;
        // Damage may make another id; else nothing is answered that no good file said.
        expect(isJson(spoilt) || known.instance === `address:${known.address}`).toBe(true);
        expect(known.instance.startsWith("address:") || spoilt.includes(known.instance)).toBe(true);
      }
      lab.dir.writeText(file, good);
      await lab.poll();
      expect(lab.raised.filter((code) => code.startsWith("SOURCE_"))).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});

test("a command of any kind changes no other address, and throws CommandErrors only", async () => {
  await using lab = await served();
  const untouched = lab.known.get(Y as Ip);
  const command = fc.record({
    type: fc.constantFrom("vmdata", "vmpassword", "dhcpentry"),
    vm_ip_address: fc.constantFrom(X, "192.0.2.1", "x"),
    ip_address: fc.constantFrom(X, "::1", "x"),
    ipv4_address: fc.constantFrom(X, "10.1.1.7", "x"),
    vm_metadata: fc.oneof(fc.jsonValue(), fc.constant(entry("J"))),
    password: fc.oneof(fc.jsonValue(), fc.constant("secret")),
    mac_address: fc.constantFrom("02:00:00:00:00:0a", "02:00:00:00:00:0b", "x"),
    remove: fc.jsonValue(),
  });
  fc.assert(
    fc.property(command, (json) => {
      try {
        lab.apply(JSON.stringify(json));
      } catch (error) {
        expect(error).toMatchObject({ code: "COMMAND_INVALID" });
      }
      expect(lab.known.get(Y as Ip)).toEqual(untouched as Binding);
    }),
    { numRuns: RUNS },
  );
});

// Goal: a file that is being written is never taken for one that is complete, and no address is
// answered with another's metadata, or with a mixture.
// Method: another program rewrites the three files in place, in small pieces and without rest, as
// CloudStack does: each round gives every address to another instance. What is answered has the
// MAC, the keys and the user data of one round.
test("files that are rewritten in place all the time are never seen half", async () => {
  await using lab = await served();
  const writer = rewrite(lab, LONG ? 400 : 60);
  const seen = new Set<string>();
  let running = true;
  const ended = new Promise((resolve) => writer.once("exit", resolve)).then(() => {
    running = false;
  });
  while (running) {
    lab.now += 10;
    await lab.poll();
    for (const [address, known] of lab.known) {
      if (!("keys" in known) || known.mac === undefined) continue;
      const { instance, mac, userData } = known;
      if (instance === "I" || instance === "M") continue;
      const round = instance.split("-")[1] as string;
      seen.add(round);
      expect(instance).toBe(`${address}-${round}`);
      expect(Number.parseInt(mac.slice(-5).replace(":", ""), 16)).toBe(Number(round));
      expect(lab.keys(address)["local-hostname"]).toBe(`host-${instance}`);
      expect(Buffer.from(userData as Uint8Array).toString()).toBe(`#${instance}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await ended;
  expect(writer.exitCode).toBe(0);
  await lab.poll();
  await lab.poll();
  expect(lab.at(X)).toStartWith(`${X} serve`);
  expect((lab.known.get(X as Ip) as Binding).instance).toBe(`${X}-${LONG ? 400 : 60}`);
  expect(seen.size).toBeGreaterThan(3);
}, 60_000);

/** Rewrites the three files, lease first and metadata last, in pieces of 100 bytes. */
function rewrite(lab: Lab, rounds: number): ChildProcess {
  const addresses = Array.from({ length: 40 }, (_, i) => `10.1.1.${5 + i}`);
  const script = `
    const { openSync, writeSync, closeSync } = require("node:fs");
    const addresses = ${JSON.stringify(addresses)};
    const pause = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    function write(name, content) {
      const text = JSON.stringify(content, undefined, 2);
      const file = openSync(${JSON.stringify(lab.dir.path)} + "/" + name, "w");
      for (let at = 0; at < text.length; at += 100) {
        writeSync(file, text.slice(at, at + 100));
        if (at % 3000 === 0) pause(1);
      }
      closeSync(file);
      pause(12); // A tick of the clock by which files are stamped.
    }
    for (let round = 1; round <= ${rounds}; round++) {
      const hex = round.toString(16).padStart(4, "0");
      const mac_address = (i) =>
        "02:00:" + i.toString(16).padStart(2, "0") + ":00:" + hex.slice(0, 2) + ":" + hex.slice(2);
      const leases = addresses.map((a, i) => [a, { mac_address: mac_address(i), remove: false }]);
      write("dhcpentry.json", Object.fromEntries(leases));
      const entries = addresses.map((a) => [a, [
        ["userdata", "user-data", Buffer.from("#" + a + "-" + round).toString("base64")],
        ["metadata", "local-hostname", "host-" + a + "-" + round],
        ["metadata", "instance-id", a + "-" + round],
      ]]);
      write("vmdata.json", { ...Object.fromEntries(entries), id: "vmdata" });
    }`;
  return spawn(process.execPath, ["-e", script], { stdio: "inherit" });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function name(): fc.Arbitrary<string> {
  return fc.constantFrom(...NAMES);
}

/** The JSON text of a value, or what is none. */
function spoiltValue(): fc.Arbitrary<string> {
  const item = fc.tuple(
    fc.constantFrom("metadata", "userdata", "x"),
    fc.constantFrom("instance-id", "user-data", "__proto__", "a", "../../x"),
    fc.jsonValue(),
  );
  const lists = fc.array(fc.oneof(item, fc.jsonValue()), { maxLength: 5 });
  const json: fc.Arbitrary<Json | unknown> = fc.oneof(
    fc.jsonValue(),
    lists,
    fc.constantFrom(entry("J"), lease("0b"), lease("0a", true), lease("0d"), {}, "secret"),
  );
  const text = json.map((value) => JSON.stringify(value));
  const garbage = fc.constantFrom("", "{", "[", '"', "\\", "tru", '{"a":}', "[1,]", "\u0000", "}");
  return fc.oneof(
    { weight: 4, arbitrary: text },
    garbage,
    fc.nat(2000).map((depth) => "[".repeat(depth) + "]".repeat(depth)),
  );
}

/** Ways to spoil a text. */
function damage(): fc.Arbitrary<(text: string) => string> {
  const place = fc.double({ min: 0, max: 1, noNaN: true });
  return fc.oneof(
    fc.string().map((text) => () => text),
    fc.json().map((text) => () => text),
    place.map((where) => (text: string) => text.slice(0, Math.floor(where * text.length))),
    fc.tuple(place, fc.string({ maxLength: 3 })).map(([where, piece]) => (text: string) => {
      const at = Math.floor(where * text.length);
      return text.slice(0, at) + piece + text.slice(at + piece.length);
    }),
    fc.tuple(place, place).map(([from, to]) => (text: string) => {
      return (
        text.slice(0, Math.floor(from * text.length)) + text.slice(Math.floor(to * text.length))
      );
    }),
  );
}
