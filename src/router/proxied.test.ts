/**
 * Whom the router believes on its listeners for bridges, and what a bridge's word is worth.
 */

import { afterEach, expect, test } from "bun:test";
import { connect } from "node:net";
import { parseCidr, parseIp, parseMac } from "../model/address.ts";
import { AccessLog } from "../observe/access-log.ts";
import { Conditions } from "../observe/conditions.ts";
import { proxyHeader } from "../protocol/proxy-protocol.ts";
import { Directory } from "./directory.ts";
import { nodeRim } from "./http/node.ts";
import { parseListen } from "./listeners.ts";
import type { Passwords } from "./passwords.ts";
import { Proxied } from "./proxied.ts";
import { Traffic } from "./traffic.ts";

const GUEST = "10.1.1.5";
const NAME =
  "GET /latest/meta-data/local-hostname HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const opened: Proxied[] = [];
afterEach(async () => {
  for (const proxied of opened.splice(0)) await proxied.close(0);
});

test("a trusted bridge says who asks, and why names the bridge", async () => {
  const { proxied, lines, ask } = await open(["127.0.0.0/30"]);
  expect(await ask("metadata", GUEST, NAME)).toContain("\r\n\r\nweb");
  expect(await ask("metadata", "10.1.1.6", NAME)).toStartWith("HTTP/1.1 404");
  expect(proxied.explain(parseIp(GUEST))).toMatchObject({
    entry: { kind: "bound", instance: "web" },
    evidence: "it asks through the bridge at 127.0.0.1, which has compared its MAC address",
  });
  expect(proxied.explain(parseIp("10.1.1.7"))).toBeUndefined();
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { address: GUEST, via: "127.0.0.1", instance: "web", status: 200 },
    { address: "10.1.1.6", via: "127.0.0.1", status: 404 },
  ]);
});

test("a guest is nobody's bridge, even within a range that is trusted", async () => {
  const { ask, proxied, conditions } = await open(["127.0.0.0/8"], ["127.0.0.1"]);
  expect(await ask("metadata", GUEST, NAME)).toBe("");
  expect([...proxied.refused]).toEqual([["untrusted", 1]]);
  expect(conditions.list().map(({ code, detail }) => [code, detail])).toEqual([
    ["PROXY_REFUSED", "127.0.0.1 is not trusted"],
  ]);
});

test("in a range of guests a bridge is one that is named alone", async () => {
  const range = await open(["127.0.0.0/8"], [], true, ["127.0.0.0/24"]);
  expect(await range.ask("metadata", GUEST, NAME)).toBe("");
  expect([...range.proxied.refused]).toEqual([["untrusted", 1]]);
  const alone = await open(["127.0.0.1/32"], [], true, ["127.0.0.0/24"]);
  expect(await alone.ask("metadata", GUEST, NAME)).not.toBe("");
});

test("a condition tells of the first that was refused, and each is counted", async () => {
  const { ask, proxied, conditions } = await open(["192.0.2.0/24"]);
  for (let i = 0; i < 3; i++) await ask("metadata", GUEST, NAME);
  expect([...proxied.refused]).toEqual([["untrusted", 3]]);
  expect(conditions.list()).toHaveLength(1);
});

test("a bridge that looks whether somebody listens is closed, and that is no complaint", async () => {
  const { proxied, conditions } = await open(["127.0.0.1/32"]);
  const local = proxyHeader({
    from: { host: GUEST, port: 0 },
    to: { host: GUEST, port: 0 },
  });
  local.writeUInt8(0x20, 12);
  expect(await exchange(proxied.open[0]?.port ?? 0, [local, NAME])).toBe("");
  expect([[...proxied.refused], conditions.list()]).toEqual([[], []]);
});

