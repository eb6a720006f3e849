import { expect, test } from "bun:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { StoreError } from "../model/errors.ts";
import { errorFault } from "../source/cloudstack/testing.ts";
import { Follow, type FollowPorts } from "./follow.ts";
import { change, kept, type Lab, openLab } from "./testing.ts";

const LOG = pino({ level: "silent" });
/** So long that no poll comes by itself. ms. */
const NEVER = 3_600_000;

async function following(
  lab: Lab,
  work: (follow: Follow) => Promise<void>,
  more: Partial<FollowPorts> = {},
): Promise<void> {
  const { look, troubles } = lab;
  const ports = { look, troubles, log: LOG, pollMs: () => NEVER, random: () => 0.5, ...more };
  const follow = new Follow(ports);
  const end = new AbortController();
  const running = follow.run(end.signal);
  try {
    await until(() => follow.status.looks + follow.status.failures > 0);
    await work(follow);
  } finally {
    end.abort();
    await running;
  }
}

async function until(isSo: () => boolean | Promise<boolean>, msMax = 5000): Promise<number> {
  const begun = performance.now();
  while (!(await isSo())) {
    if (performance.now() - begun > msMax) throw new Error("it did not become so");
    await sleep(5);
  }
  return performance.now() - begun;
}

const name = async (lab: Lab, id: string): Promise<string | undefined> =>
  (await lab.store.get({ network: "net-isolated", id }))?.record.name;

test("a change is in the store within a second of a hint, named or not", async () => {
  await using lab = await openLab({ instances: 50 });
  await following(lab, async (follow) => {
    for (const [id, hinted] of [
      ["i-1", "i-1"],
      ["i-2", undefined],
    ] as const) {
      change(lab.api, id, { name: `renamed-${id}` });
      follow.hint(hinted);
      const ms = await until(async () => (await name(lab, id)) === `renamed-${id}`);
      expect(ms).toBeLessThan(1000);
    }
    await until(() => follow.status.looks > 1);
    expect(follow.status).toMatchObject({ looks: 2, looksAlone: 1 });
  });
});

test("a thousand hints are one look", async () => {
  await using lab = await openLab({ instances: 5 });
  await following(lab, async (follow) => {
    await sleep(50);
    for (let n = 0; n < 1000; n++) follow.hint();
    await until(() => follow.status.looks === 2);
    await sleep(200);
    expect(follow.status.looks).toBe(2);
  });
});

test("a hint during a look means another one", async () => {
  await using lab = await openLab({ instances: 5 });
  let onListed = (): void => {};
  let lists = 0;
  const after = async (command: string): Promise<void> => {
    // Accounts and projects have a list each: once both are read, the look is too late for more.
    if (command === "listVirtualMachines" && ++lists === 2) onListed();
  };
  const look = lab.another(undefined, after);
  await following({ ...lab, look } as Lab, async (follow) => {
    lists = 0;
    onListed = () => {
      change(lab.api, "i-1", { name: "late" });
      follow.hint();
    };
    follow.hint();
    await until(() => follow.status.looks === 3);
    expect(await name(lab, "i-1")).toBe("late");
  });
});

test("more named instances than are worth it are one look at everything", async () => {
  await using lab = await openLab({ instances: 5 });
  await following(lab, async (follow) => {
    for (let n = 0; n < 100; n++) follow.hint(`i-${n}`);
    await until(() => follow.status.looks === 2);
    expect(lab.api.count("listVirtualMachines")).toBeLessThan(10);
  });
});

test("without hints it polls", async () => {
  await using lab = await openLab({ instances: 5 });
  await following(
    lab,
    async (follow) => {
      change(lab.api, "i-1", { name: "renamed" });
      await until(async () => (await name(lab, "i-1")) === "renamed");
      expect(follow.status.looks).toBeGreaterThan(1);
    },
    { pollMs: () => 50 },
  );
});

const FAULTS: readonly [what: string, code: string, fault: (lab: Lab) => void][] = [
  ["wrong keys", "CLOUDSTACK_KEYS", ({ api }) => refuse(api)],
  [
    "a wrong clock",
    "CLOUDSTACK_CLOCK",
    ({ api }) => {
      api.ahead = 3_600_000;
    },
  ],
  [
    "a failing server",
    "CLOUDSTACK_FAILED",
    ({ api }) => {
      api.fail("listVirtualMachines", ...Array(40).fill(errorFault(530, "Internal error")));
    },
  ],
  [
    "half a page",
    "CLOUDSTACK_ANSWER",
    ({ api }) => api.fail("listVirtualMachines", ...Array(40).fill({ cut: true })),
  ],
  [
    "a server that does not answer",
    "CLOUDSTACK_TIMEOUT",
    ({ api }) => api.fail("listVirtualMachines", ...Array(40).fill({ hang: true })),
  ],
  [
    "something else at its address",
    "CLOUDSTACK_ADDRESS",
    ({ api }) => {
      const page = { status: 200, body: "<html>a login page</html>" };
      api.fail("listVirtualMachines", ...Array(40).fill(page));
    },
  ],
  [
    "no permission",
    "CLOUDSTACK_FORBIDDEN",
    ({ api }) => {
      api.forbidden.add("listVirtualMachines");
    },
  ],
];

