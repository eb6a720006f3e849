/**
 * Debian's Apache Libcloud and our management API.
 *
 * Goal: a tool that people have for CloudStack works unmodified, and a guest sees at once what was
 * done with it. Method: the API over a socket, as a controller has it, on a store that a router
 * follows; Libcloud's driver does what people do; a guest asks from the address that it was given.
 */

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Hono } from "hono";
import { CLIENT_API_PATH, clientApi } from "../../src/controller/client-api/app.ts";
import { openApiListener } from "../../src/controller/http.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { createLog } from "../../src/observe/log.ts";
import { openStore } from "../../src/store/index.ts";
import { connect } from "../clients/wire.ts";
import { openFolder } from "./leftovers.ts";
import { loopbackMissing } from "./loopback.ts";
import { run, until } from "./program.ts";
import { RIMS, type Rim, startRouter } from "./router.ts";

const API_PORT = 19_410;
const GUEST_PORT = 19_411;
const PASSWORD_PORT = 19_412;
const ROUTER = "127.0.0.1";
const GUEST = "127.4.0.57";
const TEST_MS_MAX = 60_000;
/** A deployment is visible to its guest after a second; a loaded machine may add another. ms. */
const VISIBLE_MS_MAX = 2000;

const PYTHON = "/usr/bin/python3"; // The one that Debian's package is for.
const SCRIPT = join(import.meta.dirname, "libcloud-driver.py");
const KEYS = { FRONTDESK_API_KEY: "EXAMPLE-api", FRONTDESK_SECRET_KEY: "EXAMPLE-secret" };
const PUBLIC_KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA alice@laptop";

const lacking = loopbackMissing() ?? libcloudMissing();

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `Libcloud lists, deploys, resets and destroys, and the guest of the ${rim} rim sees it`,
    () => check(rim),
    TEST_MS_MAX,
  );
}

async function check(rim: Rim): Promise<void> {
  using scratch = openFolder("libcloud");
  await using api = await openApi(scratch.path);
  const { ask, store } = api;
  expect(await ask("lists")).toEqual({
    locations: ["lab"],
    sizes: [
      ["small", 512],
      ["medium", 2048],
      ["large", 8192],
    ],
    images: ["debian-12", "debian-12-password", "windows-2022"],
    networks: ["lab"],
    keys: [],
    nodes: [],
  });
  await using _router = await startRouter({
    rim,
    source: `sqlite:${api.path}`,
    listen: [`${ROUTER}:${GUEST_PORT}`],
    passwordListen: [`${ROUTER}:${PASSWORD_PORT}`],
    stateDir: join(scratch.path, "state"),
    more: ["--seal-key", api.keyFile],
  });

  const deployed = await ask("deploy", {
    name: "web-01",
    image: "debian-12-password",
    address: GUEST,
    userdata: "#cloud-config\n",
    key: PUBLIC_KEY,
  });
  const { id } = deployed.node as { id: string };
  await visible("instance-id", id);
  expect(deployed).toEqual({
    node: { id, name: "web-01", state: "running", addresses: [GUEST] },
    same: true,
    nic: GUEST,
  });
  expect(await guest("user-data")).toBe("#cloud-config\n");
  expect(await guest("meta-data/public-keys")).toBe(PUBLIC_KEY);
  expect(await guest("meta-data/local-ipv4")).toBe(GUEST);
  const first = await password();
  expect(first).toMatch(/^[A-Za-z0-9]{12}$/);

  const reset = await ask("resets", { id, key: PUBLIC_KEY });
  expect(reset).toMatchObject({
    running: "The instance must be stopped first",
    states: ["Stopped", "Running"],
    privatekey: "-----BEGIN RSA PRIVATE KEY-----",
    data: true,
  });
  await visible("public-keys", reset.publickey);
  expect(await guest("user-data")).toBe("two");
  expect(reset.password).not.toBe(first);
  await until(
    "the new password",
    VISIBLE_MS_MAX,
    async () => (await password()) === reset.password,
  );
  expect((await ask("lists")).keys).toEqual(["alice", "bob"]);

  expect(await ask("destroy", { id })).toEqual({ gone: true, keys: 0 });
  await until("nothing to be known", VISIBLE_MS_MAX, async () => (await status()) !== 200);
  expect((await store.list()).records).toEqual([]);
}

