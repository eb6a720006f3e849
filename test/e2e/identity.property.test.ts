/**
 * Nothing that a guest writes changes who it is: both rims, byte by byte, on loopback.
 *
 * Goal: whatever the headers, the method, the target, the host, the query or what stands before
 * the request, a guest gets its own instance's answer or an empty one, and somebody whom no source
 * knows gets an empty one. Method: three guests at addresses of their own; every value of one of
 * them is marked, and so is its address. The other two send requests at random, several on a
 * connection, in which they claim to be the first. No byte that comes back is a mark, and each
 * body is one that the asker gets without the claim. In the end the first still has its password.
 */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { type Entry, writeDatabags } from "./databags.ts";
import { scratchFolder } from "./leftovers.ts";
import { freePort, loopbackMissing } from "./loopback.ts";
import { RIMS, type Rim, type Router, startRouter } from "./router.ts";

const ROUTER = "127.92.0.1";
const ASKER = "127.92.1.1";
const VICTIM = "127.92.1.2";
/** Whom no source knows. */
const STRANGER = "127.92.1.3";
const VICTIM_ID = "victims-instance-id";
/** In every value of the victim's; the rest of it a guest may guess. */
const MARKS = ["victims-", VICTIM];
const TOKEN = "0123456789abcdef0123456789abcdef";

const RUNS = process.env.FRONTDESK_LONG === "1" ? 20_000 : 1_500;
/** Every request asks for the close of its connection, and answers take a few ms. */
const CLOSE_MS_MAX = 5_000;
const TEST_MS_MAX = process.env.FRONTDESK_LONG === "1" ? 900_000 : 60_000;

/** What a guest is told beside metadata, whoever it is. */
const WORDS = ["", "saved_password", "bad_request"];

const claims = [
  ...[
    VICTIM,
    `${ASKER}, ${VICTIM}`,
    `${VICTIM}, ${ASKER}`,
    `[::ffff:${VICTIM}]:80`,
    `${VICTIM}:80`,
  ],
  ...[`for=${VICTIM}`, `for="${VICTIM}:47011";by=${ROUTER}`, `for="[::ffff:${VICTIM}]"`],
  ...[VICTIM_ID, "victims-local-hostname", ROUTER, "127.0.0.1", "1.1 victim", "0", ""],
  ...["send_my_password", "saved_password", "save_password", `/metadata/${VICTIM}/instance-id`],
];
const names = [
  ...["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "Client-IP"],
  ...["CF-Connecting-IP", "Fastly-Client-IP", "X-Cluster-Client-IP", "X-ProxyUser-Ip", "Via"],
  ...["X-Instance-ID", "X-Instance-ID-Signature", "X-Tenant-ID", "X-Project-ID", "From"],
  ...["X-OVN-Network-ID", "X-Neutron-Router-ID", "X-Neutron-Network-ID", "X-Metadata-Provider"],
  ...["X-Forwarded-Host", "X-Forwarded-Server", "X-Forwarded-Proto", "X-Original-Forwarded-For"],
  ...["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Referer", "Origin"],
  ...["X-aws-ec2-metadata-token", "Metadata-Flavor", "Authorization", "Cookie", "User-Agent"],
  ...["DomU_Request", "Connection", "Host", "Proxy-Connection", "Upgrade", "Remote-Addr"],
];
const usual = [
  ...["/latest/meta-data/", "/latest/user-data", "/latest/meta-data/instance-id"],
  ...["/latest/local-hostname", "/latest/meta-data/local-ipv4", "/latest/meta-data/public-keys/"],
  ...["/latest/meta-data/public-keys/0/openssh-key", "/latest/metadata/availability-zone"],
];
const odd = [
  ...["/", "/latest", "/latest/", "/latest/meta-data", "//latest//instance-id"],
  ...[`/metadata/${VICTIM}/instance-id`, `/userdata/${VICTIM}/user-data`, `/latest/${VICTIM}`],
  ...[`/latest/meta-data/../../${VICTIM}/instance-id`, `//${VICTIM}/latest/instance-id`],
  ...[`/latest/meta-data/%2e%2e/%2e%2e/metadata/${VICTIM}/instance-id`, `\\\\${VICTIM}\\latest`],
  ...[`/latest;${VICTIM}/instance-id`, `/latest/instance-id#${VICTIM}`, "/../../../etc/hostname"],
  ...["/latest/meta-data/instance-id/..;/..", `/latest/instance-id@${VICTIM}`, "*"],
];
const paths = [...usual, ...odd];
/** Mostly what is lawful: what is not ends a connection, and tells nothing of what follows. */
const mostly = (lawful: readonly string[], other: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...lawful) },
    { weight: 1, arbitrary: fc.constantFrom(...other) },
  );
