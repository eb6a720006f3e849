import { afterAll, afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Options } from "./command.ts";
import { type ControllerPlan, controllerPlan } from "./controller-settings.ts";

const folder = mkdtempSync(join(tmpdir(), "fd-controller-"));
const FILE = join(folder, "frontdesk.yaml");
const KEY = join(folder, "seal.key");
writeFileSync(KEY, Buffer.alloc(32, 7), { mode: 0o600 });
writeFileSync(join(folder, "bus.env"), "FRONTDESK_AMQP_USER=u\nFRONTDESK_AMQP_PASSWORD=p\n", {
  mode: 0o600,
});
writeFileSync(join(folder, "hook"), "secret\n", { mode: 0o600 });
writeFileSync(join(folder, "ca.pem"), "PEM");
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => rmSync(FILE, { force: true }));

/** What flags and variables come to, as the command line reads them. */
function options(given: Readonly<Record<string, string | readonly string[] | true>>): Options {
  return {
    string: (name) => (typeof given[name] === "string" ? given[name] : undefined),
    strings: (name) => (Array.isArray(given[name]) ? given[name] : []),
    flag: (name) => given[name] === true,
  };
}

const WHOLE = `stateDir: state
sealKey: seal.key
network: net-1
cacheDir: cache
logLevel: debug
controller:
  source: cloudstack:https://cloud.example.org
  store: sqlite:store.sqlite
  apiListen: 127.0.0.1:8776
  guestListen: [127.0.0.1:8775, "[::1]:8775"]
  apiCert: cert.pem
  apiCertKey: key.pem
  tokensFile: tokens
  adminListen: unix:admin.sock
  credentialsFile: keys.env
  caFile: ca.pem
  insecure: true
  pollSeconds: 60
  userDataMax: 1000
  webhookSecretFile: hook
  amqp: amqps://bus.example.org/cloudstack
  amqpExchange: events
  amqpCredentialsFile: bus.env
  amqpCaFile: ca.pem
`;

/** The same, as flags say it. */
const FLAGS = {
  "state-dir": join(folder, "state"),
  "seal-key": KEY,
  network: "net-1",
  "cache-dir": join(folder, "cache"),
  "log-level": "debug",
  source: "cloudstack:https://cloud.example.org",
  store: `sqlite:${join(folder, "store.sqlite")}`,
  "api-listen": "127.0.0.1:8776",
  "guest-listen": ["127.0.0.1:8775", "[::1]:8775"],
  "api-cert": join(folder, "cert.pem"),
  "api-cert-key": join(folder, "key.pem"),
  "tokens-file": join(folder, "tokens"),
  "admin-listen": `unix:${join(folder, "admin.sock")}`,
  "credentials-file": join(folder, "keys.env"),
  "ca-file": join(folder, "ca.pem"),
  insecure: true,
  "poll-seconds": "60",
  "user-data-max": "1000",
  "webhook-secret-file": join(folder, "hook"),
  amqp: "amqps://bus.example.org/cloudstack",
  "amqp-exchange": "events",
  "amqp-credentials-file": join(folder, "bus.env"),
  "amqp-ca-file": join(folder, "ca.pem"),
} as const;

test("the file has every setting that flags have, and they come to the same", async () => {
  writeFileSync(FILE, WHOLE);
  const ofFile = await read(await controllerPlan(options({ config: FILE })));
  const ofFlags = await read(await controllerPlan(options(FLAGS)));
  expect(ofFile).toEqual(ofFlags);
  expect(ofFile).toMatchObject({
    logLevel: "debug",
    settings: {
      pollSeconds: 60,
      userDataMax: 1000,
      api: { listen: { port: 8776 }, guests: [{ port: 8775 }, { host: "::1" }] },
      source: { network: "net-1", tls: { ca: "PEM", insecure: true } },
      rabbit: { exchange: "events", ca: "PEM" },
    },
    secrets: ["secret", { username: "u", password: "p" }],
  });
});

