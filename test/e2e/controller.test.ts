/**
 * `frontdesk controller`, the whole program: a cloud goes in, a store comes out that another
 * program reads; whatever happens to the cloud or to the program, what is not certain stays.
 */

import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { change, destroy } from "../../src/controller/testing.ts";
import { errorFault } from "../../src/source/cloudstack/testing.ts";
import { openControllerLab, writeKeys } from "./controller-lab.ts";
import { run, start, until } from "./program.ts";
import { frontdesk } from "./router.ts";

const TEST_MS_MAX = 60_000;
const SOON_MS = 10_000;
const PORT = 19_220;

test(
  "it keeps the store true, says what it does, and ends when it is told to",
  async () => {
    await using lab = await openControllerLab(40);
    const program = await lab.start();
    expect((await lab.records()).size).toBe(40);
    expect(await lab.admin("/livez")).toMatchObject({ status: 200 });
    const { body } = await lab.admin("/metrics");
    expect(body).toContain("frontdesk_controller_instances 40");
    expect(body).toContain('frontdesk_controller_records_total{what="written"} 40');
    expect(body).not.toContain("frontdesk_router_");
    expect(await lab.conditions()).toEqual([]);
    expect(JSON.parse((await lab.admin("/status")).body)).toMatchObject({ instances: 40 });

    change(lab.api, "i-1", { name: "renamed" });
    program.signal("SIGHUP");
    await until("the change", SOON_MS, async () => {
      return (await lab.records()).get("i-1")?.name === "renamed";
    });
    program.signal("SIGTERM");
    expect((await program.ended).code).toBe(0);
    expect(program.output()).not.toContain("EXAMPLE");
  },
  TEST_MS_MAX,
);

test(
  "a webhook's change is in the store within a second",
  async () => {
    await using lab = await openControllerLab(40);
    const id = "5d6a7f10-3c2b-4a19-8e77-0f1e2d3c4b5a";
    change(lab.api, "i-1", { id });
    const secret = "webhook-secret-example";
    const secretFile = join(lab.folder, "webhook.secret");
    writeFileSync(secretFile, `${secret}\n`, { mode: 0o600 });
    const listen = ["--api-listen", `127.0.0.1:${PORT}`, "--poll-seconds", "3600"];
    const program = await lab.start(...listen, "--webhook-secret-file", secretFile);
    const deliver = async (by: string): Promise<number> => {
      const body = JSON.stringify({ event: "VM.UPDATE", entity: "VirtualMachine", entityuuid: id });
      const headers = { "X-CS-Signature": createHmac("sha256", by).update(body).digest("base64") };
      const url = `http://127.0.0.1:${PORT}/hooks/cloudstack`;
      return (await fetch(url, { method: "POST", body, headers })).status;
    };
    change(lab.api, id, { name: "renamed" });
    const begun = performance.now();
    expect(await deliver(secret)).toBe(200);
    await until("the change", SOON_MS, async () => {
      return (await lab.records()).get(id)?.name === "renamed";
    });
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(await deliver("another secret")).toBe(401);
    expect((await lab.conditions()).map(({ code }) => code)).toEqual(["WEBHOOK_REFUSED"]);
    const { body } = await lab.admin("/metrics");
    expect(body).toContain('hints_total{via="webhook",outcome="looked"} 1');
    expect(body).toContain('hints_total{via="webhook",outcome="refused"} 1');

    // On SIGHUP the secret is read anew, and one that cannot be used leaves the last one.
    const unusable = async (): Promise<string | undefined> => {
      const all = await lab.conditions();
      return all.find(({ code }) => code === "CREDENTIALS_UNREADABLE")?.subject;
    };
    writeFileSync(secretFile, "");
    program.signal("SIGHUP");
    await until("the condition", SOON_MS, async () => (await unusable()) === secretFile);
    expect(await deliver(secret)).toBe(200);
    writeFileSync(secretFile, "another secret\n");
    program.signal("SIGHUP");
    await until("the end of it", SOON_MS, async () => (await unusable()) === undefined);
    expect([await deliver("another secret"), await deliver(secret)]).toEqual([200, 401]);
  },
  TEST_MS_MAX,
);

