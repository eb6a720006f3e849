import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Conditions } from "../observe/conditions.ts";
import { KEYS, SIGNAL } from "../source/cloudstack/testing.ts";
import { openLook } from "./open-look.ts";
import { change, openLab } from "./testing.ts";

const ENV = { FRONTDESK_API_KEY: KEYS.apiKey, FRONTDESK_SECRET_KEY: KEYS.secretKey };

test("one instance is looked at while the pages of everything are waited for", async () => {
  await using lab = await openLab({ instances: 5 });
  const { store, api } = lab;
  const conditions = new Conditions(() => 0);
  const ports = { store, conditions, sealKey: new Uint8Array(32), now: () => 0 };
  await using opened = await openLook({ text: `cloudstack:${api.url}`, env: ENV }, ports);
  await opened.look.all(SIGNAL);
  // As many as are asked at once.
  const slow = ["listNetworks", "listPublicIpAddresses", "listServiceOfferings", "getUser"];
  for (const command of slow) api.fail(command, ...Array(4).fill({ hang: true }));
  const end = new AbortController();
  const all = opened.look.all(end.signal).catch(() => "ended");
  await new Promise((resolve) => setTimeout(resolve, 100));
  change(api, "i-1", { name: "renamed" });
  const begun = performance.now();
  expect(await opened.look.some(["i-1"], SIGNAL)).toBe(true);
  expect(performance.now() - begun).toBeLessThan(900);
  expect((await store.get({ network: "net-isolated", id: "i-1" }))?.record.name).toBe("renamed");
  end.abort();
  expect(await all).toBe("ended");
});

test("keys that cannot be used leave those in force that were", async () => {
  await using lab = await openLab({ instances: 2 });
  const dir = mkdtempSync(join(tmpdir(), "frontdesk-clients-"));
  const credentialsFile = join(dir, "keys.env");
  const lines = Object.entries(ENV).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(credentialsFile, lines.join(""), { mode: 0o600 });
  try {
    const { store, api, conditions } = lab;
    const ports = { store, conditions, sealKey: new Uint8Array(32), now: () => 0 };
    const source = { text: `cloudstack:${api.url}`, env: {}, credentialsFile };
    await using opened = await openLook(source, ports);
    await opened.look.all(SIGNAL);
    chmodSync(credentialsFile, 0o640);
    await expect(opened.reload()).rejects.toMatchObject({ code: "STATE_PERMISSIONS" });
    await expect(openLook(source, ports)).rejects.toMatchObject({ code: "STATE_PERMISSIONS" });
    chmodSync(credentialsFile, 0o600);
    writeFileSync(credentialsFile, "FRONTDESK_API_KEY=\n");
    await expect(opened.reload()).rejects.toMatchObject({ code: "CONFIG" });
    rmSync(credentialsFile);
    await expect(opened.reload()).rejects.toMatchObject({ code: "CONFIG" });
    expect(await opened.look.all(SIGNAL)).toMatchObject({ instances: 2 });
  } finally {
    rmSync(dir, { recursive: true });
  }
});
