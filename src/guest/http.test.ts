import { expect, test } from "bun:test";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { openClient } from "./client.ts";
import { parseEndpoint } from "./endpoint.ts";
import { type Asked, ask } from "./http.ts";

const never = new AbortController().signal;
const LATE_MS = 200;

test("what a server does wrong is told apart", async () => {
  const head = "HTTP/1.1 200 OK\r\n";
  await check(`${head}Content-Length: 2\r\n\r\nok`, "reply");
  await check(`${head}Content-Length: 9\r\n\r\nok`, "malformed", { close: true });
  await check("SSH-2.0-OpenSSH_9.2\r\n", "malformed", { close: true });
  await check(`${head}Content-Length: 200\r\n\r\n${"x".repeat(200)}`, "too-large");
  await check(`${head}Transfer-Encoding: chunked\r\n\r\n7f\r\n${"x".repeat(127)}\r\n`, "too-large");
  await check(`${head}X: ${"x".repeat(100_000)}\r\n\r\n`, "malformed");
  // A small body that unpacks into a large one.
  await check(`${head}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok`, "malformed");
  await check("", "malformed", { close: true });
  await check("", "timeout");
  await check(`${head}Content-Length: 9\r\n\r\nok`, "timeout");
});

test("a server that closes after the reply is understood, as is HTTP/1.0", async () => {
  const asked = await check("HTTP/1.0 200 OK\r\n\r\nok", "reply", { close: true });
  expect(asked.kind === "reply" && asked.body.toString()).toBe("ok");
});

test("a port on which nobody listens refuses", async () => {
  const what = { method: "GET", target: "/", bytesMax: 10, timeoutMs: 1_000 } as const;
  expect(await ask(parseEndpoint("http://127.0.0.1:9"), what, never)).toMatchObject({
    kind: "connection-refused",
    code: "ECONNREFUSED",
  });
});

test("an abort rejects, and leaves nothing open", async () => {
  await using server = await serve((socket) => socket.resume());
  const stop = new AbortController();
  const what = { method: "GET", target: "/", bytesMax: 10, timeoutMs: 60_000 } as const;
  const asked = ask(parseEndpoint(server.url), what, stop.signal);
  setTimeout(() => stop.abort(), 20);
  await expect(asked).rejects.toThrow();
  await server.closed();
});

// The server closes each connection after one reply, and says nothing of it, as one does whose
// patience with idle connections ends.
test("a connection that has died while it was idle is no failure", async () => {
  await using server = await serve((socket) => {
    let replies = 0;
    socket.on("data", () => {
      if (++replies > 1) socket.resetAndDestroy();
      else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  const client = openClient(parseEndpoint(server.url));
  for (let i = 0; i < 3; i++) {
    const asked = await client.get("/", { bytesMax: 10 }, never);
    expect(asked).toMatchObject({ kind: "reply", status: 200 });
  }
  client.close();
});

test("whoever comes fifth waits for a connection, and no longer than his time", async () => {
  const held: Socket[] = [];
  await using server = await serve((socket) => {
    socket.on("data", () => held.push(socket));
  });
  const client = openClient(parseEndpoint(server.url));
  const four = [1, 2, 3, 4].map(() => client.get("/", { bytesMax: 10 }, never));
  const fifth = client.get("/", { bytesMax: 10 }, never);
  const late = await client.get("/", { bytesMax: 10, timeoutMs: LATE_MS }, never);
  expect(late).toMatchObject({ kind: "timeout", code: "ETIMEDOUT" });
  expect(held.length).toBe(4);
  const answer = (): void => {
    for (const socket of held.splice(0)) {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  };
  answer();
  for (const asked of await Promise.all(four)) expect(asked).toMatchObject({ status: 200 });
  while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  answer();
  expect(await fifth).toMatchObject({ status: 200 });
  expect(server.accepted()).toBe(4);
  client.close();
  await server.closed();
});

test("what nobody asked for is no reply to the next request", async () => {
  const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${body}`;
  let replies = 0;
  await using server = await serve((socket) => {
    socket.on("data", () => {
      socket.write(ok("ok"));
      if (++replies === 1) setTimeout(() => socket.write(ok("no")), 20);
    });
  });
  const client = openClient(parseEndpoint(server.url));
  for (let i = 0; i < 2; i++) {
    const asked = await client.get("/", { bytesMax: 10 }, never);
    expect(asked.kind === "reply" && asked.body.toString()).toBe("ok");
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  expect(server.accepted()).toBe(2);
  client.close();
});

interface How {
  /** The server closes after what it sends. */
  readonly close?: boolean;
}

async function check(sent: string, kind: Asked["kind"], { close = false }: How = {}) {
  await using server = await serve((socket) => {
    socket.once("data", () => {
      socket.write(sent);
      if (close) socket.end();
    });
  });
  const what = { method: "GET", target: "/", bytesMax: 100, timeoutMs: LATE_MS } as const;
  const asked = await ask(parseEndpoint(server.url), what, never);
  expect([sent.slice(0, 80), asked.kind]).toEqual([sent.slice(0, 80), kind]);
  return asked;
}

async function serve(talk: (socket: Socket) => unknown) {
  const open = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted++;
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => open.delete(socket));
    talk(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accepted: () => accepted,
    async closed() {
      for (const socket of open) await once(socket, "close");
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}