test("passwords are sent and acknowledged, and never handed in", async () => {
  const { ask, calls } = await open(["127.0.0.1/32"]);
  const head = (word: string, more = "") =>
    `GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nDomU_Request: ${word}\r\n${more}\r\n`;
  expect(await ask("password", GUEST, head("send_my_password"))).toContain("secret of 10.1.1.5");
  expect(await ask("password", GUEST, head("saved_password"))).toContain("saved_password");
  expect(await ask("password", "10.1.1.6", head("send_my_password"))).not.toContain("secret");
  expect(calls).toEqual([`send ${GUEST}`, `acknowledge ${GUEST}`]);
  // Not even by who says that it is the router itself, and knows the token.
  const form = `ip=${GUEST}&password=x&token=0123456789abcdef`;
  const type = "Content-Type: application/x-www-form-urlencoded\r\n";
  const save = head("save_password", `${type}Content-Length: ${form.length}\r\n`) + form;
  await ask("password", "127.0.0.1", save.replace("GET", "POST"));
  expect(calls).toHaveLength(2);
});

test("passwords are asked for only once they are known", async () => {
  const { proxied } = await open(["127.0.0.1/32"], [], false);
  expect([proxied.open.map(({ plane }) => plane), proxied.complete]).toEqual([["metadata"], true]);
  await proxied.follow(true);
  expect(proxied.open.map(({ plane }) => plane)).toEqual(["metadata", "password"]);
});

/** Listeners on loopback before a directory that has `GUEST` and `guests`. */
async function open(
  trusted: readonly string[],
  guests: readonly string[] = [],
  arePasswordsKnown = true,
  ranges: readonly string[] = ["10.0.0.0/8"],
) {
  const conditions = new Conditions(() => 0);
  const directory = new Directory({ epochBegan() {}, hostNameCut() {} });
  directory.setNetworks([{ id: "net", cidrs: ranges }]);
  for (const [index, address] of [GUEST, ...guests].entries()) {
    const name = index === 0 ? "web" : `other${index}`;
    const binding = {
      ...{ network: "net", address: parseIp(address), epoch: 1, instance: name, name },
      mac: parseMac(`02:00:00:00:00:0${index}`),
      keys: [["local-hostname", name]] as const,
      origin: { kind: "file", place: "lab.yaml" } as const,
    };
    directory.apply([{ kind: "put", binding }]);
  }
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line), dropped: 0, flushSync() {} };
  const traffic = new Traffic(new AccessLog(sink, () => 0));
  const calls: string[] = [];
  const passwords = {
    claim() {},
    send: (_network: string, address: string) => {
      calls.push(`send ${address}`);
      return `secret of ${address}`;
    },
    pending: () => "secret",
    acknowledge: async (_network: string, address: string) => {
      calls.push(`acknowledge ${address}`);
    },
    hold: (address: string) => void calls.push(`hold ${address}`),
    offer: async () => void calls.push("offer"),
  } as unknown as Passwords;
  const proxied = new Proxied(
    [
      {
        listen: (["metadata", "password"] as const).flatMap(
          (plane) => parseListen("127.0.0.1:0", plane) ?? [],
        ),
        trusted: trusted.map(parseCidr),
      },
    ],
    {
      ...{ rim: nodeRim, directory, conditions, hasten: () => undefined },
      metadata: {
        ...{ traffic, conditions, now: () => 0, loadingSince: () => undefined },
        hosts: { mode: () => "any", allowed: () => new Set() },
      },
      password: {
        ...{ passwords, token: () => "0123456789abcdef", locate: () => undefined },
        onAnswer: () => {},
      },
      recipient: (entry) =>
        entry && { network: entry.network, address: entry.address, epoch: entry.epoch },
    },
  );
  opened.push(proxied);
  await proxied.require();
  await proxied.follow(arePasswordsKnown);
  const ask = (plane: string, guest: string, request: string): Promise<string> => {
    const port = proxied.open.find((each) => each.plane === plane)?.port ?? 0;
    const to = { host: "127.0.0.1", port };
    return exchange(port, [proxyHeader({ from: { host: guest, port: 0 }, to }), request]);
  };
  return { proxied, conditions, lines, calls, ask };
}

function exchange(port: number, pieces: readonly (string | Uint8Array)[]): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => {
      for (const piece of pieces) socket.write(piece);
    });
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}
