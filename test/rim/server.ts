/**
 * A server behind one rim, for the contract suite: what each path does is the suite's material.
 *
 * Usage: server.ts bun|node PORT [UNIX-PATH]; prints "ready", its port and the one for
 * bridges when it listens, closes on SIGTERM.
 */

import type { Reply } from "../../src/protocol/http.ts";
import { listenProxied } from "../../src/router/http/proxied.ts";
import type { Handler, Rim } from "../../src/router/http/rim.ts";

const TEXT = "text/plain; charset=utf-8";
const LARGE_BYTES = 1024 * 1024;
const [name, port, unix] = process.argv.slice(2);
const rim: Rim =
  name === "bun"
    ? (await import("../../src/router/http/bun.ts")).bunRim
    : (await import("../../src/router/http/node.ts")).nodeRim;

const fixed: Readonly<Record<string, Reply>> = {
  "/text": { status: 200, body: "h\u00e9llo", type: TEXT, etag: '"abc"' },
  "/binary": {
    status: 200,
    body: new Uint8Array([0, 31, 139, 255, 10]),
    type: "application/octet-stream",
  },
  "/empty": { status: 200, body: "", type: TEXT },
  "/not-modified": { status: 304, etag: '"abc"' },
  "/refused": { status: 405, allow: "GET, HEAD" },
  "/not-yet": { status: 503, retryAfter: 1 },
  "/stored": {
    status: 200,
    body: { length: 3, hash: "x", read: async () => new Uint8Array([1, 2, 3]) },
    type: "application/octet-stream",
  },
  "/stored-broken": {
    status: 200,
    body: { length: 3, hash: "x", read: () => Promise.reject(new Error("secret detail")) },
    type: "application/octet-stream",
  },
};

let bigReplies = 0;
const handler: Handler = async (request) => {
  const path = request.target.split("?")[0] ?? "";
  const reply = fixed[path];
  if (reply !== undefined) return reply;
  if (path.startsWith("/large/")) return large(path);
  switch (path) {
    case "/throw":
      throw new Error("secret detail");
    case "/slow":
      await new Promise((resolve) => setTimeout(resolve, 400));
      return { status: 200, body: "slow", type: TEXT };
    case "/body":
      return { status: 200, body: String((await request.body()).length), type: TEXT };
    case "/counted":
      return { status: 200, body: String(bigReplies), type: TEXT };
    case "/big":
      bigReplies++;
      return { status: 200, body: "x".repeat(1_000_000), type: TEXT };
    default: {
      const { method, target, peer, via } = request;
      const seen = {
        method,
        target,
        peer,
        via,
        x: request.header("x-one"),
        none: request.header("no"),
      };
      return { status: 200, body: JSON.stringify(seen), type: "application/json" };
    }
  }
};

/** A mebibyte, another for each path: all bytes are the last of the path. */
function large(path: string): Reply {
  const fill = path.charCodeAt(path.length - 1);
  const read = async () => new Uint8Array(LARGE_BYTES).fill(fill);
  return { status: 200, body: { length: LARGE_BYTES, hash: path, read }, type: TEXT };
}

/** Throws at once, not in a promise: the other way in which a handler can fail. */
const throwing: Handler = (request) => {
  if (request.target === "/throw-now") throw new Error("secret detail");
  return handler(request);
};

const listeners = [
  await rim.listen({
    at: { host: "127.0.0.1", port: Number(port) },
    handler: throwing,
    bodyBytesMax: 4096,
  }),
];
if (unix !== undefined) {
  listeners.push(await rim.listen({ at: { unix }, handler, bodyBytesMax: 4096 }));
}
const proxied = await listenProxied({
  ...{ at: { host: "127.0.0.1", port: 0 }, handler: throwing, bodyBytesMax: 4096 },
  isTrusted: (peer) => peer === "127.0.0.1",
  onRefusal: (refusal, peer) => console.log(`refused ${refusal} ${peer}`),
});
const ports = [listeners[0], proxied].map((one) => (one && "port" in one.at ? one.at.port : ""));
console.log(`ready ${ports.join(" ")}`);
listeners.push(proxied);
process.on("SIGTERM", async () => {
  await Promise.all(listeners.map((listener) => listener.close(2000)));
  process.exit(0);
});