const query = fc.constantFrom(
  ...["", "", `?ip=${VICTIM}`, `?instance-id=${VICTIM_ID}`, `?X-Forwarded-For=${VICTIM}`, "?"],
  ...[`?address=${VICTIM}&ip=${ASKER}`, `?url=http://${VICTIM}/`, "?a=%00%0d%0aHost:%20victim"],
);
const authority = mostly(
  ["", "", `http://${VICTIM}`, `http://${VICTIM}:80`, `http://${ROUTER}`],
  [`HTTP://${VICTIM}`, `http://${VICTIM}@${ROUTER}`, `https://${VICTIM}`, `//${VICTIM}`],
);
const host = mostly(
  [
    ...["Host: x", `Host: ${ROUTER}`, `Host: ${VICTIM}`, `Host: ${VICTIM}:80`, `host:${VICTIM}`],
    ...["Host: data-server.", `HOST:\t${VICTIM_ID}`, `Host: [::ffff:${VICTIM}]`],
  ],
  [
    ...[`Host: ${VICTIM}@x`, `Host: x\r\nHost: ${VICTIM}`, "Host: ", `Host: ${VICTIM}/latest`],
    ...[`Host : ${VICTIM}`, `X-No: host\r\n Host: ${VICTIM}`],
  ],
);
const form = `ip=${VICTIM}&password=asker&token=${TOKEN}`;
const body = fc.constantFrom(
  ...["", "", "", `Content-Length: 0\r\n`],
  `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n`,
);

/** One header line, or more, as servers read it in different ways. */
const line = fc
  .tuple(
    fc.constantFrom(...names),
    fc.constantFrom(...claims),
    fc.constantFrom(...claims),
    mostly(["plain", "lower", "upper", "twice", "spaced"], ["folded", "underscore"]),
  )
  .map(([name, value, other, shape]) => {
    if (shape === "lower") return `${name.toLowerCase()}:${value}`;
    if (shape === "upper") return `${name.toUpperCase()}: ${value}`;
    if (shape === "twice") return `${name}: ${other}\r\n${name.toLowerCase()}: ${value}`;
    if (shape === "folded") return `${name}: ${other},\r\n ${value}`;
    if (shape === "spaced") return `${name}: \t${value} \t`;
    if (shape === "underscore") return `${name.replaceAll("-", "_")}: ${value}`;
    return `${name}: ${value}`;
  });

/** One claim in all headers at once, as far as a request may have them. */
const everywhere = mostly([VICTIM], claims).map((value) =>
  names
    .filter((name) => name !== "Host" && name !== "Connection")
    .map((name) => `${name}: ${value}`),
);
const lines = fc.oneof(fc.array(line, { maxLength: 4 }), everywhere);

const request = fc
  .record({
    method: mostly(["GET", "GET", "HEAD"], ["POST", "PUT", "OPTIONS", "DELETE", "TRACE", "get"]),
    target: fc.tuple(authority, mostly(usual, odd), query).map((parts) => parts.join("")),
    version: mostly(["1.1"], ["1.0", "1.2"]),
    host,
    lines,
    body,
  })
  .map(({ method, target, version, host, lines, body }) => {
    const head = [`${method} ${target} HTTP/${version}`, host, ...lines].join("\r\n");
    return `${head}\r\n${body}\r\n${body.includes("form") ? form : ""}`;
  });

