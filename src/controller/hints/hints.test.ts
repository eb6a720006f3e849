import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { Conditions } from "../../observe/conditions.ts";
import { HintCounts, hintOf } from "./event.ts";
import { DELIVERY_BYTES_MAX, webhookApp } from "./webhook.ts";

const ID = "5d6a7f10-3c2b-4a19-8e77-0f1e2d3c4b5a";
const SECRET = "webhook-secret-example";
const EVENTS = "fixtures/cloudstack/events";

test("an event of CloudStack's names the instance to look at, or everything, or nothing", () => {
  const sample = (name: string): unknown =>
    (JSON.parse(readFileSync(`${EVENTS}/${name}.json`, "utf8")) as { body: unknown }).body;
  const cases: readonly (readonly [body: unknown, hint: object])[] = [
    [sample("action-event"), { kind: "look", id: ID }],
    [sample("resource-state-event"), { kind: "look", id: ID }],
    [sample("async-job-event"), { kind: "look", id: ID }],
    [{ event: "STATICNAT.ENABLE", entity: "IpAddress", entityuuid: ID }, { kind: "look" }],
    [{ event: "NETWORK.UPDATE", entity: "Network", entityuuid: ID }, { kind: "look" }],
    [{ event: "USER.LOGIN", entity: "User", entityuuid: ID }, { kind: "nothing" }],
    [{ event: "VOLUME.CREATE", entity: "Volume" }, { kind: "nothing" }],
    [{ resource: "Volume", id: ID, "new-state": "Ready" }, { kind: "nothing" }],
    [{ commandEventType: "SNAPSHOT.CREATE", instanceType: "Snapshot" }, { kind: "nothing" }],
    // Whatever is no name of CloudStack's is not asked for.
    [{ entity: "VirtualMachine", entityuuid: "i&listall=true" }, { kind: "look" }],
    [{ entity: "VirtualMachine" }, { kind: "look" }],
    [{}, { kind: "look" }],
    [[], { kind: "look" }],
    ["text", { kind: "look" }],
    [undefined, { kind: "look" }],
  ];
  for (const [body, hint] of cases) expect(hintOf(body)).toEqual(hint as never);
});

function openWebhook() {
  const hints: (string | undefined)[] = [];
  const conditions = new Conditions(() => 0);
  const counts = new HintCounts();
  const app = webhookApp({
    secret: () => SECRET,
    hint: (id) => hints.push(id),
    counts,
    conditions,
  });
  const post = async (body: string, headers: Record<string, string>): Promise<number> =>
    (await app.request("/cloudstack", { method: "POST", body, headers })).status;
  return { hints, conditions, counts, post };
}

/** The recorded delivery: its header fields and its body. */
function recorded(): { body: string; headers: Record<string, string> } {
  const text = readFileSync(`${EVENTS}/webhook-request.txt`, "utf8");
  const [head = "", rest = ""] = text.replaceAll("\r", "").split("\n\n");
  const fields = head.split("\n").slice(1);
  const headers = Object.fromEntries(fields.map((field) => field.split(": ") as [string, string]));
  return { body: rest.split("\n")[0] ?? "", headers };
}

test("a delivery as CloudStack signs it is a hint", async () => {
  const { hints, counts, post } = openWebhook();
  const { body, headers } = recorded();
  expect(await post(body, headers)).toBe(200);
  expect(hints).toEqual([ID]);
  expect(counts.list()).toEqual([[["webhook", "looked"], 1]]);
});

test("a delivery without a good signature does nothing, and is counted", async () => {
  const { body, headers } = recorded();
  const right = headers["X-CS-Signature"] ?? "";
  const other = createHmac("sha256", "another secret").update(body).digest("base64");
  const { hints, counts, conditions, post } = openWebhook();
  const cases: readonly (readonly [string, string | undefined])[] = [
    [body, undefined],
    [body, ""],
    [body, other],
    [body, right.slice(0, -4)],
    [`${body} `, right],
    ["", right],
  ];
  for (const [sent, signature] of cases) {
    const given = signature === undefined ? {} : { "X-CS-Signature": signature };
    expect(await post(sent, given)).toBe(401);
  }
  expect(hints).toEqual([]);
  expect(counts.list()).toEqual([[["webhook", "refused"], cases.length]]);
  expect(conditions.list().map(({ code }) => code)).toEqual(["WEBHOOK_REFUSED"]);
});

test("a delivery that is too long is not read", async () => {
  const { hints, post } = openWebhook();
  const body = " ".repeat(DELIVERY_BYTES_MAX + 1);
  const signature = createHmac("sha256", SECRET).update(body).digest("base64");
  expect(await post(body, { "X-CS-Signature": signature })).toBe(413);
  expect(hints).toEqual([]);
});
