/**
 * Goal: the APIs are not where guests are answered, though nobody has named it. Method: networks
 * that a store knows, and a machine's addresses.
 */

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { get } from "node:http";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MemoryStore } from "../store/memory.ts";
import { openApi } from "./api/testing.ts";
import { listenApis } from "./apis.ts";
import { GuestSide } from "./guest-side.ts";

type Interfaces = NonNullable<Parameters<GuestSide["check"]>[2]>;

const HERE = {
  lo: [{ address: "127.0.0.1", internal: true }],
  eth0: [{ address: "192.0.2.10", internal: false }],
  eth1: [{ address: "10.1.1.1", internal: false }],
} as unknown as Interfaces;

test("an address in a network of guests is refused, and all addresses that include one", async () => {
  const inNetwork = /lies in a network of guests; choose an address .* or name with --guest-listen/;
  const cases: readonly (readonly [
    host: string,
    cidrs: readonly string[],
    isAuto: boolean,
    message: RegExp | null,
  ])[] = [
    ["192.0.2.10", ["10.1.1.0/24"], true, null],
    ["10.1.1.1", ["10.1.1.0/24"], false, inNetwork],
    ["10.1.1.1", ["10.1.1.0/24"], true, /lies in a network of guests; choose .* 127.0.0.1:8776$/],
    ["0.0.0.0", ["10.1.1.0/24"], false, /every address includes the guests' 10.1.1.1; choose/],
    ["::", ["10.1.1.0/24"], false, /every address includes the guests' 10.1.1.1; choose/],
    ["0.0.0.0", ["10.2.0.0/16"], false, null],
    ["0.0.0.0", [], false, null],
    [
      "0.0.0.0",
      [],
      true,
      /every address includes those of guests; choose an address .* 127.0.0.1:8776$/,
    ],
    ["::", [], true, /every address includes/],
    ["127.0.0.1", ["127.0.0.0/8"], true, null],
    ["0.0.0.0", ["127.0.0.0/8"], false, null],
  ];
  for (const [host, cidrs, isAuto, message] of cases) {
    const store = new MemoryStore();
    await store.putNetworks([{ id: "204", cidrs }]);
    const checking = new GuestSide(store, false).check({ host, port: 8776 }, isAuto, HERE);
    if (message === null) await checking;
    else await expect(checking).rejects.toThrow(message);
  }
});

test("who asks from a network of guests is one, whichever address is asked", async () => {
  const store = new MemoryStore();
  const cidrs = ["10.9.9.0/24", "fd00:9::/64", "127.0.0.0/8"];
  await store.putNetworks([{ id: "204", cidrs }]);
  const cases: readonly (readonly [
    peer: string | undefined,
    local: string | undefined,
    isRefused: boolean,
    isRefusedNamed: boolean,
  ])[] = [
    ["192.0.2.1", "192.0.2.77", false, false],
    ["10.9.9.5", "192.0.2.77", true, true],
    ["::ffff:10.9.9.5", "::ffff:192.0.2.77", true, true],
    ["fd00:9::5", "2001:db8::77", true, true],
    ["fd00:8::5", "2001:db8::77", false, false],
    // From another network, over the guests' address: that is where it is only if nobody says.
    ["192.0.2.1", "10.9.9.1", true, false],
    // The machine itself.
    ["10.9.9.1", "10.9.9.1", true, false],
    ["192.0.2.77", "192.0.2.77", false, false],
    ["fe80::1%eth1", "fe80::2%eth1", true, true],
    ["fe80::1%eth1", "2001:db8::77", true, true],
    ["2001:db8::1", "febf::2%eth1", true, true],
    ["fe80::1", "fe80::2", true, true],
    ["127.0.0.1", "127.0.0.1", false, false],
    ["127.0.0.57", "127.0.0.1", false, false],
    ["::1", "::1", false, false],
    [undefined, undefined, false, false],
  ];
  for (const [peer, local, isRefused, isRefusedNamed] of cases) {
    const asked = { ...(peer && { peer }), ...(local && { local }) };
    for (const isNamed of [false, true]) {
      const answer = await new GuestSide(store, isNamed).refuses(asked);
      expect([peer, local, isNamed, answer]).toEqual([
        ...[peer, local, isNamed],
        isNamed ? isRefusedNamed : isRefused,
      ]);
    }
  }
});

test("while the store cannot be read, guests are those that it said last", async () => {
  const store = new MemoryStore();
  await store.putNetworks([{ id: "204", cidrs: ["10.9.9.0/24"] }]);
  const side = new GuestSide(store, true);
  await side.check({ host: "192.0.2.77", port: 8776 }, false);
  await store.close();
  await sleep(1100); // As long as networks are remembered.
  expect(await side.refuses({ peer: "10.9.9.5", local: "192.0.2.77" })).toBe(true);
  expect(await side.refuses({ peer: "192.0.2.1", local: "192.0.2.77" })).toBe(false);
});

const own = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, family }) => !internal && family === "IPv4")?.address;

test.skipIf(own === undefined)(
  "a network that comes later is refused too, request by request",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "frontdesk-guest-side-"));
    const { ports, store, logged } = openApi();
    const settings = {
      ...{ listen: { host: "0.0.0.0", port: 0 }, stateDir: folder, env: {} },
      tokensFile: join(folder, "tokens"),
    };
    await using listener = await listenApis(settings, ports, undefined);
    await using named = await listenApis(
      { ...settings, guests: [{ host: "127.0.0.1", port: 8775 }] },
      ports,
      undefined,
    );
    const status = async ({ url }: { url: string }, host: string): Promise<number> =>
      (await fetch(`http://${host}:${new URL(url).port}/livez`)).status;
    expect(await status(listener, own ?? "")).toBe(200);
    await store.putNetworks([{ id: "204", cidrs: [`${own}/32`] }]);
    await sleep(1100); // As long as networks are remembered.
    expect(await status(listener, own ?? "")).toBe(403);
    expect(await status(listener, "127.0.0.1")).toBe(200);
    expect(await status(named, own ?? "")).toBe(200);
    // Wherever it asks: here at an address that is no network's.
    for (const { url } of [listener, named]) expect(await statusFrom(own ?? "", url)).toBe(403);
    expect(logged.filter((line) => line.includes("refused a guest"))).toHaveLength(2);
    rmSync(folder, { recursive: true });
  },
);

/** What `/livez` answers who asks at 127.0.0.1 from another address of this machine. */
function statusFrom(localAddress: string, url: string): Promise<number | undefined> {
  const { port } = new URL(url);
  return new Promise((resolve, reject) => {
    const asked = { host: "127.0.0.1", port, path: "/livez", localAddress, agent: false };
    get(asked, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).once("error", reject);
  });
}