function refuse(api: Lab["api"]): void {
  const said = "unable to verify user credentials and/or request signature";
  for (const command of ["listProjects", "listCapabilities", "listVirtualMachines"]) {
    api.fail(command, ...Array(40).fill(errorFault(401, said)));
  }
}

for (const [what, code, fault] of FAULTS) {
  test(`with ${what} the records stay, the condition says so, and it ends by itself`, async () => {
    await using lab = await openLab({ instances: 5 });
    await following(
      lab,
      async (follow) => {
        const before = await kept(lab.store);
        change(lab.api, "i-1", { name: "renamed" });
        fault(lab);
        follow.hint();
        await until(() => lab.raised().length > 0, 15_000);
        const [condition] = lab.conditions.list();
        expect(condition).toMatchObject({ code, subject: "the cloud" });
        expect(condition?.advice).not.toBe("");
        expect(await kept(lab.store)).toEqual(before);
        lab.api.faults.clear();
        lab.api.forbidden.clear();
        lab.api.ahead = 0;
        follow.reload();
        await until(() => lab.raised().length === 0);
        expect(await name(lab, "i-1")).toBe("renamed");
      },
      { backOffMsMin: 20 },
    );
  }, 30_000);
}

test("a server that is gone changes nothing, and the condition says so", async () => {
  await using lab = await openLab({ instances: 5 });
  await following(
    lab,
    async (follow) => {
      const before = await kept(lab.store);
      await lab.api[Symbol.asyncDispose]();
      follow.hint();
      await until(() => lab.raised().length > 0, 15_000);
      expect(lab.raised()).toEqual(["CLOUDSTACK_UNREACHABLE the cloud"]);
      expect(await kept(lab.store)).toEqual(before);
    },
    { backOffMsMin: 20 },
  );
}, 30_000);

test("a store that cannot be written is a condition, and is written when it can be", async () => {
  await using lab = await openLab({ instances: 5 });
  const put = lab.store.put.bind(lab.store);
  const errors = [
    [new StoreError("STORE_UNWRITABLE", "the disk is full"), "STORE_UNWRITABLE the cloud"],
    [new TypeError("a bug"), "RECONCILE_FAILED the cloud"],
  ] as const;
  await following(
    lab,
    async (follow) => {
      for (const [at, [error, condition]] of errors.entries()) {
        lab.store.put = () => Promise.reject(error);
        change(lab.api, "i-1", { name: `renamed-${at}` });
        follow.hint();
        await until(() => lab.raised().length > 0);
        expect(lab.raised()).toEqual([condition]);
        lab.store.put = put;
        await until(() => lab.raised().length === 0);
        expect(await name(lab, "i-1")).toBe(`renamed-${at}`);
      }
    },
    { backOffMsMin: 20 },
  );
});

test("a server that asks to be left alone for a while is", async () => {
  await using lab = await openLab({ instances: 5 });
  await following(lab, async (follow) => {
    change(lab.api, "i-1", { name: "renamed" });
    const said = "The given user has reached his/her account api limit, please retry after 300 ms.";
    const busy = { ...errorFault(429, said), headers: { "retry-after": "1" } };
    lab.api.fail("listVirtualMachines", busy);
    const asked = lab.api.count("listVirtualMachines");
    const begun = performance.now();
    follow.hint();
    await until(async () => (await name(lab, "i-1")) === "renamed");
    expect(performance.now() - begun).toBeGreaterThan(250);
    // Once refused, then answered of accounts and of projects: it did not insist.
    expect(lab.api.count("listVirtualMachines")).toBe(asked + 3);
    expect(lab.raised()).toEqual([]);
  });
});

test("after errors it waits longer and longer, also where hints come", async () => {
  await using lab = await openLab({ instances: 1 });
  lab.api.forbidden.add("listVirtualMachines");
  await following(
    lab,
    async (follow) => {
      const begun = performance.now();
      const hinting = setInterval(() => follow.hint(), 10);
      await sleep(1000);
      clearInterval(hinting);
      const ms = performance.now() - begun;
      // 75, 150, 300, 600 ms: by then a second has passed.
      expect(ms).toBeGreaterThan(900);
      expect(follow.status.failures).toBeLessThanOrEqual(5);
      expect(follow.status.failures).toBeGreaterThanOrEqual(3);
    },
    { backOffMsMin: 100 },
  );
});
