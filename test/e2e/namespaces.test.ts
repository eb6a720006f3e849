/**
 * Two networks with the same addresses never meet: one router program, a namespace for each.
 *
 * The program runs in the namespace of a lab of its own, and enters those of two others.
 */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeDatabags } from "./databags.ts";
import { asks } from "./firewall.ts";
import { type Lab, labMissing, openLab, type Place } from "./lab.ts";
import { until } from "./program.ts";
import { launchRouter, RIMS, type Rim, type Router } from "./router.ts";

const ROUTER = "10.1.1.1";
const SAME = "10.1.1.11";
const PATH = "/latest/meta-data/instance-id";
/** What a router of a namespace may take. MiB. */
const RSS_MIB_MAX = 45;
const READY_MS_MAX = 20_000;
const TEST_MS_MAX = 90_000;

const lacking = labMissing(["curl"]);

for (const rim of RIMS) {
  const namespaces = (name: string, body: (scene: Scene) => Promise<void>): void => {
    test.skipIf(lacking !== undefined)(
      `${name}, on the ${rim} rim`,
      async () => {
        await using scene = await open(rim);
        await body(scene);
      },
      TEST_MS_MAX,
    );
  };

  namespaces("two tenants with the same addresses see only their own", async (scene) => {
    const { red, blue, router } = scene;
    for (let i = 0; i < 5; i++) {
      const both = [red, blue].map((guest) => asks(guest, `http://${ROUTER}${PATH}`));
      expect(await Promise.all(both)).toEqual(["i-red", "i-blue"]);
    }
    expect(await asks(red, `http://${ROUTER}/latest/meta-data/`)).toBe(
      "instance-id\nlocal-ipv4\npublic-keys\nred\n",
    );

    const why = await router.admin(`/why?ip=${SAME}&path=${PATH}`);
    expect(why.status).toBe(400);
    expect(why.body).toContain("--network red or blue");
    const named = await router.admin(`/why?ip=${SAME}&path=${PATH}&network=blue`);
    expect(JSON.parse(named.body)).toMatchObject({ instance: "i-blue" });

    const password = JSON.stringify({ type: "vmpassword", ip_address: SAME, password: "s3cret" });
    expect((await router.post("/apply?name=vm_password.json", password)).status).toBe(400);
    expect((await router.post("/apply?name=x&network=red", password)).status).toBe(200);
    const asked = `http://${ROUTER}:8080/`;
    const fetch = ["curl", "-gsm", "5", "-H", "DomU_Request: send_my_password", asked];
    expect((await blue.run(fetch)).stdout.toString().trim()).toBe("saved_password");
    expect((await red.run(fetch)).stdout.toString().trim()).toBe("s3cret");

    const metrics = (await router.admin("/metrics")).body;
    for (const name of scene.names) {
      expect(metrics).toContain(`frontdesk_router_bindings{namespace="${name}"} 1`);
    }
    expect(metrics.match(/# TYPE frontdesk_router_bindings /g)?.length).toBe(1);
  });

  namespaces("a router that is killed comes back, and the other does not notice", async (scene) => {
    const { red, blue, router } = scene;
    const [killed] = await namespacesOf(router);
    process.kill(killed?.pid ?? 0, "SIGKILL");
    await until("the condition", 5_000, async () =>
      (await router.admin("/conditions")).body.includes("NAMESPACE_DOWN"),
    );
    expect(await asks(blue, `http://${ROUTER}${PATH}`)).toBe("i-blue");
    await until("the router to be back", READY_MS_MAX, async () => {
      return (await asks(red, `http://${ROUTER}${PATH}`)) === "i-red";
    });
    await until("the condition to be over", 10_000, async () => {
      return !(await router.admin("/conditions")).body.includes("NAMESPACE_DOWN");
    });
  });

  namespaces("no router is left when the program is killed", async ({ router }) => {
    const pids = (await namespacesOf(router)).map(({ pid }) => pid);
    expect(pids.length).toBe(2);
    router.program.signal("SIGKILL");
    await until("the routers to end", 15_000, () => pids.every((pid) => !isThere(pid)));
  });
}

test.skipIf(lacking !== undefined || process.env.FRONTDESK_PROGRAM !== undefined)(
  `the router of a namespace takes ${RSS_MIB_MAX} MiB at most, in the binary`,
  async () => {
    process.env.FRONTDESK_PROGRAM = join(import.meta.dirname, "../../dist/frontdesk");
    try {
      await using scene = await open("bun");
      await until("the start to have settled", 20_000, async () => {
        const sizes = (await namespacesOf(scene.router)).map(({ pid }) => rssMib(pid));
        return sizes.length === 2 && sizes.every((size) => size <= RSS_MIB_MAX);
      });
    } finally {
      delete process.env.FRONTDESK_PROGRAM;
    }
  },
  TEST_MS_MAX,
);

interface Scene extends AsyncDisposable {
  readonly red: Place;
  readonly blue: Place;
  readonly names: readonly string[];
  readonly router: Router;
}

async function open(rim: Rim): Promise<Scene> {
  const labs: Lab[] = [];
  const close = async (): Promise<void> => {
    for (const lab of labs) await lab[Symbol.asyncDispose]();
  };
  try {
    const mac = "02:00:00:00:00:01";
    for (let i = 0; i < 2; i++) labs.push(await openLab({ guests: [{ mac, address: SAME }] }));
    labs.push(await openLab({ guests: [] }));
    const [red, blue, home] = labs as [Lab, Lab, Lab];
    const networks = [
      { id: "red", lab: red },
      { id: "blue", lab: blue },
    ];
    for (const { id, lab } of networks) {
      writeDatabags(join(lab.folder, "cloudstack"), {
        ...{ router: ROUTER, prefix: 24 },
        instances: {
          [SAME]: [
            ["metadata", "instance-id", `i-${id}`],
            ["metadata", "local-ipv4", SAME],
            ["metadata", id, "here"],
          ],
        },
      });
    }
    const config = join(home.folder, "frontdesk.yaml");
    const lines = networks.map(
      ({ id, lab }) =>
        `  - {id: ${id}, cidrs: [10.1.1.0/24], netns: ${lab.router.name}, ` +
        `source: "databag:${lab.folder}/cloudstack"}\n`,
    );
    writeFileSync(config, `networks:\n${lines.join("")}`);
    const router = launchRouter({
      ...{ rim, source: "", listen: [], stateDir: join(home.folder, "state"), place: home.router },
      command: (argv) => [
        ...argv.filter((word, at) => !isSource(argv, word, at)),
        "--config",
        config,
      ],
    });
    await until("both routers to be ready", READY_MS_MAX, async () => {
      const left = await Promise.race([router.program.ended, undefined]);
      if (left !== undefined) throw new Error(`it ended with ${left.code}: ${left.stderr}`);
      return (await router.admin("/readyz").catch(() => undefined))?.status === 200;
    });
    return {
      ...{ red: red.guests[0] as Place, blue: blue.guests[0] as Place, router },
      names: networks.map(({ lab }) => lab.router.name),
      async [Symbol.asyncDispose]() {
        await router[Symbol.asyncDispose]();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The configuration file says where instances come from. */
function isSource(argv: readonly string[], word: string, at: number): boolean {
  return word === "--source" || argv[at - 1] === "--source";
}

async function namespacesOf(router: Router): Promise<readonly { readonly pid: number }[]> {
  return JSON.parse((await router.admin("/status")).body).namespaces;
}

function isThere(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

function rssMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}