test(
  "its APIs answer who has their credentials, and change nothing that a source owns",
  async () => {
    await using lab = await openControllerLab(3);
    await lab.start("--api-listen", `127.0.0.1:${PORT}`);
    const env = readFileSync(join(lab.folder, "state/admin.env"), "utf8");
    const token = /^FRONTDESK_TOKEN=(.*)$/m.exec(env)?.[1];
    const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
      fetch(`http://127.0.0.1:${PORT}${path}`, init);
    const headers = { authorization: `Bearer ${token}` };
    expect((await ask("/v1/instances")).status).toBe(401);
    const listed = await ask("/v1/instances", { headers });
    expect(listed.status).toBe(200);
    expect(await listed.text()).toContain("name-of-i-3");
    const path = "/v1/instances/net-isolated/i-1";
    expect((await ask(path, { method: "DELETE", headers })).status).toBe(409);
    expect((await lab.records()).size).toBe(3);
    expect((await ask("/client/api?command=listZones&response=json")).status).toBe(401);
    expect((await ask("/openapi.json")).status).toBe(200);
    // No secret of webhooks was given: there is nobody to believe.
    expect((await ask("/hooks/cloudstack", { method: "POST", body: "{}" })).status).toBe(404);
  },
  TEST_MS_MAX,
);

test(
  "keys that are refused are a condition, until good ones are read",
  async () => {
    await using lab = await openControllerLab(5);
    const program = await lab.start();
    const before = await lab.records();
    writeKeys(lab.keysFile, "EXAMPLE-wrong-key");
    change(lab.api, "i-1", { name: "renamed" });
    program.signal("SIGHUP");
    await until("the condition", SOON_MS, async () => (await lab.conditions()).length > 0);
    const [condition] = await lab.conditions();
    expect(condition).toMatchObject({ code: "CLOUDSTACK_KEYS", subject: lab.api.url.host });
    expect(condition?.advice).toContain("SIGHUP");
    expect(await lab.records()).toEqual(before);
    writeKeys(lab.keysFile, "EXAMPLE-secret-key");
    program.signal("SIGHUP");
    await until("it to be over", SOON_MS, async () => (await lab.conditions()).length === 0);
    expect((await lab.records()).get("i-1")?.name).toBe("renamed");
    expect(program.output()).not.toContain("wrong-key");
  },
  TEST_MS_MAX,
);

test(
  "without its cloud it starts with what it has, and says what is wrong",
  async () => {
    await using lab = await openControllerLab(5);
    const program = await lab.start();
    program.signal("SIGTERM");
    await program.ended;
    lab.api.fail("listProjects", ...Array(200).fill(errorFault(503, "starting up")));
    lab.launch();
    await until("the condition", 30_000, async () => {
      return (await lab.conditions().catch(() => [])).length > 0;
    });
    expect((await lab.conditions())[0]?.code).toBe("CLOUDSTACK_FAILED");
    expect((await lab.admin("/readyz")).status).toBe(503);
    expect((await lab.admin("/livez")).status).toBe(200);
    expect((await lab.records()).size).toBe(5);
  },
  TEST_MS_MAX,
);

/**
 * Goal: whenever it is killed in a look, the next run makes the store right, and no installation is
 * counted twice.
 * Method: the whole cloud changes its names, its addresses pass on, disks are others; the program is
 * killed at a random moment of its look; again; then one runs to its end.
 */
test(
  "killed in the middle of a look, the next one makes the store right",
  async () => {
    const COUNT = 400;
    const ROUNDS = 6;
    await using lab = await openControllerLab(COUNT);
    const first = await lab.start();
    first.signal("SIGKILL");
    await first.ended;
    for (let round = 1; round <= ROUNDS; round++) {
      const { cloud } = lab.api;
      const nics = cloud.instances.map(({ nic }) => nic);
      cloud.instances = cloud.instances.map((one, at) => ({
        ...one,
        name: `round-${round}`,
        // Each address passes to the next instance.
        nic: nics[(at + 1) % COUNT],
      }));
      cloud.volumes = cloud.volumes.map((disk, at) => ({ ...disk, id: `disk-${round}-${at}` }));
      const before = (await lab.records()).get("i-1")?.name;
      const program = lab.launch();
      await until("the look to write", SOON_MS, async () => {
        const names = new Set([...(await lab.records()).values()].map(({ name }) => name));
        return names.has(`round-${round}`);
      });
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
      program.signal("SIGKILL");
      await program.ended;
      expect(before).toBeDefined();
    }
    destroy(lab.api, "i-7");
    await lab.start();
    const records = await lab.records();
    expect(records.size).toBe(COUNT - 1);
    for (const one of lab.api.cloud.instances) {
      const record = records.get(String(one.id));
      const [nic] = one.nic as { ipaddress: string }[];
      expect(record?.name).toBe(`round-${ROUNDS}`);
      expect(record?.nics[0]?.addresses.map(String)).toEqual([nic?.ipaddress ?? ""]);
      // A look that did not come to an instance has not seen its disk of that round.
      expect(record?.incarnation).toBeLessThanOrEqual(ROUNDS + 1);
      expect(record?.incarnation).toBeGreaterThan(1);
    }
    // The first one every look has come to.
    expect(records.get("i-1")?.incarnation).toBe(ROUNDS + 1);
    expect(await lab.conditions()).toEqual([]);
  },
  2 * TEST_MS_MAX,
);

