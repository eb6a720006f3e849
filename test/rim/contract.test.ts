/**
 * What every rim promises, on the wire: the same suite for Bun, for this machine's Node.js, and
 * for Debian 12's Node 18 where `scripts/test.mjs` could fetch it.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { HELD_BYTES_MAX } from "../../src/router/http/shared-body.ts";
import { bundleServer, RUNTIMES, removeBundle, type Server, start } from "./runtimes.ts";

const MIB = 1024 * 1024;
const CROWD = 1000;
/** What a flood may cost: replies in the kernel's and the runtime's buffers, and garbage. */
const FLOOD_MIB_MAX = 100;
/** What the kernel allows at most. */
const QUEUE_MAX = Number(readFileSync("/proc/sys/net/core/somaxconn", "utf8"));

beforeAll(bundleServer);
afterAll(removeBundle);

for (const runtime of RUNTIMES) {
  const { missing } = runtime;
  if (missing) console.log("skipped: the rim on Node 18, because .cache/node18 is not there");
  describe.skipIf(missing)(`the rim on ${runtime.name}`, () => {
    let server: Server;
    beforeAll(async () => {
      server = await start(runtime);
    });
    afterAll(async () => {
      await server.stop();
      expect(await server.complaints()).toBe("");
    });

    test("sends a body as it is, with its length and type", async () => {
      const reply = await server.ask("GET /text HTTP/1.1\r\nHost: x\r\n\r\n");
      expect(reply.status).toBe(200);
      expect(reply.body.toString()).toBe("h\u00e9llo");
      expect(reply.fields).toMatchObject({
        "content-length": "6",
        "content-type": "text/plain; charset=utf-8",
        etag: '"abc"',
      });
      expect(reply.fields["content-encoding"]).toBeUndefined();
      expect(reply.fields["transfer-encoding"]).toBeUndefined();
      const binary = await server.ask("GET /binary HTTP/1.1\r\nHost: x\r\n\r\n");
      expect([...binary.body]).toEqual([0, 31, 139, 255, 10]);
      expect(binary.fields["content-type"]).toBe("application/octet-stream");
    });

    test("sends length 0 for an empty body, and header and body in one write", async () => {
      const empty = await server.ask("GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
      expect([empty.status, empty.fields["content-length"], empty.body.length]).toEqual([
        200,
        "0",
        0,
      ]);
      const text = await server.ask("GET /text HTTP/1.1\r\nHost: x\r\n\r\n");
      expect(text.segments).toBe(1);
    });

    test("answers HEAD with the headers of GET and no body", async () => {
      const head = await server.ask("HEAD /text HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      expect([head.status, head.fields["content-length"], head.body.length]).toEqual([200, "6", 0]);
    });

    test("sends the statuses and their fields with empty bodies", async () => {
      const ask = (path: string) => server.ask(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      expect(await ask("/not-modified")).toMatchObject({ status: 304, fields: { etag: '"abc"' } });
      expect(await ask("/refused")).toMatchObject({ status: 405, fields: { allow: "GET, HEAD" } });
      expect(await ask("/not-yet")).toMatchObject({ status: 503, fields: { "retry-after": "1" } });
      for (const path of ["/not-modified", "/refused", "/not-yet"]) {
        expect((await ask(path)).body.length).toBe(0);
      }
    });

    test("turns every exception into 500 with an empty body", async () => {
      for (const path of ["/throw", "/throw-now", "/stored-broken"]) {
        const reply = await server.ask(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
        expect([path, reply.status, reply.body.toString()]).toEqual([path, 500, ""]);
        expect(reply.fields["content-type"] ?? "text/plain").not.toContain("html");
      }
    });

    test("reads stored bodies", async () => {
      const reply = await server.ask("GET /stored HTTP/1.1\r\nHost: x\r\n\r\n");
      expect([...reply.body]).toEqual([1, 2, 3]);
    });

    test("hands over method, target, peer and headers, whatever the Host header says", async () => {
      const seen = async (head: string) => {
        const reply = await server.ask(`${head}\r\n\r\n`);
        return reply.status === 200 ? JSON.parse(reply.body.toString()) : reply.status;
      };
      expect(await seen("GET /a/b?c=1 HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-one: 2")).toEqual({
        method: "GET",
        target: "/a/b?c=1",
        peer: "127.0.0.1",
        x: "1, 2",
      });
      for (const host of [
        "169.254.169.254",
        "a b",
        "evil.example:80",
        "[::1]:8",
        "x@y",
        "/",
        "a/b",
      ]) {
        const got = await seen(`GET /a HTTP/1.1\r\nHost: ${host}`);
        if (got !== 400) expect([host, got.target]).toEqual([host, "/a"]);
      }
      expect(await seen("GET /a HTTP/1.0")).toMatchObject({ target: "/a" });
      expect(await seen("GET http://other.example/a HTTP/1.1\r\nHost: x")).toMatchObject({
        target: "/a",
      });
      expect(await seen("OPTIONS * HTTP/1.1\r\nHost: x").then((got) => got.status ?? 200)).toBe(
        200,
      );
      for (const method of ["POST", "PUT", "DELETE", "PATCH", "TRACE"]) {
        expect(await seen(`${method} /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0`)).toMatchObject({
          method,
        });
      }
    });

    test("keeps a connection for HTTP/1.1, closes it for HTTP/1.0 and when asked", async () => {
      const line = "GET /text HTTP/1.1\r\nHost: x\r\n\r\n";
      const two = await server.raw(
        line + line + line.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
      );
      expect(two.text.match(/HTTP\/1\.1 200/g)?.length).toBe(3);
      expect(two.text.match(/connection: close/gi)?.length).toBe(1);
      expect(two.closed).toBe(true);
      const old = await server.raw("GET /text HTTP/1.0\r\n\r\n");
      expect([old.text.includes("200 OK"), old.closed]).toEqual([true, true]);
      expect(old.text).not.toMatch(/transfer-encoding/i);
    });

    test("answers malformed requests with an empty 4xx or 5xx and a close, and reads no further", async () => {
      for (const junk of [
        "junk\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost : x\r\n\r\n",
        "GET /text HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /text HTTP/1.1\r\nX: a\0b\r\n\r\n",
        "GET /text HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET /text HTTP/1.1\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "GET /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \r\n\r\n",
        "GET /text HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        `GET /text HTTP/1.1\r\nHost: x\r\n${"X: y\r\n".repeat(201)}\r\n`,
        "GET gopher://x/text HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET text HTTP/1.1\r\nHost: x\r\n\r\n",
        "BREW /text HTTP/1.1\r\nHost: x\r\n\r\n",
        "get /text HTTP/1.1\r\nHost: x\r\n\r\n",
        `GET /${"x".repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
        `GET /text HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(100_000)}\r\n\r\n`,
      ]) {
        const reply = await server.raw(`${junk}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`);
        const what = JSON.stringify(junk.slice(0, 70));
        expect(`${what} ${reply.text}`).not.toContain("smuggled");
        expect([what, reply.closed]).toEqual([what, true]);
        if (reply.text !== "") {
          // One status line and nothing of the request, whoever of the two wrote it.
          expect(`${what} ${reply.text}`).toMatch(/ HTTP\/1\.[01] [45]\d\d [\s\S]*\r\n\r\n$/);
          expect([what, reply.text.split("HTTP/1.").length]).toEqual([what, 2]);
        }
      }
    });

    test("says nothing about malformed requests on its standard error", async () => {
      const own = await start(runtime);
      for (let round = 0; round < 3; round++) {
        const socket = connect({ host: "127.0.0.1", port: own.port });
        socket.on("error", () => {});
        for (const junk of ["GET / HTTP/1.1\r\nno colon\r\n\r\n", "more\0\r\n\r\n", "\0\0\r\n"]) {
          socket.write(junk);
          await Bun.sleep(20);
        }
        socket.end();
        await Bun.sleep(20);
      }
      expect(await own.stop()).toBe(0);
      expect(await own.complaints()).toBe("");
    });

    test("refuses long bodies, and reads those within the limit", async () => {
      const post = (length: number) =>
        server.ask(
          `POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n${"x".repeat(length)}`,
        );
      expect((await post(4096)).body.toString()).toBe("4096");
      const long = await post(5000);
      expect([long.status, long.body.toString()]).toEqual([413, ""]);
      const size = "1400";
      const chunk = `${size}\r\n${"x".repeat(0x1400)}\r\n0\r\n\r\n`;
      const chunked = await server.raw(
        `POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
      );
      expect(chunked.text).not.toContain("5120");
      expect(chunked.text).toMatch(/^HTTP\/1\.1 413 [\s\S]*\r\n\r\n$/);
    });

    // Goal: unread replies cost a guest its own turn, not our memory. Method: ask for 100 MB in one
    // write, read nothing, and count how many replies were made.
    test("makes no reply before the one before it has gone out", async () => {
      const socket = connect({ host: "127.0.0.1", port: server.port });
      socket.pause();
      socket.write("GET /big HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100));
      await Bun.sleep(500);
      const made = await server.ask("GET /counted HTTP/1.1\r\nHost: x\r\n\r\n");
      socket.destroy();
      expect(Number(made.body.toString())).toBeGreaterThan(0);
      expect(Number(made.body.toString())).toBeLessThan(20);
    });

    // Goal: small requests without end fill nothing either. Method: send them as fast as they are
    // taken, read nothing, and weigh the server, which has answered another guest meanwhile.
    test("takes no flood of requests whose replies are not read", async () => {
      const own = await start(runtime);
      await own.ask("GET /text HTTP/1.1\r\nHost: x\r\n\r\n");
      const before = residentMiB(own.pid);
      const socket = connect({ host: "127.0.0.1", port: own.port });
      let open = true;
      socket
        .on("error", () => {})
        .on("close", () => {
          open = false;
        });
      socket.pause();
      const flood = "GET /l HTTP/1.1\r\nHost:\r\n\r\n".repeat(4000);
      const end = Date.now() + 2000;
      while (open && Date.now() < end) {
        if (socket.writableLength < 2 * flood.length) socket.write(flood);
        await Bun.sleep(1);
      }
      const reply = await own.ask("GET /text HTTP/1.1\r\nHost: x\r\n\r\n");
      const after = residentMiB(own.pid);
      socket.destroy();
      await own.stop();
      expect(reply.status).toBe(200);
      expect(after - before).toBeLessThan(FLOOD_MIB_MAX);
    });

    // Goal: a thousand guests in one instant all find a place in the kernel's queue. Method: the
    // server is stopped, so that it accepts none, and as many connections are opened.
    test.skipIf(QUEUE_MAX < CROWD)("has room for a thousand connections at once", async () => {
      const own = await start(runtime);
      own.signal("SIGSTOP");
      const sockets = Array.from({ length: CROWD }, () => {
        const socket = connect({ host: "127.0.0.1", port: own.port });
        socket.on("error", () => {});
        return socket.on("connect", () => socket.write("G")); // Bun's kernel waits for a byte.
      });
      await Bun.sleep(700); // A second is when those that fell out try again.
      const waiting = waitingAt(own.port);
      for (const socket of sockets) socket.destroy();
      own.signal("SIGCONT");
      await own.stop();
      expect(waiting).toBe(CROWD);
    });

    test("answers an odd but lawful request as any other", async () => {
      for (const head of [
        "GET http://other.example/text HTTP/1.1\r\nHost: x",
        `GET /text HTTP/1.1\r\nHost: x\r\n${"X: y\r\n".repeat(190)}Y: z`,
        "GET /text HTTP/1.1\r\nHost: x\r\nExpect: tea",
        "GET /text HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket",
      ]) {
        const reply = await server.ask(`${head}\r\n\r\n`);
        expect([head.slice(0, 60), reply.status]).toEqual([head.slice(0, 60), 200]);
      }
    });

    test("refuses CONNECT and forwards nothing", async () => {
      const reply = await server.raw("CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n");
      expect(reply.text).not.toMatch(/SSH-/);
      expect(reply.text).not.toMatch(/^HTTP\/1\.1 200 OK\r\n\r\n/);
    });

    test("knows no peer on a unix socket", async () => {
      const reply = await server.askUnix("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
      expect(JSON.parse(reply.body.toString())).toEqual({ method: "GET", target: "/a" });
    });

    // Goal: what was sent there takes no room from guests. Method: send more than there is room for,
    // though nothing is read at the same time.
    test("keeps no large body for a unix socket that has got it", async () => {
      for (let index = 0; index <= HELD_BYTES_MAX / MIB; index++) {
        const reply = await server.askUnix(`GET /large/${index} HTTP/1.1\r\nHost: x\r\n\r\n`);
        expect(reply.body.length).toBe(MIB);
      }
      const reply = await server.ask("GET /large/guest HTTP/1.1\r\nHost: x\r\n\r\n");
      expect([reply.status, reply.body.length]).toEqual([200, MIB]);
    });

    test("completes a request under way when it is closed, and accepts no new one", async () => {
      const own = await start(runtime);
      const slow = own.ask("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
      await Bun.sleep(100);
      const ended = own.stop();
      expect((await slow).body.toString()).toBe("slow");
      expect(await ended).toBe(0);
    });

    test("fails on a taken address with a code that says so", async () => {
      const child = Bun.spawn([...runtime.command, runtime.rim, String(server.port)], {
        stdout: "ignore",
        stderr: "pipe",
      });
      expect(await new Response(child.stderr).text()).toContain("ADDRESS_IN_USE");
      expect(await child.exited).not.toBe(0);
    });
  });
}

function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
}

/** Connections that the kernel keeps for the listener at a port: proc(5), `rx_queue`. */
function waitingAt(port: number): number {
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync("/proc/net/tcp", "latin1").split("\n");
  const fields = lines.map((line) => line.trim().split(/\s+/));
  const listener = fields.find(([, local, , state]) => local?.endsWith(end) && state === "0A");
  return Number.parseInt(listener?.[4]?.split(":")[1] ?? "", 16);
}
