/**
 * Real clients, replayed: each file beside this one is what one client sends, in its order.
 *
 * Beside what a file says of a reply, every reply keeps what no client may be denied: its length is
 * said, it is neither encoded nor chunked, and it arrives in one read.
 */

import { expect, test } from "bun:test";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { scratchFolder } from "../e2e/leftovers.ts";
import {
  copyToLoopback,
  freePort,
  LOOPBACK_ROUTER,
  loopbackMissing,
  toLoopback,
} from "../e2e/loopback.ts";
import { RIMS, type Rim, startRouter } from "../e2e/router.ts";
import { type Exchange, parseExchanges } from "./exchange.ts";
import { connect, type Wire, type WireReply } from "./wire.ts";

const TEST_MS_MAX = 30_000;
const NEVER = ["content-encoding", "transfer-encoding", "location", "set-cookie"];

const lacking = loopbackMissing();
const files = globSync(join(import.meta.dirname, "*.http")).sort();

test("there are clients to replay", () => {
  expect(files.length).toBeGreaterThanOrEqual(9);
});

for (const rim of RIMS) {
  for (const file of files) {
    test.skipIf(lacking !== undefined)(
      `${basename(file, ".http")} gets what it needs from the ${rim} rim`,
      () => replay(rim, file),
      TEST_MS_MAX,
    );
  }
}

async function replay(rim: Rim, file: string): Promise<void> {
  using folder = scratchFolder("client");
  const databags = join(folder.path, "databags");
  copyToLoopback(databags);
  const ports = {
    metadata: await freePort(LOOPBACK_ROUTER),
    password: await freePort(LOOPBACK_ROUTER),
  };
  await using _router = await startRouter({
    rim,
    source: `databag:${databags}`,
    listen: [`${LOOPBACK_ROUTER}:${ports.metadata}`],
    passwordListen: [`${LOOPBACK_ROUTER}:${ports.password}`],
    stateDir: join(folder.path, "state"),
  });
  let wire: Wire | undefined;
  try {
    for (const exchange of parseExchanges(readFileSync(file, "utf8"))) {
      if (!exchange.sameConnection) {
        wire?.[Symbol.dispose]();
        wire = await connect({
          host: LOOPBACK_ROUTER,
          port: ports[exchange.port],
          from: toLoopback(exchange.from),
        });
      }
      if (wire === undefined) throw new Error("the first exchange has no connection to go on with");
      await check(wire, exchange, `${basename(file)}:${exchange.line} ${exchange.title}`);
    }
  } finally {
    wire?.[Symbol.dispose]();
  }
}

async function check(wire: Wire, exchange: Exchange, where: string): Promise<void> {
  const reply = await wire.exchange(exchange.request);
  const body = toLoopback(exchange.body.toString("latin1"));
  expect({ where, status: reply.status, body: reply.body.toString("latin1") }).toEqual({
    where,
    status: exchange.status,
    body,
  });
  checkForm(reply, where);
  if (exchange.close) await wire.closed();
}

function checkForm(reply: WireReply, where: string): void {
  const names = reply.headers.map(([name]) => name);
  expect({ where, reads: reply.reads }).toEqual({ where, reads: 1 });
  expect({ where, lengths: names.filter((name) => name === "content-length").length }).toEqual({
    where,
    lengths: 1,
  });
  expect({ where, never: names.filter((name) => NEVER.includes(name)) }).toEqual({
    where,
    never: [],
  });
}
