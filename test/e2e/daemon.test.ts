/**
 * The router as a program: what it says when it cannot start, and what signals do to it.
 */

import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { connect, type WireReply } from "../clients/wire.ts";
import { scratchFolder } from "./leftovers.ts";
import {
  copyToLoopback,
  freePort,
  LOOPBACK_ROUTER,
  loopbackMissing,
  toLoopback,
} from "./loopback.ts";
import { run, until } from "./program.ts";
import {
  frontdesk,
  launchRouter,
  RIMS,
  type Rim,
  type Router,
  type RouterOptions,
  startRouter,
} from "./router.ts";

const TEST_MS_MAX = 30_000;
const GUEST = toLoopback("10.1.1.57");
/** Nothing is under way: it has no reason to wait for its whole time of grace, 5 s. */
const STOP_MS_MAX = 2_000;
const ENDED = 1;
const MISUSED = 2;

const lacking = loopbackMissing();

for (const rim of RIMS) {
  const daemon = (name: string, body: (scene: Scene) => Promise<void>): void => {
    test.skipIf(lacking !== undefined)(
      `${name}, on the ${rim} rim`,
      async () => {
        using scene = await openScene(rim);
        await body(scene);
      },
      TEST_MS_MAX,
    );
  };

  daemon("a second router on a taken address names the port and who holds it", async (scene) => {
    await using first = await startRouter(scene.options);
    await using second = launchRouter({ ...scene.options, stateDir: `${scene.folder}/other` });
    const line = await endsWithOneLine(second, ENDED);
    expect(line).toContain(String(scene.at.port));
    expect(line).toContain(String(first.program.pid));
    expect((await ask(scene)).status).toBe(200);
  });

  daemon("an address that another program holds is named with that program", async (scene) => {
    const holder = createServer().listen(scene.at.port, LOOPBACK_ROUTER);
    try {
      await using router = launchRouter(scene.options);
      const line = await endsWithOneLine(router, ENDED);
      expect(line).toContain(String(scene.at.port));
      expect(line).toContain(String(process.pid));
    } finally {
      holder.close();
    }
  });

  daemon("SIGTERM lets a request that is under way end, and no other begin", async (scene) => {
    await using router = await startRouter(scene.options);
    using wire = await connect(scene.at);
    wire.send("GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\n");
    await new Promise((resolve) => setTimeout(resolve, 50));
    router.program.signal("SIGTERM");
    await until("the router to refuse", 5_000, () => refuses(scene));
    wire.send("\r\n");
    const reply = await wire.receive();
    expect({ status: reply.status, body: reply.body.toString() }).toEqual({
      status: 200,
      body: "5d6a7f10-3c2b-4a19-8e77-0f1e2d3c4b5a",
    });
    expect((await router.program.ended).code).toBe(0);
  });

  daemon("SIGTERM does not wait for a connection that only listens", async (scene) => {
    await using router = await startRouter(scene.options);
    using _idle = await connect(scene.at);
    router.program.signal("SIGTERM");
    const asked = Date.now();
    expect((await router.program.ended).code).toBe(0);
    expect(Date.now() - asked).toBeLessThan(STOP_MS_MAX);
  });

  daemon("SIGHUP reads the source again, and the router stays", async (scene) => {
    await using router = await startRouter(scene.options);
    const path = join(scene.databags, "vmdata.json");
    writeFileSync(path, readFileSync(path, "utf8").replaceAll("web-01", "web-02"));
    router.program.signal("SIGHUP");
    await until("the change to be seen", 2_000, async () => (await ask(scene)).body === "web-02");
    expect((await router.admin("/livez")).status).toBe(200);
  });

  daemon("a source that is malformed is one line with file and place, and 1", async (scene) => {
    const path = join(scene.databags, "vmdata.json");
    writeFileSync(path, '{\n  "10.1.1.57": [["metadata",\n');
    await using router = launchRouter(scene.options);
    const line = await endsWithOneLine(router, ENDED);
    expect(line).toContain(path);
  });

  daemon("a source that cannot be read is one line with file, and 1", async (scene) => {
    const path = join(scene.databags, "vmdata.json");
    rmSync(path);
    mkdirSync(path);
    await using router = launchRouter(scene.options);
    expect(await endsWithOneLine(router, ENDED)).toContain(path);
  });

  daemon("a source that is not there yet is waited for, and guests are told to", async (scene) => {
    const later = hide(scene.databags);
    await using router = launchRouter(scene.options);
    await router.program.says(/waiting for the source/);
    const reply = await exchange(scene);
    expect(reply).toMatchObject({ status: 503, body: Buffer.alloc(0) });
    expect(reply.headers).toContainEqual(["retry-after", "1"]);
    later.restore();
    await until("the guest to be served", 5_000, async () => (await ask(scene)).status === 200);
  });

  daemon("a source whose folder does not exist ends the program with one line", async (scene) => {
    const source = `databag:${scene.databags}.mistyped`;
    await using router = launchRouter({ ...scene.options, source });
    const line = await endsWithOneLine(router, ENDED);
    expect(line).toContain(`${scene.databags}.mistyped`);
    expect(line).toContain("does not exist");
  });

  daemon("a password that comes before the source is there is not lost", async (scene) => {
    const command = join(scene.folder, "vm_password.json.1");
    const password = "early-bird";
    // The one whose password is in no databag.
    const guest = toLoopback("10.1.1.58");
    const fields = { ip_address: guest, password, type: "vmpassword" };
    writeFileSync(command, JSON.stringify(fields));
    const later = hide(scene.databags);
    await using router = launchRouter(scene.options);
    await router.program.says(/waiting for the source/);
    const early = router.apply(command);
    // Long enough for a program to start and ask.
    await new Promise((resolve) => setTimeout(resolve, 500));
    later.restore();
    await until("the guest to be served", 5_000, async () => (await ask(scene)).status === 200);
    // It may have been refused, but not taken and forgotten.
    if ((await early).code !== 0) expect((await router.apply(command)).code).toBe(0);
    using wire = await connect({ ...scene.at, from: guest, port: scene.passwordPort });
    const read = "GET / HTTP/1.1\r\nHost: x\r\nDomU_Request: send_my_password\r\n\r\n";
    expect((await wire.exchange(read)).body.toString()).toBe(password);
  });

  daemon(
    "a YAML source with a wrong field is one line with file, line and field",
    async (scene) => {
      const path = join(scene.folder, "lab.yaml");
      writeFileSync(path, "instances:\n  - id: one\n    name: one\n    nics: nonsense\n");
      await using router = launchRouter({ ...scene.options, source: `file:${path}` });
      const line = await endsWithOneLine(router, ENDED);
      expect(line).toContain(`${path}:4`);
      expect(line).toContain("nics");
    },
  );

  daemon("wrong usage is one line, and 2", async (scene) => {
    for (const args of [
      ["--source", "carrier-pigeon:coop"],
      ["--source", scene.options.source, "--listen", "10.1.1.1"],
      ["--source", scene.options.source, "--listen", "127.0.0.1:99999"],
      [],
    ]) {
      const { argv, env } = frontdesk(rim, ["router", "--state-dir", scene.folder, ...args]);
      const done = await run(argv, { env });
      expect({ args, code: done.code }).toEqual({ args, code: MISUSED });
      expect(done.stderr).not.toMatch(/^\s+at /m);
    }
  });
}

