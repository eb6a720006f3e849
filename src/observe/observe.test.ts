import { expect, test } from "bun:test";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Access, AccessLog } from "./access-log.ts";
import { Conditions } from "./conditions.ts";
import { createLog } from "./log.ts";
import { METRICS, Metrics, type Sample } from "./metrics.ts";
import { FileSink, type Sink } from "./sink.ts";

test("a condition stays until it is cleared, and keeps the time of its first raise", () => {
  let now = 1;
  const told: string[] = [];
  const conditions = new Conditions(
    () => now,
    ({ code, subject }, holds) => told.push(`${code} ${subject} ${holds}`),
  );
  conditions.raise("SOURCE_SHRANK", "vmdata.json", "3 entries");
  now = 2;
  conditions.raise("SOURCE_SHRANK", "vmdata.json", "4 entries");
  conditions.raise("SOURCE_MALFORMED", "ips.json");
  expect(conditions.list().map(({ code, since, detail }) => [code, since, detail])).toEqual([
    ["SOURCE_MALFORMED", 2, ""],
    ["SOURCE_SHRANK", 1, "4 entries"],
  ]);
  conditions.clear("SOURCE_SHRANK", "vmdata.json");
  conditions.clear("SOURCE_SHRANK", "vmdata.json");
  expect(told).toEqual([
    "SOURCE_SHRANK vmdata.json true",
    "SOURCE_MALFORMED ips.json true",
    "SOURCE_SHRANK vmdata.json false",
  ]);
});

test("of ten thousand subjects of one condition a hundred are kept", () => {
  const conditions = new Conditions(() => 0);
  for (let index = 0; index < 10_000; index++) conditions.raise("KEY_REFUSED", String(index));
  expect(conditions.list().length).toBe(100);
  expect(conditions.count("KEY_REFUSED")).toBe(100);
});

test("an access line is one JSON object whatever the names are", () => {
  const { sink, text } = memory();
  const log = new AccessLog(sink, () => 1000);
  log.record({
    plane: "metadata",
    address: '10.1.1.5"\n',
    network: 'a"b\n\u001b[31m',
    instance: "i\r\n",
    what: "key",
    status: 200,
  });
  log.record({
    plane: "password",
    address: "10.1.1.6",
    network: undefined,
    instance: undefined,
    what: "nothing-pending",
    status: 200,
  });
  const [first, second, ...rest] = text().split("\n");
  expect(rest).toEqual([""]);
  expect(JSON.parse(first ?? "")).toMatchObject({ network: 'a"b\n\u001b[31m', instance: "i\r\n" });
  expect(JSON.parse(second ?? "")).toEqual({
    level: 30,
    time: 1000,
    msg: "request",
    plane: "password",
    address: "10.1.1.6",
    what: "nothing-pending",
    status: 200,
  });
});

test("guests in a loop neither fill the log nor silence the others", () => {
  const { sink, text } = memory();
  let now = 0;
  const log = new AccessLog(sink, () => now);
  const loop = (instance: string | undefined, times: number): void => {
    const network = instance === undefined ? undefined : "n";
    const who = { plane: "metadata", address: "a", network, instance } as const;
    for (let index = 0; index < times; index++) log.record({ ...who, what: "key", status: 404 });
  };
  const lines = (): number => text().split("\n").length - 1;
  loop("loud", 20_000);
  loop(undefined, 20_000);
  expect([lines(), log.suppressed]).toEqual([600, 39_400]);
  loop("quiet", 30);
  expect(lines()).toBe(630);
  for (let index = 0; index < 100; index++) loop(`i-${index}`, 100);
  expect(lines()).toBe(5000);
  now = 1000;
  loop("loud", 1);
  expect(lines()).toBe(5001);
});

test("an address that is withheld shares no allowance with strangers, nor with instances", () => {
  const { sink, text } = memory();
  const log = new AccessLog(sink, () => 0);
  const loop = (who: Partial<Access>, times: number): number => {
    const before = text().split("\n").length;
    const access = { plane: "metadata", address: "stranger", what: "key", status: 404 } as const;
    const nobody = { network: undefined, instance: undefined };
    for (let index = 0; index < times; index++) log.record({ ...access, ...nobody, ...who });
    return text().split("\n").length - before;
  };
  expect(loop({}, 1000)).toBe(500);
  expect(loop({ network: "n", address: "10.1.1.1" }, 1000)).toBe(100);
  expect(loop({ network: "n", address: "10.1.1.2" }, 30)).toBe(30);
  for (let index = 0; index < 100; index++) loop({ network: "n", address: `liar ${index}` }, 100);
  expect(text().split("\n").length - 1).toBe(1500);
  expect(loop({ network: "n", instance: "i" }, 30)).toBe(30);
  expect(JSON.parse(text().split("\n")[500] ?? "")).toMatchObject({ network: "n" });
});

test("secrets are masked in the program's log, in case one slips in", () => {
  const { sink, text } = memory();
  createLog(sink, "info").info({ password: "hunter2", nested: { token: "t0ken" } }, "careless");
  expect(text()).not.toMatch(/hunter2|t0ken/);
  expect(JSON.parse(text())).toMatchObject({ password: "[masked]", msg: "careless" });
});

test("lines are written together and in order, and a full disk costs only lines", async () => {
  const folder = mkdtempSync(join(tmpdir(), "frontdesk-sink-"));
  try {
    const path = join(folder, "log");
    const sink = new FileSink(openSync(path, "w"));
    for (let index = 0; index < 10_000; index++) sink.write(`line ${index}\n`);
    await Bun.sleep(150);
    sink.write("last\n");
    sink.flushSync();
    const lines = readFileSync(path, "utf8").split("\n");
    expect([lines.length, lines[0], lines[9_999], lines[10_000]]).toEqual([
      10_002,
      "line 0",
      "line 9999",
      "last",
    ]);
    const full = new FileSink(openSync("/dev/full", "w"));
    for (let index = 0; index < 10_000; index++) full.write(`${"x".repeat(1000)}\n`);
    await Bun.sleep(150);
    full.flushSync();
    expect(full.dropped).toBeGreaterThan(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("every metric of the table is in the Prometheus text, with its type by its name", async () => {
  let requests = 2;
  const metrics = new Metrics(function* (): Generator<Sample> {
    yield ["frontdesk_router_requests_total", ["metadata", "key", "200"], requests];
    yield ["frontdesk_router_bindings", [], 7];
  });
  await metrics.text();
  requests = 5;
  const text = await metrics.text();
  expect(text).toContain(
    'frontdesk_router_requests_total{plane="metadata",what="key",status="200"} 5',
  );
  expect(text).toContain("frontdesk_router_bindings 7");
  for (const name of Object.keys(METRICS)) {
    if (/^frontdesk_(bridge|controller)_/.test(name)) continue; // Of other programs.
    const type = name.endsWith("_total") ? "counter" : "gauge";
    expect(text).toContain(`# TYPE ${name} ${type}`);
    expect(name).toMatch(/^frontdesk_/);
  }
});

function memory(): { sink: Sink; text: () => string } {
  let all = "";
  const write = (lines: string): void => {
    all += lines;
  };
  const sink = { write, dropped: 0, flushSync: () => {} };
  return { sink, text: () => all };
}