/** What a balancer sends before a connection's first request; here it comes from a guest. */
const preface = fc.oneof(
  { weight: 5, arbitrary: fc.constant(Buffer.alloc(0)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        `PROXY TCP4 ${VICTIM} ${ROUTER} 47011 80\r\n`,
        `PROXY TCP6 ::ffff:${VICTIM} ::ffff:${ROUTER} 47011 80\r\n`,
        "PROXY UNKNOWN\r\n",
        `proxy tcp4 ${VICTIM} ${ROUTER} 47011 80\r\n`,
        `\r\nPROXY TCP4 ${VICTIM} ${ROUTER} 47011 80\r\n`,
      ].map((text) => Buffer.from(text)),
      ...[proxy2(0x21, 0x11), proxy2(0x20, 0x00), proxy2(0x21, 0x12), proxy2(0x31, 0x11)],
    ),
  },
);

const conversation = fc.record({
  from: mostly([ASKER], [STRANGER]),
  plane: mostly(["metadata"], ["password"]),
  preface,
  requests: fc.array(request, { minLength: 1, maxLength: 4 }),
});

const lacking = loopbackMissing();

for (const rim of RIMS) {
  test.skipIf(lacking !== undefined)(
    `no request makes a guest another, on the ${rim} rim`,
    async () => {
      await using desk = await openDesk(rim);
      const own = new Set([...WORDS, "password-of-asker"]);
      for (const path of paths) for (const reply of await desk.plain(ASKER, path)) own.add(reply);
      const theirs = await desk.plain(VICTIM, "/latest/meta-data/instance-id");
      expect([[...own].some((reply) => reply.includes("askers-")), theirs]).toEqual([
        ...[true, [VICTIM_ID]],
      ]);
      let answered = 0;
      await fc.assert(
        fc.asyncProperty(conversation, async ({ from, plane, preface, requests }) => {
          const all = Buffer.concat([preface, Buffer.from(closing(requests), "latin1")]);
          const bytes = await desk.send(from, plane, all);
          for (const mark of MARKS) expect(bytes).not.toContain(mark);
          const allowed = from === ASKER ? own : new Set(WORDS);
          for (const { status, body } of split(bytes)) {
            expect([status, allowed.has(body) || body]).toEqual([status, true]);
            if (status !== 200) expect([status, body]).toEqual([status, ""]);
            if (body.includes("askers-")) answered++;
          }
        }),
        { numRuns: RUNS },
      );
      // Most are lawful, so the test would see if one were answered as another.
      expect(answered).toBeGreaterThan(RUNS / 10);
      expect(await desk.plain(VICTIM, "/latest/meta-data/instance-id")).toEqual(theirs);
      expect(await desk.password(VICTIM)).toBe("victims-password");
    },
    TEST_MS_MAX,
  );
}

interface Reply {
  readonly status: number;
  readonly body: string;
}

interface Desk extends AsyncDisposable {
  /** All bytes that come back until the router closes. */
  send(from: string, plane: string, bytes: Buffer): Promise<string>;
  /** The bodies for a path, asked for without any claim. */
  plain(from: string, path: string): Promise<readonly string[]>;
  password(from: string): Promise<string>;
}

