/**
 * What the file source says about files that are wrong: line, field, and what to do, in one line.
 */

import { afterAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { SourceError } from "../../model/errors.ts";
import { Conditions } from "../../observe/conditions.ts";
import { openFile } from "./file.ts";
import { FILE_BYTES_MAX, KEYS_MAX, USER_DATA_BYTES_MAX, VALUE_CHARS_MAX } from "./limits.ts";

const SIGNAL = new AbortController().signal;
const DIR = mkdtempSync(join(tmpdir(), "frontdesk-errors-"));
const FILE = join(DIR, "lab.yaml");

afterAll(() => rmSync(DIR, { recursive: true }));

const WEB = "instances:\n  - id: i-1\n    name: web\n    address: 10.0.0.1\n";

test("a wrong field is named with its line, and the message says what to write", async () => {
  const cases: readonly (readonly [text: string, message: string])[] = [
    ["", "1: is empty; expected networks and instances"],
    ["instances:\n", "1: instances: expected a list, found nothing"],
    ["instances: {}\n", "1: instances: expected a list, found a mapping"],
    ["- a\n", "1: expected a mapping, found a list"],
    [
      "instances: []\ninstanses: []\n",
      '2: instanses: there is no such field; did you mean "instances"?',
    ],
    ["instanses: []\n", '1: instanses: there is no such field; did you mean "instances"?'],
    [`${WEB}    zonne: z\n`, '5: instances[0].zonne: there is no such field; did you mean "zone"?'],
    [
      `${WEB}    user-data: z\n`,
      '5: instances[0].user-data: there is no such field; did you mean "userData"?',
    ],
    [`${WEB}    colour: red\n`, "5: instances[0].colour: there is no such field"],
    [
      WEB.replace("name:", "nmae:"),
      '3: instances[0].nmae: there is no such field; did you mean "name"?',
    ],
    [
      WEB.replace("address:", "adress:"),
      '4: instances[0].adress: there is no such field; did you mean "address"?',
    ],
    ["instances:\n  - id: i\n", "2: instances[0].name: is missing"],
    [
      "instances:\n  - {id: i, name: n}\n",
      "2: instances[0].address: is missing; give address or nics",
    ],
    [
      `${WEB}    nics: [{addresses: [10.0.0.2]}]\n`,
      "4: instances[0].address: give address or nics, not both",
    ],
    [
      WEB.replace("web", "12"),
      "3: instances[0].name: expected text, found a number; put it in quotes",
    ],
    [WEB.replace("web", '""'), "3: instances[0].name: is empty"],
    [WEB.replace("web", '"a\\nb"'), "3: instances[0].name: must be one line of text"],
    [WEB.replace("web", "w".repeat(256)), "3: instances[0].name: must be 255 characters at most"],
    [WEB.replace("10.0.0.1", "10.0.0.256"), "4: instances[0].address: is not an IP address"],
    [WEB.replace("10.0.0.1", "010.0.0.1"), "4: instances[0].address: is not an IP address"],
    [
      `${WEB}    keys: {a/b: c}\n`,
      '5: instances[0].keys["a/b"]: is no key name: letters, digits, dot, dash and underscore, 64 at most',
    ],
    [
      `${WEB}    keys: {..: c}\n`,
      '5: instances[0].keys[".."]: is no key name: letters, digits, dot, dash and underscore, 64 at most',
    ],
    [
      `${WEB}    keys:\n      - [a, b]\n      - [.ssh, b]\n`,
      "7: instances[0].keys[1][0]: is no key name: letters, digits, dot, dash and underscore, 64 at most",
    ],
    [
      `${WEB}    keys:\n      - [a, b]\n      - [a, c]\n`,
      "7: instances[0].keys[1]: the same key is given twice",
    ],
    [
      `${WEB}    keys:\n      a: b\n      a: c\n`,
      "7: instances[0].keys.a: the same key is given twice",
    ],
    [
      `${WEB}    keys: {a: 1}\n`,
      "5: instances[0].keys.a: expected text or nothing, found a number; put it in quotes",
    ],
    [
      `${WEB}    keys: {a: ${"x".repeat(VALUE_CHARS_MAX + 1)}}\n`,
      `5: instances[0].keys.a: must be ${VALUE_CHARS_MAX} characters at most`,
    ],
    [
      `${WEB}    keys: {${Array.from({ length: KEYS_MAX + 1 }, (_, i) => `k${i}: v`).join(", ")}}\n`,
      `5: instances[0].keys: must be ${KEYS_MAX} entries at most`,
    ],
    [
      `${WEB}    standardKeys: false\n`,
      "2: instances[0].keys: is missing, and standardKeys is false",
    ],
    [`${WEB}    userData: {base64: "%"}\n`, "5: instances[0].userData.base64: is not base64"],
    [
      `${WEB}    userData: {text: a, file: b}\n`,
      "5: instances[0].userData: give one of text, base64, file",
    ],
    [
      `${WEB}    userData: {bas64: a}\n`,
      '5: instances[0].userData.bas64: there is no such field; did you mean "base64"? (and 1 more)',
    ],
    [
      `${WEB}    userData: 7\n`,
      "5: instances[0].userData: expected text or a mapping, found a number; put it in quotes",
    ],
    [`${WEB}    userData: {file: none}\n`, '5: instances[0].userData.file: "none" does not exist'],
    [`${WEB}    userData: {file: .}\n`, '5: instances[0].userData.file: "." is not a regular file'],
    [
      `${WEB}    userData: {file: /dev/zero}\n`,
      '5: instances[0].userData.file: "/dev/zero" is not a regular file',
    ],
    [
      `${WEB}    userData: {file: "a\\0b"}\n`,
      '5: instances[0].userData.file: "a\\u0000b" cannot exist: its name has a character that no name has',
    ],
    [
      `${WEB}    userData: ${"x".repeat(USER_DATA_BYTES_MAX + 1)}\n`,
      "5: instances[0].userData: is larger than 1 MiB",
    ],
    [
      `${WEB}    password: saved_password\n`,
      "5: instances[0].password: is a word that the protocol reserves",
    ],
    [`${WEB}    password: "a "\n`, "5: instances[0].password: must not begin or end with a space"],
    [`${WEB}    epoch: 0\n`, "5: instances[0].epoch: must be 1 at least"],
    [`${WEB}    nics:\n`, "5: instances[0].nics: expected a list, found nothing"],
    [
      `${WEB}    network: ../x\n`,
      "5: instances[0].network: must begin with a letter or digit and go on with letters, digits, dots, dashes; 64 at most",
    ],
    [
      WEB.replace("address: 10.0.0.1", "nics: [{mac: 02-00, addresses: [10.0.0.1]}]"),
      "4: instances[0].nics[0].mac: is not a MAC address like 02:00:5a:10:00:07",
    ],
    [
      `networks: [{id: a, cidrs: [10.0.0.0]}]\n${WEB}`,
      "1: networks[0].cidrs[0]: is not an address range like 10.1.1.0/24",
    ],
  ];
  for (const [text, message] of cases) await check(text, message);
});

test("what does not fit together is named with both lines", async () => {
  const two = "  - {id: i-2, name: db, address: 10.0.0.1}\n";
  const other = two.replace("}", ", network: b}");
  const networks =
    "networks:\n  - {id: tier-1, cidrs: [10.0.0.0/24]}\n  - {id: tier-2, cidrs: [10.0.1.0/24]}\n";
  const cases: readonly (readonly [text: string, message: string])[] = [
    [`${WEB}${two}`, "5: instances[1].address: 10.0.0.1 is claimed twice, here and on line 4"],
    [
      `# x\n${WEB}\n\n${two}${two.replace("10.0.0.1", "10.0.0.2")}`,
      "8: instances[1].address: 10.0.0.1 is claimed twice, here and on line 5",
    ],
    [
      `${WEB}${two.replace("10.0.0.1", '"::ffff:10.0.0.1"')}`,
      "5: instances[1].address: 10.0.0.1 is claimed twice, here and on line 4",
    ],
    [
      `networks: [{id: a}, {id: b}]\n${WEB}    network: a\n${other}`,
      "7: instances[1].address: 10.0.0.1 is claimed twice, here and on line 5",
    ],
    [
      `${WEB}    network: a\n${other}`,
      "6: instances[1].address: 10.0.0.1 is claimed twice, here and on line 4",
    ],
    [
      `${networks}${WEB}`,
      "4: instances[0].network: is missing, and the file has more than one network".replace(
        "4:",
        "5:",
      ),
    ],
    [
      `${networks}${WEB}    network: tier-3\n`,
      '8: instances[0].network: there is no network "tier-3"; did you mean "tier-1"?',
    ],
    [
      `${networks}${WEB}    network: tier-2\n`,
      "7: instances[0].address: 10.0.0.1 lies outside network tier-2, 10.0.1.0/24",
    ],
    [
      `${networks.replace("10.0.1.0/24", "10.0.0.128/25")}${WEB}    network: tier-1\n`,
      "3: networks[1].cidrs[0]: 10.0.0.128/25 overlaps 10.0.0.0/24 of network tier-1 on line 2",
    ],
    [
      `${networks.replace("tier-2", "tier-1")}${WEB}`,
      '3: networks[1].id: network "tier-1" is given twice',
    ],
  ];
  for (const [text, message] of cases) await check(text, message);
});

test("text that is not YAML is named with its line, and never quoted", async () => {
  const cases: readonly (readonly [text: string, message: string])[] = [
    [`${WEB}   zone: z\n`, '5: instances[0]: a quote, a bracket, a comma or a ":" is missing'],
    [`${WEB}    zone: "hunter2\n`, "5: instances[0]: "],
    [`${WEB}    zone: [hunter2\n`, "5: instances[0]: "],
    [
      `${WEB}    zone: hunter2: x\n`,
      '5: instances[0]: a second ": " stands on one line; put the text in quotes',
    ],
    [`${WEB}\tzone: z\n`, "5: "],
    [
      `${WEB}    zone: *hunter2\n`,
      "5: instances[0].zone: an alias (*) must come after its anchor (&)",
    ],
    [
      `${WEB}    zone: !hunter2 x\n`,
      "5: instances[0]: a tag (!) is not known; put the text in quotes",
    ],
    [`${WEB}    zone: "\\q"\n`, "5: instances[0]: text in double quotes has an unknown escape"],
    [`${WEB}    ? [a]\n    : b\n`, "5: instances[0]: a key must be plain text"],
    [`%YAML 1.1\n---\n${WEB}`, "1: directives are not read"],
    [`${WEB}---\n${WEB}`, "5: the file has more than one document"],
    [`x: &a [1]\ny: *a\n<<: *a\n${WEB}`, "1: x: there is no such field (and 2 more)"],
  ];
  for (const [text, start] of cases) {
    const message = await refusal(text);
    expect(message).toStartWith(`${FILE}:${start}`);
    expect(message).not.toContain("hunter2 ");
    expect(message).not.toContain("\n");
  }
});

test("secrets appear in no message", async () => {
  const fields = [
    "password: 271828182",
    "password: ' hunter2'",
    'password: "hunter2\\n"',
    "password: [hunter2]",
    "userData: {base64: 'hunter2!'}",
    "userData: [hunter2]",
    "userData: 271828182",
    "keys: {db-password: 271828182}",
    "keys: {db-password: [hunter2]}",
    'publicKeys: ["hunter2\\n"]',
  ];
  for (const field of fields) {
    expect(await refusal(`${WEB}    ${field}\n`)).not.toMatch(/hunter2|271828182/);
  }
});

test("aliases are followed within a record and across records, and bombs are refused", async () => {
  const lab = `instances:
  - id: a
    name: a
    address: 10.0.0.1
    publicKeys: &keys [ssh-ed25519 AAAA]
    zone: &zone z
    template: *zone
  - id: b
    name: b
    address: 10.0.0.2
    publicKeys: *keys
`;
  expect(await refusal(lab)).toBe("");
  const levels = Array.from({ length: 12 }, (_, i) => {
    const below = i === 0 ? "x" : `*l${i - 1}`;
    return `l${i}: &l${i} [${Array(10).fill(below).join(", ")}]`;
  });
  expect(await refusal(`${levels.join("\n")}\ninstances: []\n`)).toContain(
    "aliases stand for too many values",
  );
});

test("what is no text file is refused by name", async () => {
  const wrong = Buffer.concat([Buffer.from(WEB), Buffer.from([0xff, 10])]);
  await check(wrong, "5: is not UTF-8");
  await check(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(WEB)]), "");
  await check(WEB.replaceAll("\n", "\r\n"), "");
  await check(`---\n${WEB}`, "");
  rmSync(FILE);
  execFileSync("mkfifo", [FILE]);
  expect(await pollFile()).toBe(`${FILE}: is not a regular file`);
  rmSync(FILE);
  mkdirSync(FILE);
  expect(await pollFile()).toBe(`${FILE}: is not a regular file`);
  rmSync(FILE, { recursive: true });
  writeFileSync(FILE, WEB);
  truncateSync(FILE, FILE_BYTES_MAX + 1);
  expect(await pollFile()).toBe(`${FILE}: is larger than 64 MiB`);
  rmSync(FILE);
});

