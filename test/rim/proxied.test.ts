/**
 * What the listeners for bridges promise, on the wire and on each runtime: who asks is whom a
 * trusted peer's PROXY header names, and nothing else gets an answer.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { proxyHeader } from "../../src/protocol/proxy-protocol.ts";
import { bundleServer, RUNTIMES, removeBundle, type Server, start } from "./runtimes.ts";

const GUEST = "10.1.1.57";
const HEADER = proxyHeader({ from: { host: GUEST, port: 0 }, to: { host: "10.1.1.1", port: 80 } });
const SIGNATURE = HEADER.subarray(0, 12);
const ASK = "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
/** A header must be there in 2 s. ms. */
const LATE_MS = 2_000;
const SETTLE_MS = 100;
const TEST_MS_MAX = 30_000;
const RUNS = 60;

const address = fc.oneof(fc.ipV4(), fc.ipV6());
const anyHeader: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.constant(new Uint8Array()),
  fc.constant(HEADER),
  address.map((host) => Buffer.from(`PROXY TCP4 ${host} 10.1.1.1 1 80\r\n`)),
  fc
    .tuple(fc.constantFrom(0x20, 0x21), fc.constantFrom(0, 0x11, 0x21, 0x31), fc.uint8Array())
    .map(([command, family, rest]) =>
      Buffer.concat([SIGNATURE, Uint8Array.of(command, family, 0, rest.length), rest]),
    ),
  fc.uint8Array({ minLength: 1, maxLength: 64 }),
);
const anyRequest: fc.Arbitrary<string> = fc
  .record({
    method: fc.constantFrom("GET", "HEAD", "POST", "PROXY", "OPTIONS"),
    path: fc.oneof(fc.constant("/who"), fc.webPath(), address),
    name: fc.constantFrom("X-Forwarded-For", "Forwarded", "X-Real-IP", "Host", "Via", "X-One"),
    value: fc.oneof(address, fc.stringMatching(/^[ -~]{0,20}$/)),
  })
  .map(({ method, path, name, value }) => {
    const fields = `Host: x\r\n${name}: ${value}\r\nConnection: close\r\nContent-Length: 0`;
    return `${method} ${path === "" ? "/" : path}?from=10.1.1.5 HTTP/1.1\r\n${fields}\r\n\r\n`;
  });

beforeAll(bundleServer);
afterAll(removeBundle);

