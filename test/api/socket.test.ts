/**
 * The operator API over a real socket, on Bun and on Node.js: what a listener promises that no
 * call of the app can show.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
const NODE18 = join(ROOT, ".cache/node18/node");
const folder = mkdtempSync(join(tmpdir(), "frontdesk-api-"));
const BUNDLE = join(folder, "server.mjs");
const TOKEN = `fd_${"a".repeat(43)}`;
const AUTH = { authorization: `Bearer ${TOKEN}` };
const AT = "/v1/instances/204/i-1";

const RUNTIMES: readonly { name: string; command: string[]; missing: boolean }[] = [
  { name: "bun", command: [process.execPath, join(import.meta.dir, "server.ts")], missing: false },
  { name: "node", command: ["node", BUNDLE], missing: false },
  { name: "node 18", command: [NODE18, BUNDLE], missing: !existsSync(NODE18) },
];

beforeAll(async () => {
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, "server.ts")],
    ...{ target: "node", naming: "server.mjs", outdir: folder },
  });
  if (!built.success) throw new Error(built.logs.join("\n"));
  if (Bun.which("openssl") === null) return;
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  Bun.spawnSync([
    "openssl",
    "req",
    "-x509",
    "-nodes",
    "-days",
    "2",
    ...curve,
    ...files,
    ...subject,
  ]);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

for (const runtime of RUNTIMES) {
  describe.skipIf(runtime.missing)(`on ${runtime.name}`, () => {
    test("the API answers, and a write is seen by who follows", async () => {
      await using server = await start(runtime.command);
      const ask = (path: string, init: RequestInit = {}) =>
        fetch(`${server.url}${path}`, { ...init, headers: { ...AUTH, ...init.headers } });
      expect((await fetch(`${server.url}/v1/instances`)).status).toBe(401);
      expect(await (await fetch(`${server.url}/livez`)).text()).toBe("ok\n");
      const end = new AbortController();
      const events = await ask("/v1/events", { signal: end.signal });
      const reader = (events.body as ReadableStream<Uint8Array>).getReader();
      expect(Buffer.from((await reader.read()).value ?? []).toString()).toContain("snapshot");
      const body = JSON.stringify({ name: "web-01", nics: [{ addresses: ["10.1.1.5"] }] });
      const headers = { "content-type": "application/json" };
      expect((await ask(AT, { method: "PUT", body, headers })).status).toBe(201);
      expect(Buffer.from((await reader.read()).value ?? []).toString()).toContain('"id":"i-1"');
      end.abort();
      const raw = new Uint8Array(24_576).map((_, i) => i);
      const bytes = { "content-type": "application/octet-stream" };
      const put = { method: "PUT", body: raw, headers: bytes };
      expect((await ask(`${AT}/user-data`, put)).status).toBe(204);
      const read = await (await ask(`${AT}/user-data`)).arrayBuffer();
      expect(Buffer.from(read).equals(Buffer.from(raw))).toBe(true);
      expect((await ask(AT)).headers.get("etag")).toBe('"3"');
    });

    test("headers and bodies have limits, and half a body changes nothing", async () => {
      await using server = await start(runtime.command);
      const head = (path: string, more: string) =>
        `PUT ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\n${more}\r\n`;
      const type = "Content-Type: application/json\r\n";
      const long = `X: ${"x".repeat(70_000)}\r\n`;
      expect(await raw(server.port, head(AT, long))).toStartWith("HTTP/1.1 431");
      const large = (length: number) => head(AT, `${type}Content-Length: ${length}\r\n`);
      const refused = await raw(server.port, large(9_000_000));
      expect(refused).toStartWith("HTTP/1.1 413");
      expect(refused).toContain('"BODY_TOO_LARGE"');
      expect(await raw(server.port, large(17_000_000))).toStartWith("HTTP/1.1 413");
      const half = `${head(AT, `${type}Content-Length: 100\r\n`)}{"name": "web", "nics": []}`;
      await raw(server.port, half, { cut: true });
      expect((await fetch(`${server.url}${AT}`, { headers: AUTH })).status).toBe(404);
      expect(await server.complaints()).not.toMatch(/"level":50/);
    });

    test("a type may have spaces, and a Host that is none is the client's fault", async () => {
      await using server = await start(runtime.command);
      const body = JSON.stringify({ name: "web-01", nics: [{ addresses: ["10.1.1.5"] }] });
      const headers = { ...AUTH, "content-type": "application/json ; charset=utf-8" };
      const put = await fetch(`${server.url}${AT}`, { method: "PUT", body, headers });
      expect(put.status).toBe(201);
      for (const host of ["a b", "x/y", "[::1", "x:y", "x@y"]) {
        const request = `GET /v1/token HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
        expect([host, await raw(server.port, request)]).toEqual([
          host,
          expect.stringMatching(/^HTTP\/1\.1 400/),
        ]);
      }
      expect(await server.complaints()).not.toMatch(/"level":50/);
    });

    test("a request with two Hosts is refused", async () => {
      await using server = await start(runtime.command);
      for (const host of ["Host", "hOST"]) {
        const two = `GET /livez HTTP/1.1\r\nHost: a\r\n${host}: b\r\n\r\n`;
        const answer = await raw(server.port, two);
        expect(answer).toStartWith("HTTP/1.1 400");
        expect(answer).toEndWith("\r\n\r\n");
      }
    });

    test("who sends many requests and reads no answer is closed, and costs little", async () => {
      await using server = await start(runtime.command);
      const one = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n";
      expect((await raw(server.port, one.repeat(8))).split("HTTP/1.1 200")).toHaveLength(9);
      const unread = Array.from({ length: 10 }, () => connect(server.port, "127.0.0.1"));
      const closed = unread.map((socket) => {
        socket.pause().on("error", () => {});
        socket.write(one.repeat(400));
        return new Promise((resolve) => socket.once("close", resolve));
      });
      await Bun.sleep(1000);
      expect(await (await fetch(`${server.url}/livez`)).text()).toBe("ok\n");
      let bytes = 0;
      for (const socket of unread) socket.on("data", (chunk) => (bytes += chunk.length)).resume();
      await Promise.all(closed);
      // What the kernels held: all of them would be a gigabyte.
      expect(bytes).toBeLessThan(200_000_000);
    });

    test("silent connections keep nobody out, nor close who follows", async () => {
      await using server = await start(runtime.command);
      const crowd = async (): Promise<Socket[]> => {
        const silent = Array.from({ length: 300 }, () =>
          connect(server.port, "127.0.0.1").on("error", () => {}),
        );
        for (const socket of silent) socket.write("GET /");
        // They are taken in one after the other.
        await Bun.sleep(300);
        return silent;
      };
      const silent = await crowd();
      const events = await fetch(`${server.url}/v1/events`, { headers: AUTH });
      silent.push(...(await crowd()));
      expect(await (await fetch(`${server.url}/livez`)).text()).toBe("ok\n");
      const reader = (events.body as ReadableStream<Uint8Array>).getReader();
      const chunk = async () => Buffer.from((await reader.read()).value ?? []).toString();
      expect(await chunk()).toContain("snapshot");
      const body = JSON.stringify({ name: "web-01", nics: [{ addresses: ["10.1.1.5"] }] });
      const headers = { ...AUTH, "content-type": "application/json" };
      await fetch(`${server.url}${AT}`, { method: "PUT", body, headers });
      expect(await chunk()).toContain('"id":"i-1"');
      await reader.cancel();
      for (const socket of silent) socket.destroy();
    });

    test("it ends gracefully: streams are ended, and nothing is left open", async () => {
      const server = await start(runtime.command);
      const events = await fetch(`${server.url}/v1/events`, { headers: AUTH });
      const text = events.text();
      await Bun.sleep(50);
      const began = performance.now();
      expect(await server.stop()).toBe(0);
      expect(performance.now() - began).toBeLessThan(4000);
      expect(await text).toContain("snapshot");
      await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
    });

    test.skipIf(Bun.which("openssl") === null)(
      "with a certificate it speaks TLS alone",
      async () => {
        const files = [join(folder, "cert.pem"), join(folder, "key.pem")];
        await using server = await start(runtime.command, files);
        expect(server.url).toStartWith("https://");
        const ca = await Bun.file(files[0] ?? "").text();
        const answer = await fetch(`${server.url}/livez`, { tls: { ca } });
        expect(await answer.text()).toBe("ok\n");
        expect(await raw(server.port, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")).not.toContain(
          "ok\n",
        );
      },
    );
  });
}

interface Server extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What it has written to its standard error so far. */
  complaints(): Promise<string>;
  stop(): Promise<number>;
}

async function start(command: string[], files: readonly string[] = []): Promise<Server> {
  const env = { ...process.env, FRONTDESK_TOKEN: TOKEN };
  const child = Bun.spawn([...command, "0", ...files], { stdout: "pipe", stderr: "pipe", env });
  const line = new TextDecoder().decode((await child.stdout.getReader().read()).value).trim();
  let complaints = "";
  void (async () => {
    for await (const chunk of child.stderr) complaints += Buffer.from(chunk).toString();
  })();
  const stop = async (): Promise<number> => {
    child.kill("SIGTERM");
    return child.exited;
  };
  return {
    ...{ url: line, port: Number(new URL(line).port), stop },
    complaints: async () => {
      await Bun.sleep(50);
      return complaints;
    },
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

/** Sends bytes, and reads until the other side closes or is silent. */
function raw(port: number, bytes: string, { cut = false } = {}): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes, () => cut && later()));
    const later = (): void => void setTimeout(() => socket.destroy(), 50);
    socket.setTimeout(500, () => socket.destroy());
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}
