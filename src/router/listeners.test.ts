import { afterEach, expect, test } from "bun:test";
import { connect } from "node:net";
import { parseIp } from "../model/address.ts";
import { Conditions } from "../observe/conditions.ts";
import { bunRim } from "./http/bun.ts";
import { nodeRim } from "./http/node.ts";
import type { Rim } from "./http/rim.ts";
import { Listeners, type ListenTarget, type Plane, parseListen } from "./listeners.ts";

const HOST = parseIp("127.0.0.1");
/** TEST-NET-1 (RFC 5737): nobody's address. */
const ELSEWHERE = parseIp("192.0.2.1");

const opened: Listeners[] = [];
afterEach(async () => {
  for (const listeners of opened.splice(0)) await listeners.close(0);
});

test("both planes may ask for a free port of one address", async () => {
  const { listeners } = make();
  await listeners.require([target("metadata", HOST, 0)]);
  await listeners.probe([target("password", HOST, 0)]);
  expect(listeners.open.map(({ plane }) => plane)).toEqual(["metadata"]);
  await listeners.follow([target("metadata", HOST, 0), target("password", HOST, 0)]);
  const ports = listeners.open.map(({ port }) => port);
  expect([new Set(ports).size, ports.includes(0)]).toEqual([2, false]);
});

for (const rim of [bunRim, nodeRim]) {
  test(`a port that is only probed answers nobody (${rim.name})`, async () => {
    let asked = false;
    const heard: string[] = [];
    const connected: Promise<unknown>[] = [];
    // A guest that asks while the port is open for a moment.
    const eager: Rim = {
      name: rim.name,
      async listen(options) {
        const listener = await rim.listen(options);
        const { port } = listener.at as { port: number };
        const socket = connect(port, HOST, () => socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        socket.on("data", (bytes) => heard.push(bytes.toString()));
        connected.push(new Promise((resolve) => socket.on("error", resolve).on("close", resolve)));
        await Bun.sleep(100);
        return listener;
      },
    };
    const handler = () => {
      asked = true;
      return { status: 200, body: "secret" };
    };
    const handlers = { metadata: handler, password: handler };
    const listeners = new Listeners({ rim: eager, handlers, conditions: new Conditions(() => 0) });
    opened.push(listeners);
    await listeners.probe([target("password", HOST, 0)]);
    await Promise.all(connected);
    expect([asked, heard]).toEqual([false, []]);
  });
}

test("an address that is not there is a condition until it is there or not wanted", async () => {
  const { listeners, conditions } = make();
  const here = target("metadata", HOST, 0);
  await listeners.follow([here, target("metadata", ELSEWHERE, 80)]);
  expect(conditions.list().map(({ code }) => code)).toEqual(["LISTEN_FAILED"]);
  expect([listeners.open.length, listeners.complete]).toEqual([1, false]);
  await listeners.follow([here]);
  expect([conditions.list().length, listeners.complete]).toEqual([0, true]);
});

test("what is wanted no longer is closed, and the rest stays open", async () => {
  const { listeners } = make();
  await listeners.follow([target("metadata", HOST, 0), target("password", HOST, 0)]);
  const [metadata] = listeners.open;
  await listeners.follow([target("metadata", HOST, 0)]);
  expect(listeners.open).toEqual([metadata as ListenTarget]);
});

test("ADDR:PORT is taken in one spelling, and nothing else is", () => {
  expect(parseListen("10.1.1.1:80", "metadata")).toEqual(
    target("metadata", parseIp("10.1.1.1"), 80),
  );
  expect(parseListen("[FD00::0:1]:80", "metadata")?.host).toBe(parseIp("fd00::1"));
  for (const text of ["", "80", ":80", "10.1.1.1", "10.1.1.1:", "10.1.1.1:99999", "host:80"]) {
    expect(parseListen(text, "metadata"), text).toBeUndefined();
  }
  for (const text of ["fd00::1:80", "[10.1.1:80", "010.1.1.1:80", "10.1.1.1:80:80", "[]:80"]) {
    expect(parseListen(text, "metadata"), text).toBeUndefined();
  }
});

function make(): { listeners: Listeners; conditions: Conditions } {
  const conditions = new Conditions(() => 0);
  const handler = () => ({ status: 404 });
  const handlers = { metadata: handler, password: handler };
  const listeners = new Listeners({ rim: bunRim, handlers, conditions });
  opened.push(listeners);
  return { listeners, conditions };
}

function target(plane: Plane, host: ReturnType<typeof parseIp>, port: number): ListenTarget {
  return { plane, host, port };
}