test("a flag wins over the file, and a variable that is empty does not", async () => {
  writeFileSync(FILE, WHOLE);
  const own = { config: FILE, "poll-seconds": "7", source: "file:lab.yaml", "api-listen": "" };
  const empty = { "state-dir": "", "seal-key": "", "log-level": "", "credentials-file": "" };
  const { settings, logLevel } = await controllerPlan(options({ ...own, ...empty }));
  expect(settings).toMatchObject({
    pollSeconds: 7,
    source: { text: "file:lab.yaml", credentialsFile: join(folder, "keys.env") },
    api: { listen: { port: 8776 }, stateDir: join(folder, "state") },
  });
  expect(logLevel).toBe("debug");
});

test("a guests' listener may be link-local, as the router's own may", async () => {
  const at = "'[fe80::1%eth1]:80'";
  writeFileSync(FILE, `controller: {apiListen: '127.0.0.1:8776', guestListen: [auto, ${at}]}`);
  const { settings } = await controllerPlan(options({ config: FILE, "seal-key": KEY }));
  expect<unknown>(settings.api?.guests).toEqual(["auto", { host: "fe80::1", port: 80 }]);
});

test("what is wrong is named where it was said: a flag, or a line of the file", async () => {
  const cases: readonly (readonly [yaml: string, flags: object, code: string, said: string])[] = [
    ["controller: {apiListen: x}", {}, "CONFIG", `${FILE}:1: controller.apiListen: "x" is not`],
    ["controller: {amqp: 'http://x'}", {}, "CONFIG", `${FILE}:1: controller.amqp: write amqp:`],
    ["controller:\n  store: x:y", {}, "CONFIG", `${FILE}:2: controller.store: no such store`],
    ["{}", { "api-listen": "x" }, "USAGE", '--api-listen: "x" is not ADDR:PORT'],
    [
      "controller: {source: 'file:x'}",
      { "poll-seconds": "0" },
      "USAGE",
      '--poll-seconds: "0" is not a number from 1',
    ],
    ["{}", { source: "x:y" }, "USAGE", "--source: no such source"],
    [
      "controller:\n  apiListen: 169.254.169.254:80",
      {},
      "CONFIG",
      `${FILE}:2: controller.apiListen: guests ask for metadata there; choose`,
    ],
    [
      "controller:\n  source: file:x\n  webhookSecretFile: hook",
      {},
      "CONFIG",
      `${FILE}:3: controller.webhookSecretFile: is for apiListen, which is missing`,
    ],
    [
      "controller:\n  store: sqlite:x",
      {},
      "CONFIG",
      `${FILE}:2: controller.store: nothing to keep it true by: give source, or apiListen`,
    ],
    ["{}", {}, "USAGE", "nothing to keep the store true by: write --source cloudstack:URL, or"],
    [
      "controller: {source: 'file:x'}",
      { "webhook-secret-file": "hook" },
      "USAGE",
      "--webhook-secret-file is for --api-listen, which is missing",
    ],
    [
      "{}",
      { "api-listen": "127.0.0.1:1", "guest-listen": ["x"], "seal-key": KEY },
      "USAGE",
      '--guest-listen: "x" is not ADDR:PORT',
    ],
    [
      "controller: {store: 'sqlite:x'}",
      { store: "sqlite:y" },
      "USAGE",
      "nothing to keep the store true by: write --source",
    ],
  ];
  for (const [yaml, flags, code, said] of cases) {
    writeFileSync(FILE, yaml);
    const error = await controllerPlan(options({ config: FILE, ...flags })).then(
      () => undefined,
      (error: unknown) => error as { readonly code: string; readonly message: string },
    );
    expect([yaml, error?.code]).toEqual([yaml, code]);
    expect(error?.message).toStartWith(said);
  }
});

/** With the secrets that it would read, and without how. */
async function read(plan: ControllerPlan) {
  const { webhookSecret, rabbit, ...settings } = plan.settings;
  const { user, url, ...bus } = rabbit ?? {};
  return {
    ...{ logLevel: plan.logLevel, admin: plan.admin },
    settings: { ...settings, rabbit: { ...bus, url: url?.href } },
    files: [webhookSecret?.file, user?.file],
    secrets: [await webhookSecret?.read(), await user?.read()],
  };
}
