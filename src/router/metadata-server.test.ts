import { afterEach, describe, expect, test } from "bun:test";
import { type Ip, parseIp } from "../model/address.ts";
import type { StoredBody } from "../model/binding.ts";
import type { Access } from "../observe/access-log.ts";
import { AccessLog } from "../observe/access-log.ts";
import { Conditions } from "../observe/conditions.ts";
import { render, Shapes } from "../protocol/document.ts";
import type { Entry } from "./directory.ts";
import { bunRim } from "./http/bun.ts";
import { nodeRim } from "./http/node.ts";
import type { Listener, Rim } from "./http/rim.ts";
import { metadataHandler } from "./metadata-server.ts";
import { Traffic } from "./traffic.ts";

const GUEST = parseIp("127.0.0.1");
const CONTENT = new Uint8Array(100_000).fill(7);

const opened: Listener[] = [];
afterEach(async () => {
  for (const listener of opened.splice(0)) await listener.close(0);
});

for (const rim of [bunRim, nodeRim]) {
  describe(`user data from a disk, on the ${rim.name} rim`, () => {
    test("is logged as 200 when it is sent, with and without its bytes", async () => {
      let reads = 0;
      const read = async () => {
        reads++;
        return CONTENT;
      };
      const { url, accesses } = await serve(rim, { length: CONTENT.length, hash: rim.name, read });
      const reply = await fetch(url);
      expect(new Uint8Array(await reply.arrayBuffer())).toEqual(CONTENT);
      const head = await fetch(url, { method: "HEAD" });
      expect(head.headers.get("content-length")).toBe("100000");
      expect(accesses.map(({ what, status }) => [what, status])).toEqual([
        ["user-data", 200],
        ["user-data", 200],
      ]);
      expect(reads).toBe(1);
    });

    test("is logged as 500 when it cannot be read, and read anew the next time", async () => {
      let fails = true;
      const read = async () => {
        if (fails) throw new Error("not whole");
        return CONTENT;
      };
      const { url, accesses } = await serve(rim, { length: 5, hash: `bad ${rim.name}`, read });
      const broken = await fetch(url);
      expect([broken.status, await broken.text()]).toEqual([500, ""]);
      fails = false;
      expect((await fetch(url)).status).toBe(200);
      expect(accesses.map(({ status }) => status)).toEqual([500, 200]);
    });
  });
}

async function serve(rim: Rim, userData: StoredBody): Promise<{ url: string; accesses: Access[] }> {
  const { document } = render([["instance-id", "i-1"]], userData, new Shapes());
  const entry: Entry = {
    ...{ kind: "bound", network: "eth0", address: GUEST, epoch: 1, instance: "i-1", name: "web" },
    ...{ document, origin: { kind: "file", place: "test" } },
  };
  const accesses: Access[] = [];
  const sink = { write: () => {}, dropped: 0, flushSync: () => {} };
  const traffic = new Traffic(new AccessLog(sink, Date.now), (access) => accesses.push(access));
  const handler = metadataHandler({
    find: (peer) => ((peer as Ip) === GUEST ? entry : undefined),
    ...{ traffic, conditions: new Conditions(Date.now), now: Date.now },
    loadingSince: () => undefined,
    hosts: { mode: () => "any", allowed: () => new Set() },
  });
  const listener = await rim.listen({ at: { host: GUEST, port: 0 }, handler, bodyBytesMax: 1024 });
  opened.push(listener);
  const port = "port" in listener.at ? listener.at.port : 0;
  return { url: `http://127.0.0.1:${port}/latest/user-data`, accesses };
}
