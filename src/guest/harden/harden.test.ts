/** `harden` as a whole, on a machine that is played. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { MetadataError } from "../../model/errors.ts";
import { endpointAt } from "../endpoint.ts";
import { harden } from "./harden.ts";
import { readHardenOptions } from "./options.ts";
import { renderHarden } from "./report.ts";
import { type Call, optionValues, playedExec, testPorts, willingNft } from "./testing.ts";

/** Texts that would mean something to a shell, to nft, to getent or to a unit file. */
const hostile = fc.oneof(
  fc.constantFrom(
    "root; nft flush ruleset",
    "} ; flush ruleset ; {",
    "0 }\nflush ruleset\nadd set x { 0",
    "-f/etc/shadow",
    "--help",
    "$(id)",
    "%h",
    "root,0",
    "a b",
    "169.254.169.254 accept",
    "::1; drop",
    "0x0",
    "01.2.3.4",
    "fe80::1%eth0;drop",
    "http://10.1.1.1:80/;accept",
    "http://[fd00::1%25e;x]:80",
    "4294967296",
    "-1",
    "1e3",
    "\u202eroot",
  ),
  fc.string({ maxLength: 24 }),
  fc.string({ unit: "binary", maxLength: 12 }),
);

/** Now and then a hostile one: a single bad option ends the run before there is a script. */
const rarely = (plain: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 9, arbitrary: plain }, { weight: 1, arbitrary: hostile });
const name = rarely(fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/));
const address = rarely(fc.oneof(fc.ipV4(), fc.ipV6()));

/** A script without its numbers and addresses: nothing else may differ between two of them. */
const SKELETON = `add table inet frontdesk_guest
delete table inet frontdesk_guest
table inet frontdesk_guest {
  set users { type uid; elements = {N}; }
GROUPS  set ports { type inet_service; elements = {N}; }
  set endpoints4 { type ipv4_addr; elements = {4}; }
  set endpoints6 { type ipv6_addr; elements = {6}; }
  chain output {
    type filter hook output priority -150; policy accept;
    ip daddr @endpoints4 tcp dport @ports jump guard
    ip6 daddr @endpoints6 tcp dport @ports jump guard
  }
  chain forward {
    type filter hook forward priority -150; policy accept;
    ip daddr @endpoints4 tcp dport @ports reject with tcp reset
    ip6 daddr @endpoints6 tcp dport @ports reject with tcp reset
  }
  chain guard {
    meta skuid @users accept
GUARD    meta skuid != @users reject with tcp reset
    tcp flags & (syn | ack) == syn reject with tcp reset
  }
}
`;
const WITHOUT_GROUPS = SKELETON.replace("GROUPS", "").replace("GUARD", "");
const WITH_GROUPS = SKELETON.replace(
  "GROUPS",
  "  set groups { type gid; elements = {N}; }\n",
).replace("GUARD", "    meta skgid @groups accept\n");

test("whatever names, addresses and databases say, a program gets whole tokens only", async () => {
  let scripts = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        allow: fc.array(name, { maxLength: 3 }),
        "allow-group": fc.array(name, { maxLength: 2 }),
        endpoint: fc.array(address, { maxLength: 2 }),
        backend: rarely(fc.constant("nftables")),
      }),
      fc.array(hostile, { maxLength: 4 }),
      fc.array(hostile, { maxLength: 6 }),
      async (given, found, database) => {
        const calls: Call[] = [];
        const exec = playedExec(calls, (argv, input) => {
          if (argv[0] !== "getent") return willingNft(argv, input);
          return `${argv[2]}:x:33:${database.join(",")}:${database.join(":")}\n`;
        });
        const endpoints = found.map((host) => endpointAt(host, { via: "dhcp", source: host }));
        try {
          const options = optionValues({ ...given, apply: true, "skip-unknown": true });
          const ports = testPorts({ exec, found: endpoints });
          const result = await harden(readHardenOptions(options), ports);
          for (const line of renderHarden(result)) expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u);
        } catch (error) {
          if (!(error instanceof MetadataError)) throw error;
        }
        for (const { argv, input } of calls) scripts += checkCall(argv, input);
      },
    ),
    { numRuns: 600 },
  );
  // Most runs must come as far as a script, or the property is empty.
  expect(scripts).toBeGreaterThan(100);
});

/** Answers 1 if it was a script. */
function checkCall(argv: readonly string[], input: string | undefined): number {
  if (argv[0] === "getent") {
    expect(argv).toHaveLength(3);
    expect(argv[2]).not.toMatch(/^-|[:\n\0]/);
  } else if (argv[0] === "nft") expect(argv.slice(1).join(" ")).toMatch(NFT_WORDS);
  if (input === undefined) return 0;
  const lists = [...input.matchAll(/elements = \{ ([^}]*) \};/g)].map(([, list = ""]) => list);
  for (const list of lists) expect(list).toMatch(/^[0-9a-f:.]+(, [0-9a-f:.]+)*$/);
  const skeleton = input.replace(/(type (\S+);) elements = \{ [^}]* \}/g, (_, type, kind) => {
    const mark = kind === "ipv4_addr" ? "4" : kind === "ipv6_addr" ? "6" : "N";
    return `${type} elements = {${mark}}`;
  });
  expect([WITHOUT_GROUPS, WITH_GROUPS]).toContain(skeleton);
  return 1;
}

const NFT_WORDS = /^(list tables|(-s|-j) list table inet frontdesk_guest|-f -)$/;

test("root may ask, whoever else is named", async () => {
  for (const allow of [[], ["33"], ["0"]]) {
    const calls: Call[] = [];
    const ports = testPorts({ exec: playedExec(calls, willingNft) });
    await harden(readHardenOptions(optionValues({ allow, apply: true })), ports);
    const script = calls.find(({ input }) => input !== undefined)?.input ?? "";
    expect(script).toMatch(/set users \{ type uid; elements = \{ 0(, 33)? \}; \}/);
  }
});

test("without --apply nothing but questions is asked", async () => {
  const calls: Call[] = [];
  const ports = testPorts({ exec: playedExec(calls, willingNft) });
  const result = await harden(readHardenOptions(optionValues({ allow: ["33"] })), ports);
  expect(result.changed).toBe(false);
  expect(calls.map(({ argv }) => argv.join(" "))).not.toContain("nft -f -");
  expect(renderHarden(result).join("\n")).toContain("elements = { 0, 33 }");
});

test("only root may do more than look", async () => {
  const calls: Call[] = [];
  const ports = { ...testPorts({ exec: playedExec(calls, willingNft) }), isRoot: false };
  for (const mode of ["apply", "check", "remove"]) {
    const done = harden(readHardenOptions(optionValues({ [mode]: true })), ports);
    expect((await codeOf(done)) ?? "").toBe("HARDEN_NOT_ROOT");
  }
  expect(calls).toEqual([]);
  const shown = await harden(readHardenOptions(optionValues({})), ports);
  expect(shown.inForce).toBeUndefined();
});

test("a host without any firewall program is told so", async () => {
  const ports = testPorts({ exec: playedExec([], () => undefined) });
  const done = harden(readHardenOptions(optionValues({ apply: true })), ports);
  expect(await codeOf(done)).toBe("HARDEN_NO_FIREWALL");
});

async function codeOf(done: Promise<unknown>): Promise<string | undefined> {
  return done.then(
    () => undefined,
    (error) => error.code,
  );
}
