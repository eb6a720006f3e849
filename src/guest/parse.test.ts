import { expect, test } from "bun:test";
import type { GuestCommand } from "./command.ts";
import { helpOf, parse } from "./parse.ts";
import { keyPathOf, targetOf } from "./path.ts";

const COMMAND: GuestCommand = {
  arguments: [{ name: "[path]", summary: "what" }],
  options: [
    { flags: "--json", summary: "JSON" },
    { flags: "-v, --verbose", summary: "more" },
    { flags: "--wait <seconds>", summary: "wait", default: "0", env: "FD_WAIT" },
    { flags: "--allow <names>", summary: "who", repeatable: true },
    { flags: "--kind <kind>", summary: "which", choices: ["a", "b"] },
  ],
  exits: [
    [0, "it is there"],
    [3, "look at it"],
  ],
  examples: [["frontdesk guest x", "do it"]],
  run: async () => 0,
};

test("options are taken in every usual spelling", () => {
  expect(read("--wait", "5").string("wait")).toBe("5");
  expect(read("--wait=5").string("wait")).toBe("5");
  expect(read("--wait=").string("wait")).toBe("");
  expect(read("--wait", "1", "--wait", "2").string("wait")).toBe("2");
  expect(read().string("wait")).toBe("0");
  expect(read("-v").flag("verbose")).toBe(true);
  expect(read().flag("verbose")).toBe(false);
  expect(read("--allow", "a,b", "--allow=c").strings("allow")).toEqual(["a", "b", "c"]);
  expect(read("--kind", "b").string("kind")).toBe("b");
});

test("a flag wins over the environment, and that over the default", () => {
  const env = { FD_WAIT: "7" };
  const wait = (...argv: string[]) => {
    const call = parse(argv, COMMAND, env);
    return call === "help" ? undefined : call.options.string("wait");
  };
  expect([wait(), wait("--wait", "5")]).toEqual(["7", "5"]);
});

test("what stands after -- is an argument, whatever it looks like", () => {
  expect(parse(["--", "--json"], COMMAND, {})).toMatchObject({ args: ["--json"] });
  expect(parse(["-"], COMMAND, {})).toMatchObject({ args: ["-"] });
});

test("wrong usage is named", () => {
  const check = (argv: string[], message: string): void =>
    expect(() => parse(argv, COMMAND, {})).toThrow(message);
  check(["--bogus"], 'unknown option "--bogus"');
  check(["--jso"], 'unknown option "--jso"');
  check(["--wait"], "argument missing");
  check(["--json=1"], "takes no value");
  check(["a", "b"], 'too many arguments: "b"');
  check(["--kind", "c"], '"c" is none of a, b');
});

test("help is asked for anywhere, and shows everything", () => {
  expect(parse(["a", "--help", "--bogus"], COMMAND, {})).toBe("help");
  const help = helpOf("fd x", "do it", COMMAND);
  expect(help).toContain("Usage: fd x [options] [path]");
  expect(help).toContain('--wait <seconds>  wait (default: "0", env: FD_WAIT)');
  expect(help).toContain("\nExit codes:\n  0  it is there\n  3  look at it\n\nExamples:\n");
  expect(help).toContain("  frontdesk guest x\n      do it");
});

test("a path may be written short or whole", () => {
  const check = (path: string, target: string): void => expect(targetOf(path)).toBe(target);
  check("", "/latest/meta-data/");
  check("/", "/latest/meta-data/");
  check("meta-data", "/latest/meta-data/");
  check("latest/meta-data", "/latest/meta-data/");
  check("local-hostname", "/latest/meta-data/local-hostname");
  check("/latest//meta-data/local-hostname", "/latest/meta-data/local-hostname");
  check("latest/metadata/public-ipv4", "/latest/meta-data/public-ipv4");
  check("metadata/public-ipv4", "/latest/meta-data/public-ipv4");
  check("user-data", "/latest/user-data");
  check("latest/user-data/", "/latest/user-data");
  check("2009-04-04/meta-data/", "/2009-04-04/meta-data/");
  check("latest", "/latest/");
  check("public-keys/0/openssh-key", "/latest/meta-data/public-keys/0/openssh-key");
  check("network/macs/02:00:5a:10:00:01/", "/latest/meta-data/network/macs/02:00:5a:10:00:01/");
});

test("what is no path is refused before anybody is asked", () => {
  const wrong = [
    "a b",
    "a\r\nHost: x",
    "../x",
    "a/./b",
    "a?b",
    "a#b",
    "a\\b",
    "%2e%2e",
    "\u00e9",
    "x".repeat(2000),
  ];
  for (const path of wrong) expect(() => targetOf(path), path).toThrow("metadata path");
});

test("the parts of a key's path are known again", () => {
  expect(keyPathOf("/latest/meta-data/placement/zone")).toEqual(["placement", "zone"]);
  expect(keyPathOf("/latest/meta-data/")).toEqual([]);
  expect(keyPathOf("/latest/user-data")).toBeUndefined();
});

function read(...argv: readonly string[]) {
  const call = parse(argv, COMMAND, {});
  if (call === "help") throw new Error("help was not asked for");
  return call.options;
}