test.skipIf(lacking !== undefined)(
  "Libcloud is refused beyond the limits, by GET sooner than by POST, and nothing is kept",
  async () => {
    using scratch = openFolder("libcloud");
    await using api = await openApi(scratch.path);
    const tried = await api.ask("limits", { sizes: [4096, 4100, 32_768, 32_772] });
    const says = (size: number, limit: string): string =>
      `user data has ${size} characters of base64; the limit${limit}`;
    expect(tried as unknown).toEqual([
      ["GET", 4096, "done"],
      ["POST", 4096, "done"],
      ["GET", 4100, says(4100, " by GET is 4096; send it by POST")],
      ["POST", 4100, "done"],
      ["POST", 32_768, "done"],
      ["POST", 32_772, says(32_772, " is 32768")],
    ]);
    expect((await api.store.list()).records.length).toBe(4);
    const wrong = await api.ask("wrong", {}, { ...KEYS, FRONTDESK_SECRET_KEY: "wrong" });
    expect(wrong).toEqual({ error: "InvalidCredsError" });
  },
  TEST_MS_MAX,
);

/** The API on a socket and on a store of its own. */
async function openApi(folder: string) {
  const path = join(folder, "store.sqlite");
  const keyFile = join(folder, "store.key");
  const sealKey = Buffer.alloc(32, 7);
  writeFileSync(keyFile, sealKey, { mode: 0o600 });
  const now = (): number => Date.now();
  const conditions = new Conditions(now);
  const store = await openStore(`sqlite:${path}`, {
    ...{ sealKey, conditions, now, role: "writer", isTruth: true },
  });
  const log = createLog({ write: () => {}, dropped: 0, flushSync: () => {} }, "error");
  const ports = {
    ...{ store, conditions, now, log, userDataMax: 32_768, readOnly: false, hint: () => {} },
  };
  const keys = new Map([[KEYS.FRONTDESK_API_KEY, KEYS.FRONTDESK_SECRET_KEY]]);
  const app = new Hono().route(CLIENT_API_PATH, clientApi(ports, keys));
  const listener = await openApiListener({
    listen: { host: ROUTER, port: API_PORT },
    fetch: (request) => app.fetch(request),
  });
  const url = `http://${ROUTER}:${API_PORT}${CLIENT_API_PATH}`;
  return {
    ...{ path, keyFile, store },
    async ask(step: string, given: object = {}, env: Record<string, string> = KEYS) {
      const argv = [PYTHON, SCRIPT, url, step, JSON.stringify(given)];
      const { code, stdout, stderr } = await run(argv, { env });
      if (code !== 0) throw new Error(`${step}: ${stderr}`);
      return JSON.parse(stdout.toString()) as Record<string, unknown>;
    },
    async [Symbol.asyncDispose]() {
      await listener.close();
      await store.close();
    },
  };
}

/** Until the guest is told this. */
async function visible(key: string, value: unknown): Promise<void> {
  await until(`${key} to be visible`, VISIBLE_MS_MAX, async () => {
    return (await guest(`meta-data/${key}`).catch(() => undefined)) === value;
  });
}

async function guest(path: string): Promise<string> {
  return (await exchange(GUEST_PORT, `/latest/${path}`)).body.toString();
}

async function status(): Promise<number> {
  return (await exchange(GUEST_PORT, "/latest/meta-data/instance-id")).status;
}

async function password(): Promise<string> {
  const { body } = await exchange(PASSWORD_PORT, "/", "DomU_Request: send_my_password\r\n");
  return body.toString().trim();
}

async function exchange(port: number, path: string, headers = "") {
  using wire = await connect({ host: ROUTER, port, from: GUEST });
  return await wire.exchange(
    `GET ${path} HTTP/1.1\r\nHost: ${ROUTER}\r\n${headers}Connection: close\r\n\r\n`,
  );
}

function libcloudMissing(): string | undefined {
  const { status } = spawnSync(PYTHON, ["-c", "import libcloud.compute.drivers.cloudstack"]);
  if (status === 0) return undefined;
  const reason = "Debian's python3-libcloud is not installed";
  console.warn(`skipped: ${reason}`);
  return reason;
}
