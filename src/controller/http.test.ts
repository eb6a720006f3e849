import { expect, test } from "bun:test";
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
  const again = openApiListener({ listen: { ...listen, port: one.port }, fetch });
  await expect(again).rejects.toThrow(/is in use; choose another/);
  const missing = openApiListener({ listen, fetch, tls: { cert: "/nowhere", key: "/nowhere" } });
  await expect(missing).rejects.toThrow(/cannot be read \(ENOENT\)/);
  const wrong = { cert: import.meta.path, key: import.meta.path };
  await expect(openApiListener({ listen, fetch, tls: wrong })).rejects.toThrow(/do not fit/);
});
