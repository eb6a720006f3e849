import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { checkApiListen, openApiListener } from "./http.ts";

test("an address where guests ask is refused, and why is said", () => {
  const router = [
    { host: "10.1.1.1", port: 80 },
    { host: "169.254.169.254", port: 80 },
  ];
  const lab = [{ host: "127.0.0.1", port: 8775 }];
  const cases: readonly (readonly [listen: string, guests: typeof lab, message: RegExp | null])[] =
    [
      ["127.0.0.1:8776", [], null],
      ["127.0.0.1:8776", lab, null],
      ["127.0.0.1:8775", lab, /guests are answered on 127.0.0.1:8775/],
      ["192.0.2.1:8776", router, null],
      ["10.1.1.1:8776", router, /guests are answered on 10.1.1.1:80/],
      ["169.254.169.254:8776", [], /ask for metadata there/],
      ["fd00:ec2::254:8776", [], /ask for metadata there/],
      ["fd00:0ec2:0:0::254:8776", [], /ask for metadata there/],
      ["::ffff:169.254.169.254:8776", [], /metadata there/],
      ["0.0.0.0:8776", [], null],
      ["0.0.0.0:8776", lab, null],
      ["0.0.0.0:8776", router, /every address includes the guests' 10.1.1.1:80/],
      [":::8776", router, /every address includes/],
      ["localhost:8776", [], /write ADDR:PORT/],
    ];
  for (const [listen, guests, message] of cases) {
    const at = listen.lastIndexOf(":");
    const where = { host: listen.slice(0, at), port: Number(listen.slice(at + 1)) };
    const run = () => checkApiListen(where, guests);
    if (message === null) expect(run).not.toThrow();
    else expect(run).toThrow(message);
  }
});

test("an address that is taken, and files that are no certificate, are said", async () => {
  const listen = { host: "127.0.0.1", port: 0 };
  const fetch = () => new Response("x");
  await using one = await openApiListener({ listen, fetch });
  const again = openApiListener({
    listen: { ...listen, port: Number(new URL(one.url).port) },
    fetch,
  });
  await expect(again).rejects.toThrow(/is held by process \d+ \(.*\); stop it, or choose another/);
  const missing = openApiListener({ listen, fetch, tls: { cert: "/nowhere", key: "/nowhere" } });
  await expect(missing).rejects.toThrow(/cannot be read \(ENOENT\)/);
});

test("a key that others may read is refused", async () => {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-tls-"));
  try {
    const key = join(folder, "key.pem");
    writeFileSync(key, "no key");
    const listen = { host: "127.0.0.1", port: 0 };
    const open = () =>
      openApiListener({ listen, fetch: () => new Response("x"), tls: { cert: key, key } });
    for (const [mode, said] of [
      [0o644, /has mode 644: others may use it; run chmod 600/],
      [0o604, /has mode 604/],
      [0o660, /has mode 660/],
      [0o640, /do not fit together/],
      [0o600, /do not fit together/],
    ] as const) {
      chmodSync(key, mode);
      await expect(open()).rejects.toThrow(said);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a body that says no length is bounded as any other, and stays what it is", async () => {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 1000, onError: (c) => c.text("too large", 413) }));
  app.post("/", async (c) => c.text(`${c.req.raw.method} ${(await c.req.text()).length}`));
  const listen = { host: "127.0.0.1", port: 0 };
  const fetch = (given: Request) => app.fetch(given);
  await using listener = await openApiListener({ listen, fetch });
  const ask = (length: number, headers: Record<string, string>) =>
    new Promise<string>((resolve, reject) => {
      const asking = request(listener.url, { method: "POST", headers }, (answer) =>
        resolve(text(answer)),
      );
      asking.on("error", reject).end("x".repeat(length));
    });
  for (const [length, said] of [
    [5, "POST 5"],
    [1000, "POST 1000"],
    [1001, "too large"],
  ] as const) {
    expect(await ask(length, { "transfer-encoding": "chunked" })).toBe(said);
    expect(await ask(length, { "content-length": String(length) })).toBe(said);
  }
});
