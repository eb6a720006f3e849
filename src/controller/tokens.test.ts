import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  bearerOf,
  createToken,
  hashToken,
  mayDo,
  newToken,
  openTokens,
  parseTokens,
  readTokens,
  removeToken,
  TOKENS_MAX,
} from "./tokens.ts";

const folder = mkdtempSync(join(tmpdir(), "frontdesk-tokens-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const HEX = "0".repeat(64);
let files = 0;
const fresh = (): string => join(folder, `tokens-${files++}`);

test("a token is made once, kept as a hash, and found again", async () => {
  const path = fresh();
  const token = await createToken(path, { name: "ci", role: "write" });
  const other = await createToken(path, { name: "ops", role: "admin" });
  const entries = await readTokens(path);
  expect(bearerOf(entries, token)).toEqual({ name: "ci", role: "write" });
  expect(bearerOf(entries, other)).toEqual({ name: "ops", role: "admin" });
  expect(Buffer.from(token.slice(3), "base64url").length).toBe(32);
  const text = readFileSync(path, "utf8");
  expect(text).not.toContain(token);
  expect(text).toContain(hashToken(token).toString("hex"));
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("what is nearly a token is none", async () => {
  const token = newToken();
  const entries = [{ name: "a", role: "read" as const, hash: hashToken(token) }];
  const wrong = ["", token.slice(0, -1), `${token}x`, token.toUpperCase(), ` ${token}`, HEX];
  for (const given of [...wrong, hashToken(token).toString("hex"), "x".repeat(100_000)]) {
    expect(bearerOf(entries, given)).toBeUndefined();
  }
  expect(bearerOf(entries, token)).toEqual({ name: "a", role: "read" });
});

test("a role may do what those below it may", () => {
  expect(mayDo("admin", "read") && mayDo("write", "read") && mayDo("write", "write")).toBe(true);
  expect(mayDo("read", "write") || mayDo("write", "admin")).toBe(false);
});

test("a file that is wrong is refused with its line, and nothing of it is shown", () => {
  const good = `ci read sha256:${HEX}`;
  expect(parseTokens(`# x\n\n${good}\n`, "t")).toHaveLength(1);
  const cases: readonly (readonly [text: string, line: number])[] = [
    ["s3cr3t", 1],
    [`\n${good} x`, 2],
    ["ci root sha256:00", 1],
    [`ci read sha256:${HEX.slice(1)}`, 1],
    [`ci read sha512:${HEX}`, 1],
    [`../x read sha256:${HEX}`, 1],
    [`${good}\n${good}`, 2],
    [`${good}\nops rea`, 2],
  ];
  for (const [text, line] of cases) {
    const run = () => parseTokens(text, "t");
    expect(run).toThrow(new RegExp(`^t:${line}: `));
    expect(run).not.toThrow(/s3cr3t/);
  }
  const many = Array.from({ length: TOKENS_MAX + 1 }, (_, i) => `n${i} read sha256:${HEX}`);
  expect(() => parseTokens(many.join("\n"), "t")).toThrow(/more than/);
});

test("names are checked, and one name is one token", async () => {
  const path = fresh();
  await createToken(path, { name: "ci", role: "read" });
  const before = readFileSync(path, "utf8");
  for (const name of ["ci", "", "a b", "a\nb", "-x", "x".repeat(65), "../etc"]) {
    await expect(createToken(path, { name, role: "admin" })).rejects.toThrow();
  }
  await expect(removeToken(path, "nobody")).rejects.toThrow(/no token/);
  expect(readFileSync(path, "utf8")).toBe(before);
});

test("many writers at once lose no token", async () => {
  const path = fresh();
  const attempts = Array.from({ length: 20 }, (_, i) =>
    createToken(path, { name: `t${i}`, role: "read" }),
  );
  const results = await Promise.allSettled(attempts);
  const made = results.filter(({ status }) => status === "fulfilled").length;
  expect(made).toBeGreaterThan(0);
  expect(await readTokens(path)).toHaveLength(made);
});

test("what a killed writer left is cleared away, but not one that is at work", async () => {
  const path = fresh();
  writeFileSync(`${path}.new`, "", { mode: 0o600 });
  await expect(createToken(path, { name: "a", role: "read" })).rejects.toThrow(/another program/);
  utimesSync(`${path}.new`, 1, 1);
  await createToken(path, { name: "a", role: "read" });
  expect(await readTokens(path)).toHaveLength(1);
});

test("a removed token counts no more at once, comments stay", async () => {
  const path = fresh();
  const token = await createToken(path, { name: "ci", role: "read" });
  const kept = await createToken(path, { name: "ci2", role: "read" });
  const tokens = await openTokens({ path, onTrouble: () => {} });
  expect(await tokens.bearer(token)).toEqual({ name: "ci", role: "read" });
  await removeToken(path, "ci");
  expect(await tokens.bearer(token)).toBeUndefined();
  expect(await tokens.bearer(kept)).toEqual({ name: "ci2", role: "read" });
  expect(readFileSync(path, "utf8")).toStartWith("# Tokens");
});

test("a file that others may use, or that is half written, changes nothing and is said", async () => {
  const path = fresh();
  const token = await createToken(path, { name: "ci", role: "read" });
  const troubles: (string | undefined)[] = [];
  const tokens = await openTokens({ path, onTrouble: (message) => troubles.push(message) });
  const text = readFileSync(path, "utf8");
  chmodSync(path, 0o640);
  expect(await tokens.bearer(token)).toBeDefined();
  expect(troubles.at(-1)).toMatch(/chmod 600/);
  await expect(openTokens({ path, onTrouble: () => {} })).rejects.toThrow(/chmod 600/);
  chmodSync(path, 0o600);
  writeFileSync(path, text.slice(0, -9));
  expect(await tokens.bearer(token)).toBeDefined();
  expect(troubles.at(-1)).toMatch(/must be NAME ROLE/);
  writeFileSync(path, text);
  expect(await tokens.bearer(token)).toBeDefined();
  expect(troubles.at(-1)).toBeUndefined();
  rmSync(path);
  expect(await tokens.bearer(token)).toBeUndefined();
});

test("a token that is kept elsewhere has every role, and is asked for each time", async () => {
  let own: string | undefined = newToken();
  const tokens = await openTokens({ path: fresh(), own: async () => own, onTrouble: () => {} });
  expect(await tokens.bearer(own)).toEqual({ name: "admin.env", role: "admin" });
  const before = own;
  own = undefined;
  expect(await tokens.bearer(before)).toBeUndefined();
});

/** Opens files until there are no more, has the file replaced, and asks again when they are closed. */
const FULL = `
import { closeSync, openSync, renameSync } from "node:fs";
import { openCredentials } from "${import.meta.dirname}/credentials.ts";
import { openTokens } from "${import.meta.dirname}/tokens.ts";
const [path, stateDir, word, own] = process.argv.slice(-4);
let troubles = 0;
const onTrouble = (message) => void (troubles += message === undefined ? 0 : 1);
const tokens = await openTokens({ path, onTrouble });
const credentials = await openCredentials({ stateDir, env: {}, isConfigured: true, onTrouble });
const known = async () => [
  (await tokens.bearer(word))?.name,
  (await credentials.current()).token === own,
];
const said = [await known()];
const files = [];
try {
  for (;;) files.push(openSync("/dev/null"));
} catch {}
renameSync(path + ".next", path);
renameSync(stateDir + "/admin.env.next", stateDir + "/admin.env");
said.push(await known(), troubles);
for (const file of files) closeSync(file);
await new Promise((resolve) => setTimeout(resolve, 1500));
said.push(await known());
console.log(JSON.stringify(said));
`;

test("one that was removed while no file could be opened counts no more, by itself", async () => {
  const path = fresh();
  const stateDir = mkdtempSync(join(folder, "state-"));
  const [word, own, later] = [await createToken(path, { name: "ci", role: "read" }), ...pair()];
  writeFileSync(`${path}.next`, "# none\n", { mode: 0o600 });
  for (const [name, token] of [
    ["admin.env", own],
    ["admin.env.next", later],
  ]) {
    writeFileSync(join(stateDir, name ?? ""), `FRONTDESK_TOKEN=${token}\n`, { mode: 0o600 });
  }
  const script = join(folder, "full.mjs");
  writeFileSync(script, FULL);
  const limited = ["-c", 'ulimit -n 100 && exec "$@"', "sh", process.execPath, script];
  const { stdout, stderr } = Bun.spawnSync(["sh", ...limited, path, stateDir, word, own]);
  expect(stderr.toString()).toBe("");
  expect(JSON.parse(stdout.toString())).toEqual([["ci", true], ["ci", true], 2, [null, false]]);
});

const pair = (): [string, string] => [newToken(), newToken()];