async function openDesk(rim: Rim): Promise<Desk> {
  const folder = scratchFolder("identity", "in memory");
  const databags = join(folder.path, "databags");
  const tokenFile = join(folder.path, "token");
  writeFileSync(tokenFile, TOKEN, { mode: 0o600 });
  writeDatabags(databags, {
    ...{ router: ROUTER, prefix: 16 },
    instances: { [ASKER]: values("askers"), [VICTIM]: values("victims") },
  });
  const ports = { metadata: await freePort(ROUTER), password: await freePort(ROUTER) };
  const router: Router = await startRouter({
    ...{ rim, source: `databag:${databags}`, stateDir: join(folder.path, "state") },
    listen: [`${ROUTER}:${ports.metadata}`],
    passwordListen: [`${ROUTER}:${ports.password}`],
    more: ["--password-token-file", tokenFile],
  });
  for (const [ip_address, password] of [
    [ASKER, "password-of-asker"],
    [VICTIM, "victims-password"],
  ]) {
    const command = { ip_address, password, type: "vmpassword" };
    const { status } = await router.post("/apply?name=vm_password.json", JSON.stringify(command));
    expect(status).toBe(200);
  }
  const send = (from: string, plane: string, bytes: Buffer): Promise<string> =>
    exchange({ from, port: plane === "password" ? ports.password : ports.metadata, bytes });
  const ask = async (from: string, plane: string, text: string): Promise<readonly string[]> => {
    const head = `GET ${text}\r\nHost: x\r\nConnection: close\r\n\r\n`;
    return split(await send(from, plane, Buffer.from(head))).map(({ body }) => body);
  };
  return {
    send,
    plain: (from, path) => ask(from, "metadata", `${path} HTTP/1.1`),
    async password(from) {
      const [reply = ""] = await ask(
        from,
        "password",
        "/ HTTP/1.1\r\nDomU_Request: send_my_password",
      );
      return reply;
    },
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

function values(whose: string): readonly Entry[] {
  const keys = ["instance-id", "local-hostname", "service-offering", "availability-zone"];
  return [
    [
      "userdata",
      "user-data",
      Buffer.from(`#!/bin/sh\necho ${whose}-user-data\n`).toString("base64"),
    ],
    ...keys.map((key): Entry => ["metadata", key, `${whose}-${key}`]),
    ["metadata", "local-ipv4", whose === "askers" ? ASKER : VICTIM],
    ["metadata", "public-keys", `ssh-ed25519 AAAA ${whose}-key`],
  ];
}

/** The last one asks the server to close. */
function closing(requests: readonly string[]): string {
  const last = requests.at(-1) ?? "";
  const end = last.indexOf("\r\n");
  return `${requests.slice(0, -1).join("")}${last.slice(0, end)}\r\nConnection: close${last.slice(end)}`;
}

function exchange(sent: {
  readonly from: string;
  readonly port: number;
  readonly bytes: Buffer;
}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: ROUTER, port: sent.port, localAddress: sent.from });
    const chunks: Buffer[] = [];
    const late = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no close after ${JSON.stringify(Buffer.concat(chunks).toString())}`));
    }, CLOSE_MS_MAX);
    socket.on("connect", () => socket.write(sent.bytes));
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(late);
      resolve(Buffer.concat(chunks).toString("latin1"));
    });
  });
}

/** The replies in what has come. After HEAD there is no body, so the next reply stands there. */
function split(bytes: string): Reply[] {
  const replies: Reply[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf("\r\n\r\n", at);
    const head = bytes.slice(at, end === -1 ? bytes.length : end);
    expect(head).toStartWith("HTTP/1.1 ");
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    at = end === -1 ? bytes.length : end + 4;
    const isHead = bytes.startsWith("HTTP/1.1 ", at) || at === bytes.length;
    const body = isHead ? "" : bytes.slice(at, at + length);
    at += body.length;
    replies.push({ status: Number(head.slice(9, 12)), body });
  }
  return replies;
}

/** A header of PROXY protocol 2 that names the victim. */
function proxy2(command: number, family: number): Buffer {
  const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
  const addresses = [VICTIM, ROUTER].flatMap((address) => address.split(".").map(Number));
  const ends = family === 0 ? [] : [...addresses, 0xb7, 0xa3, 0, 80];
  return Buffer.concat([signature, Buffer.from([command, family, 0, ends.length, ...ends])]);
}
