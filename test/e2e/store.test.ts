/**
 * A router that follows a store which another program writes.
 *
 * What is promised: a change is seen without a request in between that gets neither; a password is
 * delivered once, and the store hears of it; whatever happens to the store or its writer, guests
 * keep their last answers and a condition says why.
 */

import { expect, test } from "bun:test";
import { copyFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PART_BYTES } from "../../src/model/payload.ts";
import { loopbackMissing } from "./loopback.ts";
import { rejection, run, until } from "./program.ts";
import { frontdesk, RIMS } from "./router.ts";
import { instance, moveStore, NETWORK, openScene, type Scene, type Writer } from "./store.ts";

const TEST_MS_MAX = 60_000;
const PATIENCE_MS = 10_000;
/** What is promised is a second; a loaded machine may add to it. ms. */
const SHOWN_MS_MAX = 3000;
/** What guests see is on the router's disk after as long. ms. */
const DURABLE_MS = 300;
const [A, B, C, STRANGER] = ["127.77.0.5", "127.77.0.6", "127.77.0.7", "127.77.0.99"];
const NETWORKS = [{ id: NETWORK, cidrs: ["127.77.0.0/24"] }];
const nameOf = (id: string) => ({ network: NETWORK, id });

const lacking = loopbackMissing();

for (const rim of RIMS) {
  const follows = (name: string, body: (scene: Scene) => Promise<void>): void => {
    test.skipIf(lacking !== undefined)(
      `${name}, on the ${rim} rim`,
      async () => {
        await using scene = await openScene(rim);
        await body(scene);
      },
      TEST_MS_MAX,
    );
  };

  follows("what the store says is answered: put, changed, moved, deleted", async (scene) => {
    const writer = await scene.writer();
    await writer.ask("networks", NETWORKS);
    await writer.ask("put", instance("i-a", A, { userData: "#!/bin/sh\n" }));
    await using router = await scene.router();
    expect(await scene.get(A)).toMatchObject({ status: 200, body: "i-a" });
    expect((await scene.get(A, "/latest/user-data")).body).toBe("#!/bin/sh\n");
    const large = "x".repeat(100_000);
    await writer.ask("put", instance("i-a", A, { userData: large }));
    await scene.answers(A, large, "/latest/user-data");
    // The address goes to another instance, whatever is asked meanwhile.
    await writer.ask("delete", nameOf("i-a"));
    await scene.becomes(A, 404);
    expect(await scene.get(A)).toMatchObject({ status: 404, retryAfter: undefined });
    await writer.ask("put", instance("i-b", A));
    await scene.answers(A, "i-b");
    expect((await scene.get(A, "/latest/user-data")).body).toBe("");
    const why = JSON.parse((await router.admin(`/why?ip=${A}`)).body);
    expect(why).toMatchObject({ instance: "i-b", record: `store:sqlite:${scene.path}` });
  });

  follows("who is not known yet is told to wait, and is answered at once when it is", async (s) => {
    const writer = await s.writer();
    await writer.ask("networks", NETWORKS);
    await using router = await s.router();
    expect(await s.get(STRANGER)).toEqual({ status: 503, body: "", retryAfter: "1" });
    const why = JSON.parse((await router.admin(`/why?ip=${STRANGER}`)).body);
    expect(why).toMatchObject({ identity: "unknown", network: NETWORK, reply: { status: 503 } });
    expect(why.reason).toContain("30 s");
    // Of no network.
    expect((await s.get("127.78.0.5")).status).toBe(404);
    expect(await s.password(STRANGER, "send_my_password")).toBe("saved_password");
    await writer.ask("put", instance("i-s", STRANGER));
    await s.answers(STRANGER, "i-s");
  });

  follows("a password is delivered once, and the store hears of it", async (scene) => {
    const writer = await scene.writer();
    await writer.ask("networks", NETWORKS);
    const secret = (id: string, password: string) => ({ password: { id, password } });
    await writer.ask("put", instance("i-a", A, secret("s-1", "first")));
    {
      await using _router = await scene.router();
      expect(await scene.password(A, "send_my_password")).toBe("first");
      expect(await scene.password(A, "send_my_password")).toBe("first");
      await scene.password(A, "saved_password");
      expect(await scene.password(A, "send_my_password")).toBe("saved_password");
      await acknowledged(writer, "i-a");
      // A reset to the same text is another password.
      await writer.ask("put", instance("i-a", A, secret("s-2", "first")));
      await until("the second password", PATIENCE_MS, async () => {
        return (await scene.password(A, "send_my_password")) === "first";
      });
      // The store goes away before it can be told.
      await writer.kill();
      moveStore(scene.path, `${scene.path}.away`);
      await scene.holds(_router, "STORE_MISSING");
      await scene.password(A, "saved_password");
    }
    await using router = scene.launch();
    await scene.answers(A, "i-a");
    await until("the password port", PATIENCE_MS, async () => {
      const answer = await scene.password(A, "send_my_password").catch(() => undefined);
      return answer === "saved_password";
    });
    moveStore(`${scene.path}.away`, scene.path);
    await scene.holds(router, "STORE_MISSING", false);
    await acknowledged(await scene.writer(), "i-a");
    expect(await scene.password(A, "send_my_password")).toBe("saved_password");
  });

  follows("what is sealed is closed within a second, and open again as fast", async (scene) => {
    const writer = await scene.writer();
    await writer.ask("networks", NETWORKS);
    const large = "z".repeat(100_000);
    const password = { id: "s-1", password: "first" };
    const open = instance("i-a", A, { userData: large, password });
    const closed = { ...open, sealedIncarnation: 1 };
    await writer.ask("put", open);
    await writer.ask("put", instance("i-b", B));
    const userData = async () => {
      const { status, body } = await scene.get(A, "/latest/user-data");
      return [status, body];
    };
    const listing = async (guest: string) => (await scene.get(guest, "/latest/meta-data/")).body;
    const until1s = async (expected: readonly unknown[]): Promise<void> => {
      const begun = performance.now();
      await until("the seal to show", PATIENCE_MS, async () => {
        return Bun.deepEquals(await userData(), expected);
      });
      expect(performance.now() - begun).toBeLessThan(SHOWN_MS_MAX);
    };
    {
      await using router = await scene.router();
      expect(await userData()).toEqual([200, large]);
      const keys = await listing(A);
      await writer.ask("put", closed);
      await until1s([200, ""]);
      // As an instance that never had any.
      expect(await scene.get(A, "/latest/user-data")).toEqual(
        await scene.get(B, "/latest/user-data"),
      );
      expect([await listing(A), await scene.get(A, "/latest/")]).toEqual([
        ...[keys, await scene.get(B, "/latest/")],
      ]);
      expect((await scene.get(A)).body).toBe("i-a");
      expect(await scene.password(A, "send_my_password")).toBe("saved_password");
      await scene.password(A, "saved_password");
      const why = JSON.parse((await router.admin(`/why?ip=${A}&path=/latest/user-data`)).body);
      expect(why).toMatchObject({
        ...{ sealed: true, password: "none", reply: { status: 200, bytes: 0 } },
        reason: expect.stringContaining("an operator has closed its user data"),
        advice: `install it anew, or: frontdesk instances open i-a --network ${NETWORK}`,
      });
      const payload = `/latest/payloads/${"a".repeat(64)}/0`;
      const shut = JSON.parse((await router.admin(`/why?ip=${A}&path=${payload}`)).body);
      expect(shut).toMatchObject({
        ...{ reply: { status: 404 }, advice: why.advice },
        reason: expect.stringContaining("closed its payloads"),
      });
      const admin = ["--admin", `unix:${join(scene.folder, "state/admin.sock")}`];
      const { argv, env } = frontdesk(rim, ["why", A, "/latest/user-data", ...admin]);
      const said = (await run(argv, { env })).stdout.toString();
      expect(said).toMatch(/^password {2}none is given: the instance is sealed$/m);
      expect(said).toMatch(/^because {3}the instance is sealed: /m);
      const other = JSON.parse((await router.admin(`/why?ip=${B}&path=/latest/user-data`)).body);
      expect(other).toMatchObject({ sealed: false, reason: expect.stringContaining("is bound") });
      await writer.ask("put", open);
      await until1s([200, large]);
      expect(await scene.password(A, "send_my_password")).toBe("first");
      await writer.ask("put", closed);
      await until1s([200, ""]);
      await writer.kill();
      moveStore(scene.path, `${scene.path}.away`);
      await sleep(DURABLE_MS);
      // As little is left of it as where power is lost.
      router.program.signal("SIGKILL");
      await router.program.ended;
    }
    await using router = scene.launch();
    await scene.answers(A, "i-a");
    await scene.holds(router, "STORE_MISSING");
    expect(await userData()).toEqual([200, ""]);
    await until("the password port", PATIENCE_MS, async () => {
      const answer = await scene.password(A, "send_my_password").catch(() => undefined);
      return answer === "saved_password";
    });
    moveStore(`${scene.path}.away`, scene.path);
    await scene.holds(router, "STORE_MISSING", false);
    expect(await userData()).toEqual([200, ""]);
    const again = await scene.writer();
    expect(await again.ask("password", nameOf("i-a"))).toEqual({ password: "s-1" });
    await again.ask("put", { ...closed, incarnation: 2 });
    await until1s([200, large]);
    expect(await scene.password(A, "send_my_password")).toBe("first");
    await scene.password(A, "saved_password");
    await acknowledged(again, "i-a");
  });

  follows("with the store away, damaged or sealed otherwise, the last answers stay", async (s) => {
    const writer = await s.writer();
    await writer.ask("networks", NETWORKS);
    const large = "y".repeat(100_000);
    await writer.ask("put", instance("i-a", A, { userData: large }));
    await (await s.router())[Symbol.asyncDispose]();
    await writer.kill();
    moveStore(s.path, `${s.path}.away`);
    await using router = s.launch();
    await s.answers(A, "i-a");
    expect((await s.get(A, "/latest/user-data")).body).toBe(large);
    await s.holds(router, "STORE_MISSING");
    writeFileSync(
      s.path,
      "this is no store at all, and long enough to be read as a header".repeat(9),
    );
    await s.holds(router, "STORE_UNREADABLE");
    expect(await s.get(A)).toMatchObject({ status: 200, body: "i-a" });
    rmSync(s.path);
    moveStore(`${s.path}.away`, s.path);
    await s.holds(router, "STORE_UNREADABLE", false);
    await until("the router to be ready", PATIENCE_MS, async () => {
      return (await router.admin("/readyz")).status === 200;
    });
    // Another key: what to do stands in the condition.
    const other = join(s.folder, "other.key");
    writeFileSync(other, Buffer.alloc(32, 1), { mode: 0o600 });
    const stateDir = join(s.folder, "other");
    await router[Symbol.asyncDispose]();
    await using locked = s.launch({ stateDir, more: ["--seal-key", other] });
    await until("the router to listen", PATIENCE_MS, async () => {
      return (await s.get(A).catch(() => undefined))?.status === 503;
    });
    await s.holds(locked, "STORE_KEY");
    expect((await locked.admin("/conditions")).body).toContain("--seal-key");
  });

  follows("a payload is its instance's alone, and stays when the store is gone", async (s) => {
    const writer = await s.writer();
    await writer.ask("networks", NETWORKS);
    const content = Array.from({ length: 300_000 }, (_, line) => `${line}`).join("\n");
    const { sha256, bytes } = await writer.ask("payload", content);
    await writer.ask("put", instance("i-a", A, { payloads: [{ sha256, bytes }] }));
    await writer.ask("put", instance("i-b", B));
    const path = (part: number): string => `/latest/payloads/${sha256}/${part}`;
    const parts = [content.slice(0, PART_BYTES), content.slice(PART_BYTES)];
    const check = async (): Promise<void> => {
      for (const [part, body] of parts.entries()) {
        const answer = await s.get(A, path(part));
        expect([part, answer.status, answer.body === body]).toEqual([part, 200, true]);
        expect(await s.get(B, path(part))).toMatchObject({ status: 404, body: "" });
        // Whoever is not known may be told to wait.
        const { status, body: none } = await s.get(STRANGER, path(part));
        expect([[404, 503].includes(status), none]).toEqual([true, ""]);
      }
      expect((await s.get(A, path(parts.length))).status).toBe(404);
    };
    const router = await s.router();
    await check();
    const why = JSON.parse((await router.admin(`/why?ip=${B}&path=${path(0)}`)).body);
    expect(why).toMatchObject({ reason: expect.stringContaining("no such payload") });
    await writer.kill();
    moveStore(s.path, `${s.path}.away`);
    await check();
    await router[Symbol.asyncDispose]();
    await using again = s.launch();
    await s.answers(A, "i-a");
    await s.holds(again, "STORE_MISSING");
    await check();
  });

  follows("a writer that is killed while it writes costs nothing that it promised", async (s) => {
    let running = await s.writer();
    await running.ask("networks", NETWORKS);
    await using _router = await s.router();
    expect(await rejection(s.writer())).toContain("written by another program");
    const path = "/latest/meta-data/round";
    for (let kill = 0; kill < 3; kill++) {
      if (kill > 0) running = await s.writer();
      const done = running.ask("storm", [instance("i-a", A), instance("i-b", B)], 100_000);
      done.catch(() => {});
      await until("some writes", PATIENCE_MS, () => running.said.length > 300 + 50 * kill);
      await running.kill();
      const written = running.said.flatMap(({ written }) => written ?? []).map(Number);
      const [older, last] = written.slice(-2);
      // It may have written one more than it could say; of two records in turn, the older one.
      for (const [guest, promised] of [[A, Number(last)] as const, [B, Number(older)] as const]) {
        await until(`${guest} to be told ${promised}`, PATIENCE_MS, async () => {
          const round = Number((await s.get(guest, path)).body);
          return round === promised || round === promised + 1;
        });
      }
    }
  });

  follows("networks with the same addresses answer nobody, or by a router each", async (s) => {
    const writer = await s.writer();
    const blue = { id: "blue", cidrs: ["127.77.0.0/28"] };
    await writer.ask("put", instance("i-red", A, { userData: "red\n" }));
    await writer.ask("put", instance("i-blue", A, { network: "blue", userData: "blue\n" }));
    await writer.ask("put", instance("i-b", B, { network: "blue" }));
    {
      await using router = await s.router();
      expect(await s.get(A)).toMatchObject({ status: 404, retryAfter: undefined });
      await s.holds(router, "ADDRESS_CONFLICT");
      expect((await s.get(B)).body).toBe("i-b");
      await writer.ask("networks", [...NETWORKS, blue]);
      await s.becomes(B, 404);
      await s.holds(router, "NETWORKS_OVERLAP");
      await s.holds(router, "ADDRESS_CONFLICT", false);
      const why = JSON.parse((await router.admin(`/why?ip=${A}`)).body);
      expect(why).toMatchObject({ identity: "withheld" });
      expect(why.reason).toContain("two networks have it");
      await writer.ask("networks", NETWORKS);
      await s.answers(A, "red\n", "/latest/user-data");
      await s.holds(router, "NETWORKS_OVERLAP", false);
      await writer.ask("networks", [...NETWORKS, blue]);
      await s.becomes(A, 404);
    }
    for (const [network, id] of [[NETWORK, "i-red"] as const, ["blue", "i-blue"] as const]) {
      await using router = await s.router({ network });
      expect((await s.get(A)).body).toBe(id);
      expect((await s.get(B)).body === "i-b").toBe(network === "blue");
      await s.holds(router, "NETWORKS_OVERLAP", false);
    }
    await using router = await s.router({ network: "grey" });
    await s.holds(router, "NETWORK_UNKNOWN");
    expect((await s.get(A)).status).toBe(404);
    await writer.ask("networks", [...NETWORKS, blue, { id: "grey", cidrs: [] }]);
    await s.holds(router, "NETWORK_UNKNOWN", false);
  });

  follows(
    "a store that is replaced is followed, and what it lacks stays for a while",
    async (s) => {
      const first = await s.writer();
      await first.ask("networks", NETWORKS);
      for (const [id, address] of [["i-a", A] as const, ["i-b", B] as const, ["i-c", C] as const]) {
        await first.ask("put", instance(id, address));
      }
      await using router = await s.router();
      await first.kill();
      copyFileSync(s.path, `${s.path}.copy`);
      moveStore(s.path, `${s.path}.aside`);
      const second = await s.writer();
      await second.ask("networks", NETWORKS);
      await s.holds(router, "STORE_REPLACED");
      // B's address has another instance there; A's is as it was, C's nobody has named yet.
      await second.ask("put", instance("i-x", B));
      await s.answers(B, "i-x");
      await second.ask("put", instance("i-a", A));
      await sleep(100);
      expect((await s.get(A)).body).toBe("i-a");
      expect((await s.get(C)).body).toBe("i-c");
      await second.ask("put", instance("i-y", "127.77.0.8"));
      await s.answers("127.77.0.8", "i-y");
    },
  );
}

/** Until the store has no password for an instance. */
async function acknowledged(writer: Writer, id: string): Promise<void> {
  await until("the store to hear of it", PATIENCE_MS, async () => {
    return (await writer.ask("password", nameOf(id))).password === "none";
  });
}
