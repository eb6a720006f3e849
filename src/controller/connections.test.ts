import { expect, test } from "bun:test";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, Socket } from "node:net";
import { CONNECTIONS_MAX, Connections, PEER_CONNECTIONS_MAX, REQUESTS_MAX } from "./connections.ts";

const HEAD = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/** A socket that is none: what `Connections` knows of one. */
class Peer extends Socket {
  override readonly remoteAddress: string;
  override readonly remotePort: number;
  override readonly localAddress: string = "127.0.0.1";
  constructor(remoteAddress: string, remotePort: number) {
    super();
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }
}

/** Takes in connections of a peer, each of another port. */
function crowd(connections: Connections, address: string, count: number, from = 1): Peer[] {
  return Array.from({ length: count }, (_, index) => {
    const peer = new Peer(address, from + index);
    connections.take(peer);
    return peer;
  });
}

const openOf = (peers: readonly Peer[]): number => peers.filter((one) => !one.destroyed).length;

interface Served {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
}

/** A server with such connections; `run` answers. */
async function serving(
  run: (served: Served, connections: Connections) => void,
  exchangeMsMax?: number,
): Promise<{ port: number } & AsyncDisposable> {
  const connections = new Connections({ ...(exchangeMsMax !== undefined && { exchangeMsMax }) });
  const server = createServer();
  server.on("connection", (socket: Socket) => connections.take(socket));
  server.on("request", (message, response) => {
    const served = { message, response };
    void connections.inTurn(served, () => run(served, connections));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Sends bytes and reads nothing, or all. */
function send(port: number, bytes: string, isReader = false): { text: string; socket: Socket } {
  const sent = { text: "", socket: connect(port, "127.0.0.1", () => sent.socket.write(bytes)) };
  sent.socket.on("error", () => {});
  if (isReader) sent.socket.on("data", (chunk) => (sent.text += chunk.toString("latin1")));
  else sent.socket.pause();
  return sent;
}

async function until(isSo: () => boolean): Promise<void> {
  for (let n = 0; n < 300 && !isSo(); n++) await Bun.sleep(10);
  expect(isSo()).toBe(true);
}

test("a peer has so many connections, and an IPv6 host one count for all its addresses", () => {
  for (const [address, other] of [
    ["192.0.2.1", "192.0.2.2"],
    ["2001:db8::1", "2001:db8:0:1::1"],
  ] as const) {
    const connections = new Connections();
    const [before] = crowd(connections, other, 1);
    const peers = crowd(connections, address, PEER_CONNECTIONS_MAX);
    expect(openOf(peers)).toBe(PEER_CONNECTIONS_MAX);
    // The longest idle of the same peer makes room, and nobody else's.
    const more = crowd(connections, address.replace(/::1$/, "::2"), 3, 1000);
    expect([openOf(more), openOf(peers)]).toEqual([3, PEER_CONNECTIONS_MAX - 3]);
    expect(peers.slice(0, 3).map(({ destroyed }) => destroyed)).toEqual([true, true, true]);
    expect(before?.destroyed).toBe(false);
  }
});

test("at the limit of all, the longest idle connection makes room for a new one", () => {
  const connections = new Connections();
  const peers = Array.from({ length: CONNECTIONS_MAX }, (_, index) =>
    crowd(connections, `192.0.2.${index}`, 1),
  ).flat();
  expect(openOf(peers)).toBe(CONNECTIONS_MAX);
  const [late] = crowd(connections, "198.51.100.1", 1);
  expect([late?.destroyed, peers[0]?.destroyed]).toEqual([false, true]);
  expect(openOf(peers)).toBe(CONNECTIONS_MAX - 1);
});

test("a closed connection makes room, and is counted once", async () => {
  const connections = new Connections();
  for (let round = 0; round < 3; round++) {
    const peers = crowd(connections, "192.0.2.1", PEER_CONNECTIONS_MAX);
    expect(openOf(peers)).toBe(PEER_CONNECTIONS_MAX);
    for (const peer of peers) peer.destroy();
    await until(() => peers.every(({ closed }) => closed));
  }
});

test("who is being answered is not closed for another; half a request is", async () => {
  const held: ServerResponse[] = [];
  await using server = await serving(({ message, response }) => {
    message.resume();
    held.push(response);
  });
  const post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length";
  const whole = send(server.port, `${post}: 2\r\n\r\nab`, true);
  const get = send(server.port, HEAD, true);
  await until(() => held.length === 2);
  const half = send(server.port, `${post}: 9\r\n\r\nab`);
  await until(() => held.length === 3);
  const isEnded = new Promise((resolve) => half.socket.resume().once("close", resolve));
  // These say something, so that each is taken in at once, and in this order.
  const others = Array.from({ length: PEER_CONNECTIONS_MAX - 2 }, () =>
    send(server.port, "GET ", true),
  );
  await isEnded;
  for (const response of held.slice(0, 2)) response.end("done");
  await until(() => [whole, get].every(({ text }) => text.endsWith("done")));
  for (const { socket } of [...others, whole, get]) socket.destroy();
});

test("requests of a connection are run one at a time, in order", async () => {
  const begun: string[] = [];
  const held: ServerResponse[] = [];
  await using server = await serving(({ message, response }) => {
    begun.push(message.url ?? "");
    held.push(response);
  });
  const paths = Array.from({ length: REQUESTS_MAX }, (_, index) => `/${index}`);
  const all = paths.map((path) => HEAD.replace("/", path)).join("");
  const { socket } = send(server.port, all, true);
  for (const [index, path] of paths.entries()) {
    await until(() => begun.length === index + 1);
    await Bun.sleep(5);
    expect(begun).toEqual(paths.slice(0, index + 1));
    held[index]?.end(path);
  }
  expect(socket.destroyed).toBe(false);
  socket.destroy();
});

test("with one request too many the connection is closed, and nothing more is run", async () => {
  let runs = 0;
  await using server = await serving(() => runs++);
  const { socket } = send(server.port, HEAD.repeat(REQUESTS_MAX + 1), true);
  await until(() => socket.destroyed);
  expect(runs).toBe(1);
});

test("who reads no answer is given no other, and is closed in time", async () => {
  const large = "x".repeat(4_000_000);
  let runs = 0;
  let isClosed = false;
  await using server = await serving((served, connections) => {
    runs++;
    served.message.socket.once("close", () => {
      isClosed = true;
    });
    connections.answers(served, false);
    served.response.end(large);
  }, 500);
  const { socket } = send(server.port, HEAD.repeat(REQUESTS_MAX));
  await until(() => isClosed);
  expect(runs).toBeLessThan(REQUESTS_MAX);
  socket.destroy();
});

test("an answer without an end has all time, until its reader takes nothing", async () => {
  const large = Buffer.alloc(4_000_000);
  let answer: ServerResponse | undefined;
  let isClosed = false;
  await using server = await serving((served, connections) => {
    answer = served.response;
    answer.once("close", () => {
      isClosed = true;
    });
    connections.answers(served, true);
    answer.write("begun");
  }, 100);
  const { socket } = send(server.port, HEAD);
  await Bun.sleep(500);
  expect(isClosed).toBe(false);
  const fill = (): void => {
    while (answer?.write(large) === true);
  };
  answer?.on("drain", fill);
  fill();
  await until(() => isClosed);
  socket.destroy();
});
