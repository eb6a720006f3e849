import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  changeSecretFile,
  followSecretFile,
  readSecretFile,
  readVariables,
  writeSecretFile,
} from "./secret-file.ts";

const folder = mkdtempSync(join(tmpdir(), "frontdesk-secret-file-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const FILE = join(folder, "keys.env");
const BYTES_MAX = 1000;
const SERVICE = 12_345;
const asRoot = test.skipIf(process.getuid?.() !== 0);

test("variables are read as a shell and a service manager read them", async () => {
  const cases: readonly (readonly [text: string, variables: Record<string, string>])[] = [
    ["", {}],
    ["A=1\nB=2", { A: "1", B: "2" }],
    ["# one\n  # two\n; three\n\n\t\nA=1\n", { A: "1" }],
    ["export A='x y'\r\n B = \"z\"\r\n", { A: "x y", B: "z" }],
    ["A=\nb_1=a=b#c\n", { A: "", b_1: "a=b#c" }],
    ["A='\nB=it's\n", { A: "'", B: "it's" }],
  ];
  for (const [text, variables] of cases) {
    write(text);
    expect(Object.fromEntries((await readVariables(FILE, BYTES_MAX)) ?? [])).toEqual(variables);
  }
  expect(await readVariables(join(folder, "nowhere"), BYTES_MAX)).toBeUndefined();
});

test("what is none names its line, and nothing of it is shown", async () => {
  const cases: readonly (readonly [text: string, message: RegExp])[] = [
    ["A=1\ns3cr3t\n", /keys\.env:2: must be NAME=VALUE/],
    ["1A=s3cr3t", /:1: must be NAME=VALUE/],
    ["A=s3cr3t\nexport A=s3cr3t\n", /:2: A is given twice/],
    [`A=${"s3cr3t".repeat(200)}`, /longer than 1000 bytes/],
  ];
  for (const [text, message] of cases) {
    write(text);
    const reading = readVariables(FILE, BYTES_MAX);
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.not.toThrow(/s3cr3t/);
  }
});

test("a file that could not be read once is read again by itself, also when nobody asks", async () => {
  write("one");
  const troubles: (string | undefined)[] = [];
  let isBroken = false;
  let reads = 0;
  const current = await followSecretFile({
    path: FILE,
    read: async () => {
      reads++;
      if (isBroken) throw new Error("no more files may be open");
      return readSecretFile(FILE, BYTES_MAX);
    },
    onTrouble: (message) => troubles.push(message),
  });
  isBroken = true;
  write("two!");
  expect(await Promise.all([current(), current(), current()])).toEqual(["one", "one", "one"]);
  expect([reads, troubles]).toEqual([2, ["no more files may be open"]]);
  isBroken = false;
  while (troubles.at(-1) !== undefined) await Bun.sleep(50);
  expect(await current()).toBe("two!");
  expect(reads).toBe(3);
});

test("who asks hears what the file said then, or later", async () => {
  write("0");
  const read = async () => {
    const text = await readSecretFile(FILE, BYTES_MAX);
    await Bun.sleep(Number(text) % 2 === 0 ? 0 : 20); // Each other one is late.
    return Number(text);
  };
  const current = await followSecretFile({ path: FILE, read, onTrouble: () => {} });
  const asked = Array.from({ length: 20 }, async (_, index) => {
    await Bun.sleep(index * 5);
    const beside = join(folder, `next-${index}`);
    writeFileSync(beside, String(index), { mode: 0o600 });
    renameSync(beside, FILE);
    return (await current()) - index;
  });
  for (const ahead of await Promise.all(asked)) expect(ahead).toBeGreaterThanOrEqual(0);
});

test("a file that others may use is refused", async () => {
  write("A=1\n");
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(FILE, mode);
    await expect(readVariables(FILE, BYTES_MAX)).rejects.toThrow(/run chmod 600/);
  }
  chmodSync(FILE, 0o600);
});

asRoot("what root writes is the service's, and nothing else becomes so", async () => {
  const own = join(folder, "service");
  mkdirSync(own);
  chownSync(own, SERVICE, SERVICE);
  const [secret, made] = [join(own, "tokens"), join(own, "keys.env")];
  expect(await writeSecretFile(made, "A=1")).toBe(true);
  await changeSecretFile(secret, BYTES_MAX, () => "one");
  await changeSecretFile(secret, BYTES_MAX, (text) => `${text}, two`);
  expect([made, secret].map((path) => statSync(path).uid)).toEqual([SERVICE, SERVICE]);
  expect(await readSecretFile(secret, BYTES_MAX)).toBe("one, two");
  const roots = join(folder, "root-only");
  writeFileSync(roots, "", { mode: 0o600 });
  await changeSecretFile(secret, BYTES_MAX, () => {
    renameSync(`${secret}.new`, join(own, "away"));
    symlinkSync(roots, `${secret}.new`);
    return "three";
  });
  expect(statSync(roots).uid).toBe(0);
});

asRoot("a file that somebody else made in a folder of ours is refused", async () => {
  const open = join(folder, "open");
  mkdirSync(open);
  chmodSync(open, 0o777);
  const theirs = join(open, "tokens");
  writeFileSync(theirs, "A=1", { mode: 0o600 });
  expect(await readSecretFile(theirs, BYTES_MAX)).toBe("A=1");
  chownSync(theirs, SERVICE, SERVICE);
  const reading = readSecretFile(theirs, BYTES_MAX);
  await expect(reading).rejects.toThrow(/tokens belongs to user 12345/);
  await expect(changeSecretFile(theirs, BYTES_MAX, () => "")).rejects.toThrow(/run chown/);
});

function write(text: string): void {
  writeFileSync(FILE, text, { mode: 0o600 });
}
