/**
 * Not a test: a program that tests start as the bridge's upstream. `vr` imitates CloudStack's own
 * router: it knows guests by their IPv4 source address alone. The others are broken in some way.
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";

const [kind = "vr", host = "", metadataPort = "", passwordPort = ""] = process.argv.slice(2);

/** Never answers one question of one guest. */
const FORGETFUL = "vr that forgets web-01";

const LARGE = "user data of ".padEnd(1 << 20, "0123456789abcdef");
const passwords = new Map([["10.1.1.57", "fN7xvQ2p"]]);
const instances = new Map([
  ["10.1.1.57", "web-01"],
  ["10.1.1.58", "db-01"],
]);

/** As Apache on the virtual router: HTML for errors, no type for data, an ETag without its end. */
function virtualRouter(request: IncomingMessage, response: ServerResponse): void {
  const from = request.socket.remoteAddress ?? "";
  const name = instances.get(from);
  const path = request.url ?? "";
  console.log(JSON.stringify({ from, path, method: request.method, headers: request.headers }));
  if (kind === FORGETFUL && name === "web-01" && path.endsWith("/local-hostname")) return;
  response.setHeader("Server", "Apache");
  response.setHeader("Set-Cookie", "a=b");
  const bodies: Readonly<Record<string, string>> = {
    "/latest/meta-data/": "local-hostname\nlocal-ipv4\n",
    "/latest/meta-data/local-hostname": name ?? "",
    "/latest/meta-data/local-ipv4": from,
    "/latest/user-data": `${LARGE}${name}`,
  };
  const body = name === undefined ? undefined : bodies[path];
  if (body === undefined) {
    response.setHeader("Content-Type", "text/html; charset=iso-8859-1");
    response.writeHead(404).end("<html><body>Not Found</body></html>");
    return;
  }
  response.setHeader("ETag", '"12-660e5de7b930f;660e5de723dda');
  response.setHeader("Content-Length", Buffer.byteLength(body));
  response.writeHead(200).end(body);
}

/** As CloudStack's password server: HTTP/1.0, no length, the end of the connection is the end. */
function passwordServer(socket: Socket): void {
  const from = socket.remoteAddress ?? "";
  socket.on("error", () => {});
  socket.once("data", (bytes) => {
    const text = bytes.toString("latin1");
    const word = /^domu_request: ?(.*)\r$/im.exec(text)?.[1] ?? "";
    console.log(JSON.stringify({ from, word, text }));
    const pending = passwords.get(from) ?? "saved_password";
    if (word === "saved_password") passwords.delete(from);
    const body = word === "send_my_password" ? pending : "saved_password";
    const head = "HTTP/1.0 200 OK\r\nServer: CloudStack Password Server 4.x\r\n";
    socket.end(
      `${head}content-type: text/plain\r\nServer: CloudStack Password Server\r\n\r\n${body}`,
    );
  });
}

/** Reads a PROXY header, independently of who wrote it, and answers with the address in it. */
function proxied(socket: Socket): void {
  let read: Buffer = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (bytes: Buffer) => {
    read = Buffer.concat([read, bytes]);
    if (!read.includes("\r\n\r\n", 28)) return;
    const isProxy = read.subarray(0, 16).toString("hex") === "0d0a0d0a000d0a515549540a2111000c";
    const from = isProxy ? [...read.subarray(16, 20)].join(".") : "no header";
    console.log(read.subarray(28).toString("latin1"));
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${from.length}\r\n\r\n${from}`);
  });
}

/** What broken upstreams send, at once or never. */
const BROKEN: Readonly<Record<string, (socket: Socket) => void>> = {
  silent: () => {},
  closes: (socket) => socket.end(),
  garbage: (socket) => socket.end("SSH-2.0-OpenSSH_9.2p1 Debian\r\n"),
  cut: (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"),
  "large and cut": (socket) =>
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(90_000)}`),
  chunk: (socket) =>
    socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf of a chunk"),
  page: (socket) =>
    socket.end("HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\n\r\n<html>Internal Server Error"),
  switches: (socket) =>
    socket.end("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nsecret"),
  endless: (socket) => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    const timer = setInterval(() => socket.write("x".repeat(65_536)), 1);
    socket.on("close", () => clearInterval(timer));
  },
  "too long": (socket) => socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx`),
  "stops in the middle": (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  },
};

if (kind === "vr" || kind === FORGETFUL) {
  createServer(virtualRouter).listen(Number(metadataPort), host);
  createTcpServer(passwordServer).listen(Number(passwordPort), host, () => console.log("ready"));
} else if (kind === "proxy") {
  createTcpServer(proxied).listen(Number(metadataPort), host);
  createTcpServer(proxied).listen(Number(passwordPort), host, () => console.log("ready"));
} else {
  const answer = (socket: Socket): void => {
    socket.on("error", () => {});
    socket.once("data", () => BROKEN[kind]?.(socket));
  };
  createTcpServer(answer).listen(Number(metadataPort), host);
  createTcpServer(answer).listen(Number(passwordPort), host, () => console.log("ready"));
}