interface Scene extends Disposable {
  readonly folder: string;
  readonly databags: string;
  /** How a guest reaches the router. */
  readonly at: { readonly host: string; readonly port: number; readonly from: string };
  readonly passwordPort: number;
  readonly options: RouterOptions;
}

async function openScene(rim: Rim): Promise<Scene> {
  const folder = scratchFolder("daemon");
  const databags = join(folder.path, "databags");
  copyToLoopback(databags);
  mkdirSync(join(folder.path, "other"));
  const at = { host: LOOPBACK_ROUTER, port: await freePort(LOOPBACK_ROUTER), from: GUEST };
  const passwordPort = await freePort(LOOPBACK_ROUTER);
  const options: RouterOptions = {
    rim,
    source: `databag:${databags}`,
    listen: [`${LOOPBACK_ROUTER}:${at.port}`],
    passwordListen: [`${LOOPBACK_ROUTER}:${passwordPort}`],
    stateDir: join(folder.path, "state"),
  };
  return {
    folder: folder.path,
    databags,
    at,
    passwordPort,
    options,
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

/** Takes the databags out of their folder, as on a router that CloudStack has not written to yet. */
function hide(databags: string): { restore(): void } {
  const aside = `${databags}.later`;
  mkdirSync(aside);
  // CloudStack writes metadata last.
  const names = readdirSync(databags).sort((a, b) => a.indexOf("vmdata") - b.indexOf("vmdata"));
  const move = (from: string, to: string): void => {
    for (const name of names) renameSync(join(from, name), join(to, name));
  };
  move(databags, aside);
  return { restore: () => move(aside, databags) };
}

/** The guest's host name, on a connection of its own. */
async function ask(scene: Scene): Promise<{ readonly status: number; readonly body: string }> {
  const { status, body } = await exchange(scene);
  return { status, body: body.toString() };
}

async function exchange(scene: Scene): Promise<WireReply> {
  using wire = await connect(scene.at);
  return await wire.exchange("GET /latest/meta-data/local-hostname HTTP/1.1\r\nHost: x\r\n\r\n");
}

async function refuses(scene: Scene): Promise<boolean> {
  try {
    using _wire = await connect(scene.at);
    return false;
  } catch {
    return true;
  }
}

/** What the program says on its way out. It must be one line without a stack trace. */
async function endsWithOneLine(router: Router, code: number): Promise<string> {
  const done = await router.program.ended;
  expect({ code: done.code, stderr: done.stderr }).toMatchObject({ code });
  expect(done.stderr).not.toMatch(/^\s+at /m);
  const lines = done.stderr.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  expect(lines).toHaveLength(1);
  return lines[0] ?? "";
}