for (const runtime of RUNTIMES) {
  describe.skipIf(runtime.missing)(`a listener for bridges on ${runtime.name}`, () => {
    let server: Server;
    beforeAll(async () => {
      server = await start(runtime);
    });
    afterAll(async () => {
      await server.stop();
      expect(await server.complaints()).toBe("");
    });

    const seen = async (...pieces: readonly (string | Uint8Array)[]) => {
      const { text } = await exchange(server.proxiedPort, pieces);
      return JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4));
    };

    test("who asks is the address in the header, however the bytes come", async () => {
      const guest = { peer: GUEST, via: "127.0.0.1", method: "GET", target: "/who" };
      expect(await seen(HEADER, ASK)).toMatchObject(guest);
      expect(await seen(Buffer.concat([HEADER, Buffer.from(ASK)]))).toMatchObject(guest);
      expect(await seen(...split(HEADER), ...split(Buffer.from(ASK)))).toMatchObject(guest);
      const extras = Buffer.concat([header("21 11 0010"), HEADER.subarray(16), Buffer.alloc(4)]);
      expect(await seen(extras, ASK)).toMatchObject(guest);
      const six = header(`21 21 0024 fd00005a${"0".repeat(22)}0a ${"0".repeat(32)} 00000050`);
      expect(await seen(six, ASK)).toMatchObject({ ...guest, peer: "fd00:5a::a" });
    });

    test("nothing in the request changes that", async () => {
      const lies = ["X-Forwarded-For: 10.1.1.58", "Forwarded: for=10.1.1.58", "X-One: 10.1.1.58"];
      const ask = ASK.replace("\r\n\r\n", `\r\n${lies.join("\r\n")}\r\n\r\n`);
      expect(await seen(HEADER, ask)).toMatchObject({ peer: GUEST, x: "10.1.1.58" });
      const two = await exchange(server.proxiedPort, [HEADER, ASK.replace(": close", ": x"), ASK]);
      expect([...two.text.matchAll(/"peer":"([^"]*)"/g)].map(([, peer]) => peer)).toEqual([
        ...[GUEST, GUEST],
      ]);
      // A second header is no request.
      const again = await exchange(server.proxiedPort, [HEADER, HEADER, ASK]);
      expect([again.text.startsWith("HTTP/1.1 400"), again.text.includes("peer")]).toEqual([
        ...[true, false],
      ]);
    });

    test("what has no whole header of version 2 is closed without an answer", async () => {
      for (const bytes of [
        ...[ASK, "PROXY TCP4 10.1.1.57 10.1.1.1 1 80\r\n", `\r\n\r\n${ASK}`],
        ...[header("11 11 000c"), header("22 11 000c"), header("21 11 0209"), header("21 11 ffff")],
        ...[header("21 11 0000"), header("21 00 0000"), header("21 12 000c"), header("21 31 0000")],
        ...[header("20 00 0000"), header("20 11 000c"), header("21 21 000c")],
      ]) {
        const rest = typeof bytes === "string" ? [] : [HEADER.subarray(16), ASK];
        const { text, closed } = await exchange(server.proxiedPort, [bytes, ...rest]);
        expect([`${Buffer.from(bytes).toString("hex")}`, text, closed]).toEqual([
          ...[Buffer.from(bytes).toString("hex"), "", true],
        ]);
      }
    });

    test(
      "half a header is closed after two seconds, and a whole one is not",
      async () => {
        const half = [Buffer.alloc(0), HEADER.subarray(0, 10), HEADER.subarray(0, 20)];
        const began = performance.now();
        const late = half.map(async (bytes) => {
          const { text, closed } = await exchange(server.proxiedPort, [bytes]);
          return [text, closed, performance.now() - began];
        });
        const slow = exchange(server.proxiedPort, [HEADER], async (socket) => {
          await Bun.sleep(LATE_MS + 500);
          socket.write(ASK);
        });
        for (const [text, closed, ms] of await Promise.all(late)) {
          expect([text, closed]).toEqual(["", true]);
          expect(Number(ms)).toBeGreaterThan(LATE_MS - SETTLE_MS);
        }
        expect((await slow).text).toContain(GUEST);
      },
      TEST_MS_MAX,
    );

    test("a peer that is not trusted is closed at once, whatever it sends", async () => {
      for (const pieces of [[HEADER, ASK], [ASK], [header("20 00 0000")], []]) {
        const from = { localAddress: "127.0.0.2" };
        const began = performance.now();
        const { text, closed } = await exchange(server.proxiedPort, pieces, undefined, from);
        expect([text, closed]).toEqual(["", true]);
        expect(performance.now() - began).toBeLessThan(LATE_MS);
      }
    });

    test("on the usual listener a header is a malformed request", async () => {
      const { text, closed } = await exchange(server.port, [HEADER, ASK]);
      expect([text.includes("peer"), text.includes(GUEST), closed]).toEqual([false, false, true]);
      expect(text).toMatch(/^(HTTP\/1\.1 400 [\s\S]*\r\n\r\n)?$/);
      const old = await exchange(server.port, ["PROXY TCP4 10.1.1.57 10.1.1.1 1 80\r\n", ASK]);
      expect([old.text.includes("peer"), old.closed]).toEqual([false, true]);
    });

    // Goal: who is not trusted is who it is, whatever it sends. Method: any header before any
    // request, to the usual listener, and from another address to the one for bridges.
    test(
      "no header and no request of who is not trusted changes who asks",
      async () => {
        const from = { localAddress: "127.0.0.2" };
        const property = fc.asyncProperty(anyHeader, anyRequest, async (header, request) => {
          const pieces = [Buffer.concat([header, Buffer.from(request, "latin1")])];
          const usual = await exchange(server.port, pieces);
          for (const [, peer] of usual.text.matchAll(/"peer":"([^"]*)"/g)) {
            expect(peer).toBe("127.0.0.1");
          }
          expect(usual.text).not.toContain('"via"');
          const other = await exchange(server.proxiedPort, pieces, undefined, from);
          expect([other.text, other.closed]).toEqual(["", true]);
        });
        await fc.assert(property, { numRuns: RUNS });
      },
      TEST_MS_MAX,
    );

    test("large bodies come whole, and connections that have ended leave nothing", async () => {
      const large = ASK.replace("/who", "/large/x");
      const { text } = await exchange(server.proxiedPort, [HEADER, large]);
      expect(text.slice(text.indexOf("\r\n\r\n") + 4)).toBe("x".repeat(1 << 20));
      const before = sockets(server.pid);
      for (let i = 0; i < 50; i++) {
        // Whoever leaves in the middle, or keeps its connection and then leaves.
        await exchange(
          server.proxiedPort,
          [HEADER, ASK.replace(": close", ": keep-alive")],
          async (socket) => {
            await Bun.sleep(5);
            socket.end();
          },
        );
        await exchange(server.proxiedPort, [HEADER.subarray(0, 9)], async (socket) => socket.end());
      }
      await Bun.sleep(SETTLE_MS);
      expect(sockets(server.pid)).toBeLessThanOrEqual(before);
    });
  });
}

function header(rest: string): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from(rest.replaceAll(" ", ""), "hex")]);
}

function split(bytes: Uint8Array): Uint8Array[] {
  return [...bytes].map((byte) => Uint8Array.of(byte));
}

/** Open sockets of a process. */
function sockets(pid: number): number {
  const { stdout } = Bun.spawnSync(["ls", "-l", `/proc/${pid}/fd`]);
  return stdout.toString().match(/socket:/g)?.length ?? 0;
}

/** Sends pieces, one packet each, and reads until the server closes or 4 s are over. */
function exchange(
  port: number,
  pieces: readonly (string | Uint8Array)[],
  more?: (socket: Socket) => Promise<unknown>,
  from: { localAddress?: string } = {},
): Promise<{ text: string; closed: boolean }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: "127.0.0.1", port, noDelay: true, ...from });
    const end = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: Buffer.concat(chunks).toString("latin1"), closed });
    };
    const timer = setTimeout(() => end(false), 4_000);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => end(true));
    socket.on("connect", async () => {
      for (const piece of pieces) {
        if (socket.destroyed) return;
        socket.write(piece);
        if (pieces.length > 1) await Bun.sleep(1);
      }
      await more?.(socket);
    });
  });
}
