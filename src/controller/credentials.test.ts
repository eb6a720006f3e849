import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentialsOf, openCredentials, readCredentials } from "./credentials.ts";

const folder = mkdtempSync(join(tmpdir(), "frontdesk-credentials-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const fresh = (): string => mkdtempSync(join(folder, "state-"));
const VALUE = "v".repeat(40);

test("where there are none they are made once, for their owner alone", async () => {
  const stateDir = fresh();
  const first = await open(stateDir);
  const path = join(stateDir, "admin.env");
  expect([first.isNew, first.path]).toEqual([true, path]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const made = await first.current();
  expect(Object.keys(made).sort()).toEqual(["apiKey", "secretKey", "token"]);
  expect(new Set(Object.values(made)).size).toBe(3);
  const second = await open(stateDir);
  expect([second.isNew, await second.current()]).toEqual([false, made]);
  expect((await open(fresh()).then((one) => one.current())).token).not.toBe(made.token);
});

test("none are made where others are configured", async () => {
  const stateDir = fresh();
  const opened = await open(stateDir, { isConfigured: true });
  expect([opened.isNew, opened.path, await opened.current()]).toEqual([false, undefined, {}]);
  await open(stateDir, { env: { FRONTDESK_TOKEN: VALUE } });
  expect(existsSync(join(stateDir, "admin.env"))).toBe(false);
});

test("two that start at once have the same", async () => {
  const stateDir = fresh();
  const [a, b] = await Promise.allSettled([open(stateDir), open(stateDir)]);
  const values = await Promise.all(
    [a, b].flatMap((one) => (one?.status === "fulfilled" ? [one.value.current()] : [])),
  );
  expect(values.length).toBeGreaterThan(0);
  const onDisk = await readCredentials(stateDir);
  for (const value of values) expect(value).toEqual(onDisk ?? {});
});

test("the environment wins, and its keys are a pair of their own", async () => {
  const stateDir = fresh();
  const made = await (await open(stateDir)).current();
  const withToken = await open(stateDir, { env: { FRONTDESK_TOKEN: VALUE } });
  expect(await withToken.current()).toEqual({ ...made, token: VALUE });
  const env = { FRONTDESK_API_KEY: `${VALUE}a`, FRONTDESK_SECRET_KEY: `${VALUE}b` };
  expect(await (await open(stateDir, { env })).current()).toEqual({
    ...{ apiKey: `${VALUE}a`, secretKey: `${VALUE}b` },
    ...(made.token !== undefined && { token: made.token }),
  });
  expect(() => credentialsOf({ FRONTDESK_API_KEY: VALUE })).toThrow(/FRONTDESK_SECRET_KEY is miss/);
  expect(() => credentialsOf({ FRONTDESK_TOKEN: "short" })).toThrow(/FRONTDESK_TOKEN must have/);
});

test("a change of the file counts at once; one that cannot be used is said, and changes nothing", async () => {
  const stateDir = fresh();
  const path = join(stateDir, "admin.env");
  const troubles: (string | undefined)[] = [];
  const opened = await openCredentials({
    ...{ stateDir, env: {}, isConfigured: false },
    onTrouble: (message) => troubles.push(message),
  });
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(/^FRONTDESK_TOKEN=.*$/m, `FRONTDESK_TOKEN=${VALUE}`));
  expect((await opened.current()).token).toBe(VALUE);
  writeFileSync(path, text.slice(0, -30));
  expect((await opened.current()).token).toBe(VALUE);
  expect(troubles.at(-1)).toContain("FRONTDESK_TOKEN");
  chmodSync(path, 0o644);
  await expect(open(stateDir)).rejects.toThrow(/chmod 600/);
  expect((await opened.current()).token).toBe(VALUE);
});

test("a file that is wrong is refused, and nothing of it is shown", async () => {
  const cases: readonly (readonly [text: string, message: RegExp])[] = [
    ["s3cr3t", /:1: must be NAME=VALUE/],
    ["FRONTDESK_TOKEN=s3cr3t\n", /FRONTDESK_TOKEN must have/],
    [`FRONTDESK_TOKEN=${VALUE}\nFRONTDESK_TOKEN=${VALUE}\n`, /given twice/],
    [`FRONTDESK_TOKEN=$(s3cr3t ${VALUE})\n`, /FRONTDESK_TOKEN must have/],
    [`FRONTDESK_API_KEY=${VALUE}\n`, /FRONTDESK_SECRET_KEY is missing/],
    [`#${"x".repeat(20_000)}`, /longer than/],
  ];
  for (const [text, message] of cases) {
    const stateDir = fresh();
    writeFileSync(join(stateDir, "admin.env"), text, { mode: 0o600 });
    const opening = open(stateDir);
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.not.toThrow(/s3cr3t/);
  }
});

function open(stateDir: string, changed: { env?: object; isConfigured?: boolean } = {}) {
  const defaults = { stateDir, env: {}, isConfigured: false, onTrouble: () => {} };
  return openCredentials({ ...defaults, ...(changed as { env?: NodeJS.ProcessEnv }) });
}