test(
  "its settings may stand in a file",
  async () => {
    await using lab = await openControllerLab(3);
    const file = join(lab.folder, "frontdesk.yaml");
    const lines = [
      ...["stateDir: state", "controller:", `  source: "cloudstack:${lab.api.url}"`],
      ...["  store: sqlite:other.sqlite", "  credentialsFile: keys.env"],
      ...["  adminListen: unix:other.sock", "  pollSeconds: 3600"],
    ];
    writeFileSync(file, `${lines.join("\n")}\n`);
    const { argv, env } = frontdesk("bun", ["controller", "--config", file]);
    await using program = start(argv, { env });
    await program.says(/"written":3/);
    const socket = join(lab.folder, "other.sock");
    const status = await (await fetch("http://controller/status", { unix: socket })).json();
    const store = `sqlite:${lab.folder}/other.sqlite`;
    expect(status).toMatchObject({ store, ready: true, instances: 3 });
  },
  TEST_MS_MAX,
);

test(
  "a file of instances is followed as it is written",
  async () => {
    await using lab = await openControllerLab(0);
    const file = join(lab.folder, "lab.yaml");
    const write = (name: string): void =>
      writeFileSync(file, `instances:\n  - {id: i-1, name: ${name}, address: 127.0.0.11}\n`);
    write("web-01");
    // The last one that is given counts.
    const program = await lab.start("--source", `file:${file}`, "--poll-seconds", "3600");
    expect((await lab.records()).get("i-1")?.name).toBe("web-01");
    write("web-02");
    await until("the change", SOON_MS, async () => {
      return (await lab.records()).get("i-1")?.name === "web-02";
    });
    writeFileSync(file, "instances: [");
    await until("the condition", SOON_MS, async () => (await lab.conditions()).length > 0);
    expect((await lab.conditions())[0]?.code).toBe("SOURCE_MALFORMED");
    expect((await lab.records()).get("i-1")?.name).toBe("web-02");
    program.signal("SIGTERM");
    expect((await program.ended).code).toBe(0);
  },
  TEST_MS_MAX,
);

test(
  "what is called wrongly is one line and exit 2",
  async () => {
    await using lab = await openControllerLab(1);
    const cases: readonly (readonly [args: readonly string[], said: RegExp])[] = [
      [[], /nothing to keep the store true by/],
      [["--source", "cloudstack:ftp://x"], /not the API's address/],
      [["--source", "cloudstack:https://me:EXAMPLE@x"], /has a user/],
      [["--source", "nowhere:x"], /no such source.*or cloudstack:URL/],
      [["--source", "file:x", "--store", "redis:x"], /no such store/],
      [["--source", "file:x", "--poll-seconds", "0"], /--poll-seconds: "0" is not a number/],
      [["--source", "file:x", "--webhook-secret-file", "y"], /is for --api-listen/],
      [["--source", "file:x", "--amqp", "http://x"], /--amqp: write amqp/],
      [["--source", "file:x", "--amqp", "amqp://me:EXAMPLE@x"], /--amqp: has a user/],
      [["--source", "file:x", "--amqp", "amqp://x"], /FRONTDESK_AMQP_USER is missing/],
      [["--source", "file:x", "--api-cert", "y"], /go together/],
      [
        ["--source", `cloudstack:${lab.api.url}`],
        /FRONTDESK_API_KEY in the environment is missing/,
      ],
    ];
    for (const [args, said] of cases) {
      const state = ["--state-dir", join(lab.folder, "state")];
      const { argv, env } = frontdesk("bun", ["controller", ...state, ...args]);
      const done = await run(argv, { env });
      expect([args, done.code, done.stderr.trim().split("\n").length]).toEqual([args, 2, 1]);
      expect(done.stderr).toMatch(said);
      expect(done.stderr).not.toContain("EXAMPLE");
    }
  },
  TEST_MS_MAX,
);

test(
  "two writers of one store, and an address in use, are said at the start",
  async () => {
    await using lab = await openControllerLab(1);
    await lab.start();
    const admin = ["--admin-listen", `unix:${join(lab.folder, "other.sock")}`];
    const second = await lab.launch(...admin).ended;
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("store.sqlite is written by another program");
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(PORT, "127.0.0.1", resolve));
    try {
      const other = ["--store", `sqlite:${join(lab.folder, "other.sqlite")}`];
      const listen = ["--api-listen", `127.0.0.1:${PORT}`];
      const third = await lab.launch(...admin, ...other, ...listen).ended;
      expect(third.code).toBe(1);
      expect(third.stderr).toContain(`127.0.0.1:${PORT} is held by process `);
    } finally {
      await new Promise((resolve) => taken.close(resolve));
    }
  },
  TEST_MS_MAX,
);