// Goal: text of any kind is refused in words or taken whole; it is never a crash.
// Method: make text from fragments that mean something to YAML and to the schema, so that most of
// the tries get past the first character.
test("arbitrary text throws nothing but a SourceError, and never touches the last good state", async () => {
  const fragment = fc.oneof(
    fc.constantFrom(
      ..."instances:|\n  - |\n    |id: |name: |address: |10.0.0.2|keys: |[|]|{|}|, |'|\"|&a |*a |!t |".split(
        "|",
      ),
      ..."userData: >\n      |- |: |#|---\n|...\n|%YAML|\t|\r|? |<<: |null|~|0|1e3|\u{feff}|\u0000|password: ".split(
        "|",
      ),
      "|",
      "|2-\n",
    ),
    fc.string({ maxLength: 4 }),
  );
  const text = fc.oneof(
    fc.array(fragment, { maxLength: 30 }).map((parts) => parts.join("")),
    fc.array(fragment, { maxLength: 12 }).map((parts) => WEB + parts.join("")),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  );
  const conditions = new Conditions(() => 0);
  await fc.assert(
    fc.asyncProperty(text, async (content) => {
      const context = { conditions, now: () => 0, firstStart: true };
      await using source = await openFile(FILE, context);
      writeSettled(WEB);
      await source.poll(SIGNAL);
      writeSettled(content);
      const message = await pollFile();
      const changes = await source.poll(SIGNAL);
      if (message !== "") expect(changes).toEqual([]);
      writeSettled(WEB);
      const back = await source.poll(SIGNAL);
      if (message !== "") expect(back).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

async function check(text: string | Buffer, message: string): Promise<void> {
  expect(await refusal(text)).toBe(message === "" ? "" : `${FILE}:${message}`);
}

/** What a source says that reads `text` first; empty where it takes it. */
async function refusal(text: string | Buffer): Promise<string> {
  writeSettled(text);
  return pollFile();
}

async function pollFile(): Promise<string> {
  const context = { conditions: new Conditions(() => 0), now: () => 0, firstStart: true };
  await using source = await openFile(FILE, context);
  try {
    await source.poll(SIGNAL);
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(SourceError);
    return (error as Error).message;
  }
}

/** Writes a file that looks as if it had been written long ago, so that nobody waits for it. */
function writeSettled(text: string | Buffer): void {
  writeFileSync(FILE, text);
  utimesSync(FILE, 1, 1);
}
