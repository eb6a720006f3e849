/** Users and groups as numbers. */

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Accounts, resolveAccounts } from "./accounts.ts";
import { readHardenOptions } from "./options.ts";
import { type Call, type Given, optionValues, playedExec, testPorts } from "./testing.ts";

const PASSWD =
  "root:x:0:0::/root:/bin/sh\nanna:x:1001:1001::/:/bin/sh\nbert:x:1002:1002::/:/bin/sh\n";
const GROUP = "root:x:0:\nanna:x:1001:\nops:x:2000:anna,gone,bert\nempty:x:2001:\n";

test("names become numbers, and root is always there", async () => {
  const accounts = await resolve({ allow: ["anna", "1234"] });
  expect(accounts.users).toEqual([
    { name: "root", id: 0 },
    { name: "anna", id: 1001 },
    { name: "1234", id: 1234 },
  ]);
});

test("a group stands for its members too, but for names that nobody has", async () => {
  const accounts = await resolve({ "allow-group": ["ops", "empty", "77"] });
  const members = [
    { name: "anna", id: 1001 },
    { name: "bert", id: 1002 },
  ];
  expect(accounts.groups).toEqual([
    { name: "ops", id: 2000, members },
    { name: "empty", id: 2001, members: [] },
    { name: "77", id: 77, members: [] },
  ]);
});

test("an unknown name is wrong usage, with a remedy", async () => {
  const message = await refusal({ allow: ["anna", "cloud-init"], "allow-group": ["nope"] });
  expect(message).toBe(
    "USAGE there is no user cloud-init, no group nope: leave it out, or first " +
      "useradd --system cloud-init, groupadd --system nope; " +
      "cloud-init itself runs as root, which always may",
  );
});

test("an unknown name can be left out, and is told", async () => {
  const accounts = await resolve({ allow: ["nope", "anna"], "skip-unknown": true });
  expect(accounts.users.map(({ name }) => name)).toEqual(["root", "anna"]);
  expect(accounts.unknown).toEqual(["user nope"]);
});

test("a number that is no user id names nobody", async () => {
  for (const allow of ["4294967295", "99999999999"]) {
    expect(await refusal({ allow: [allow] })).toContain(`there is no user ${allow}`);
  }
});

test("a name that could be an option, or break a line, is refused before anything is asked", () => {
  for (const name of [
    "-x",
    "--help",
    "a b",
    "a;b",
    "a\nb",
    "",
    "%i",
    "$x",
    "a".repeat(65),
    "a:b",
  ]) {
    expect(() => readHardenOptions(optionValues({ allow: [name] }))).toThrow("no name we take");
  }
});

test("the system's own database is asked, one name at a time", async () => {
  const calls: Call[] = [];
  const exec = playedExec(calls, ([, database, name]) =>
    database === "group"
      ? `ops:x:2000:-all,an na,anna\n`
      : name === "anna"
        ? "anna:x:7:7:::\n"
        : "",
  );
  const options = readHardenOptions(optionValues({ "allow-group": ["ops"] }));
  const { groups } = await resolveAccounts(options, testPorts({ exec }));
  expect(groups).toEqual([{ name: "ops", id: 2000, members: [{ name: "anna", id: 7 }] }]);
  expect(calls.map(({ argv }) => argv)).toEqual([
    ["getent", "group", "ops"],
    ["getent", "passwd", "an na"],
    ["getent", "passwd", "anna"],
  ]);
});

async function resolve(given: Given): Promise<Accounts> {
  const root = mkdtempSync(join(tmpdir(), "fd-accounts-"));
  try {
    mkdirSync(join(root, "etc"));
    writeFileSync(join(root, "etc/passwd"), PASSWD);
    writeFileSync(join(root, "etc/group"), GROUP);
    const ports = testPorts({ exec: playedExec([], () => undefined), root });
    return await resolveAccounts(readHardenOptions(optionValues(given)), ports);
  } finally {
    rmSync(root, { recursive: true });
  }
}

async function refusal(given: Given): Promise<string> {
  return resolve(given).then(
    () => "",
    (error) => `${error.code} ${error.message}`,
  );
}
