/**
 * `frontdesk serve`: from nothing to a guest that is answered, in one command.
 *
 * Goal: what the CloudStack-compatible API deploys is answered to its guest within a second, the
 * controller may die, and nothing is left behind, however the program ends. Method: the program
 * itself on loopback; requests signed as our own client signs; guests are addresses of loopback.
 */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Credentials, type Params, signedQuery } from "../../src/source/cloudstack/sign.ts";
import { openFolder } from "./leftovers.ts";
import { loopbackMissing } from "./loopback.ts";
import { type Program, run, start, until } from "./program.ts";
import { frontdesk } from "./router.ts";

const GUESTS = "127.0.0.1:19611";
const PASSWORDS = "127.0.0.1:19612";
const API = "127.0.0.1:19613";
const GUEST = "127.6.0.9";
const USER_DATA = "#!/bin/sh\n";
/** What a loaded machine may add to the second that is promised. ms. */
const VISIBLE_MS_MAX = 3000;
const TEST_MS_MAX = 60_000;

const lacking = loopbackMissing();

test.skipIf(lacking !== undefined)(
  "a first deploy is answered to its guest, the controller comes back, and all ends",
  check,
  TEST_MS_MAX,
);

async function check(): Promise<void> {
  using folder = openFolder("serve");
  const stateDir = join(folder.path, "state");
  await using program = serve(stateDir);
  await program.says(/controller started/);
  await program.says(/router ready/);
  // A first start is no trouble: nothing warns.
  expect(program.output()).not.toContain('"level":40');
  const secrets = join(stateDir, "admin.env");
  expect(statSync(secrets).mode & 0o777).toBe(0o600);
  const value = (name: string): string =>
    new RegExp(`^${name}=(.*)$`, "m").exec(readFileSync(secrets, "utf8"))?.[1] ?? "";
  const keys = { apiKey: value("FRONTDESK_API_KEY"), secretKey: value("FRONTDESK_SECRET_KEY") };

  // Guests wait for the router, and nobody for the controller.
  expect(nicenessOf(childOf(program.pid))).toEqual([19]);
  expect(nicenessOf(program.pid)).toEqual([0]);

  // Nobody is there yet: whoever asks is told to come again.
  expect(await ask("instance-id")).toStartWith("503");
  const id = await deploy(keys);
  const began = performance.now();
  await until("the guest to be answered", VISIBLE_MS_MAX, async () => {
    return (await ask("instance-id")) === `200 ${id}`;
  });
  console.log(`visible after ${(performance.now() - began).toFixed(0)} ms`);
  const token = value("FRONTDESK_TOKEN");
  const shown = await fetch(`http://${API}/v1/instances`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(await shown.text()).toContain(id);

  // What an operator closes is closed to the guest, and open again as fast.
  const seal = `http://${API}/v1/instances/${await networkOf(token, id)}/${id}/seal`;
  const headers = { authorization: `Bearer ${token}` };
  for (const [method, told] of [
    ["PUT", "200 "],
    ["DELETE", `200 ${USER_DATA}`],
  ] as const) {
    expect((await fetch(seal, { method, headers })).ok).toBe(true);
    await until(`${method} to show`, VISIBLE_MS_MAX, async () => {
      return (await askPath("user-data")) === told;
    });
  }

  // The controller is another process: guests do not notice its end.
  process.kill(childOf(program.pid), "SIGKILL");
  await until("the end to be named", VISIBLE_MS_MAX, () =>
    /CONTROLLER_DOWN/.test(program.output()),
  );
  expect(await ask("instance-id")).toBe(`200 ${id}`);
  await until(
    "it to be back",
    10_000,
    () => program.output().split("controller started").length > 2,
  );
  expect((await fetch(`http://${API}/openapi.json`)).status).toBe(200);

  // However it ends, its child ends too.
  const child = childOf(program.pid);
  program.signal("SIGKILL");
  await program.ended;
  await until("the child to end", 5000, () => !isAlive(child));
}

function serve(stateDir: string): Program {
  const { argv, env } = frontdesk("bun", [
    ...["serve", "--state-dir", stateDir, "--listen", GUESTS],
    ...["--password-listen", PASSWORDS, "--api-listen", API],
  ]);
  return start(argv, { env });
}

/** With the first of everything that the lab has. */
async function deploy(keys: Credentials): Promise<string> {
  const first = async (command: string, item: string, params: Params = {}): Promise<string> => {
    const listed = (await asked(keys, command, params))[item] as { id: string }[];
    return listed[0]?.id ?? "";
  };
  const { jobid } = await asked(keys, "deployVirtualMachine", {
    zoneid: await first("listZones", "zone"),
    templateid: await first("listTemplates", "template", { templatefilter: "all" }),
    serviceofferingid: await first("listServiceOfferings", "serviceoffering"),
    networkids: await first("listNetworks", "network"),
    ipaddress: GUEST,
    userdata: Buffer.from(USER_DATA).toString("base64"),
    name: "first",
  });
  let id = "";
  await until("the deployment's end", 10_000, async () => {
    const job = await asked(keys, "queryAsyncJobResult", { jobid: String(jobid) });
    id = (job.jobresult as { virtualmachine?: { id: string } })?.virtualmachine?.id ?? "";
    return job.jobstatus !== 0;
  });
  return id;
}

/** What stands under the answer's name. */
async function asked(
  keys: Credentials,
  command: string,
  params: Params,
): Promise<Record<string, unknown>> {
  const query = signedQuery(command, params, keys, Date.now() + 60_000);
  const answer = await fetch(`http://${API}/client/api?${query}`);
  const content = (await answer.json()) as Record<string, Record<string, unknown>>;
  return content[`${command.toLowerCase()}response`] ?? {};
}

async function networkOf(token: string, id: string): Promise<string> {
  const headers = { authorization: `Bearer ${token}` };
  const answer = await fetch(`http://${API}/v1/instances`, { headers });
  const { instances } = (await answer.json()) as { instances: { id: string; network: string }[] };
  return instances.find((one) => one.id === id)?.network ?? "";
}

/** `STATUS BODY` of a key, as the guest gets it. */
function ask(key: string): Promise<string> {
  return askPath(`meta-data/${key}`);
}

async function askPath(path: string): Promise<string> {
  const url = `http://${GUESTS}/latest/${path}`;
  const done = await run(["curl", "-sm", "5", "--interface", GUEST, "-w", " %{http_code}", url]);
  const [, body = "", status = ""] = /^([\s\S]*) (\d+)$/.exec(done.stdout.toString()) ?? [];
  return `${status} ${body}`;
}

function childOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return Number(children.split(" ")[0]);
}

/** Of all threads of a program, each once. @see proc(5), field 19 */
function nicenessOf(pid: number): number[] {
  const threads = readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    try {
      const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
      return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[16]);
    } catch {
      return []; // It has ended meanwhile.
    }
  });
  return [...new Set(threads)].sort((a, b) => a - b);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
