import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeKeyPair, parsePublicKey } from "./ssh.ts";
import { openTestLab, PUBLIC_KEY } from "./testing.ts";

const HAS_SSH_KEYGEN = spawnSync("ssh-keygen", ["-?"]).error === undefined;

test("a public key is one line of a known type that says its type twice", () => {
  const [type = "", base64 = ""] = PUBLIC_KEY.split(" ");
  const good = [PUBLIC_KEY, `${type} ${base64}`, `  ${PUBLIC_KEY}\n`, `${type}\t${base64} a b c`];
  for (const text of good) expect(parsePublicKey(text).text).toStartWith(`${type} ${base64}`);
  const bad = [
    "",
    type,
    base64,
    `ssh-rsa ${base64}`,
    `ssh-dss ${base64}`,
    `${type} ${base64.slice(0, 12)}`,
    `${type} ${base64}!`,
    `${type} ${base64} two\nlines`,
    `${type} ${base64} \u001b[2J`,
    `command="x" ${PUBLIC_KEY}`,
    `${PUBLIC_KEY}\n${PUBLIC_KEY}`,
    "-----BEGIN RSA PRIVATE KEY-----",
  ];
  for (const text of bad) expect(() => parsePublicKey(text)).toThrow("publickey: it must be one");
});

test.skipIf(!HAS_SSH_KEYGEN)("OpenSSH reads the key pairs that are made", async () => {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-ssh-"));
  try {
    const { privateKey, text, fingerprint } = await makeKeyPair();
    const file = join(folder, "key");
    writeFileSync(file, privateKey, { mode: 0o600 });
    writeFileSync(`${file}.pub`, `${text}\n`);
    const run = (...args: string[]): string => spawnSync("ssh-keygen", args).stdout.toString();
    expect(run("-y", "-f", file).trim()).toBe(text);
    expect(run("-l", "-E", "md5", "-f", `${file}.pub`)).toContain(`2048 MD5:${fingerprint} `);
    expect(readFileSync(file, "utf8")).toStartWith("-----BEGIN RSA PRIVATE KEY-----");
    expect(parsePublicKey(text)).toEqual({ text, fingerprint });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("key pairs have names of their own, and a key has one name", async () => {
  const lab = openTestLab();
  const { keypair } = await lab.ok("createSSHKeyPair", { name: "made" });
  expect(keypair).toMatchObject({ name: "made", account: "admin" });
  expect((keypair as { privatekey: string }).privatekey).toStartWith("-----BEGIN RSA PRIVATE KEY");
  await lab.ok("registerSSHKeyPair", { name: "alice", publickey: PUBLIC_KEY });
  const [type = "", base64 = ""] = PUBLIC_KEY.split(" ");
  for (const [command, params] of [
    ["createSSHKeyPair", { name: "alice" }],
    ["createSSHKeyPair", { name: "a,b" }],
    ["createSSHKeyPair", {}],
    ["registerSSHKeyPair", { name: "alice", publickey: PUBLIC_KEY }],
    ["registerSSHKeyPair", { name: "other", publickey: `${type} ${base64} other` }],
    ["registerSSHKeyPair", { name: "other", publickey: `${PUBLIC_KEY}${"x".repeat(8192)}` }],
    ["deleteSSHKeyPair", { name: "nobody" }],
  ] as const) {
    expect([command, (await lab.ask(command, params)).status]).toEqual([command, 431]);
  }
  const listed = await lab.ok("listSSHKeyPairs", { name: "alice" });
  expect(JSON.stringify(listed)).not.toContain(base64);
  expect(listed).toMatchObject({ count: 1, sshkeypair: [{ name: "alice" }] });
  expect(JSON.stringify(await lab.ok("listSSHKeyPairs"))).not.toContain("PRIVATE");
  expect(await lab.ok("deleteSSHKeyPair", { name: "alice" })).toEqual({ success: true });
  expect(await lab.ok("listSSHKeyPairs", { name: "alice" })).toEqual({});
  // The private key is nowhere but in the answer.
  const kept = await lab.store.documents("client-api-key-pair");
  expect(JSON.stringify([...kept])).not.toContain("PRIVATE");
});
