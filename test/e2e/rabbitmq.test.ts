/**
 * CloudStack's event bus, with a real RabbitMQ server: an event becomes a hint, and a server that
 * goes, comes back or refuses is a condition and never an error.
 */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { Connection } from "rabbitmq-client";
import { HintCounts } from "../../src/controller/hints/event.ts";
import {
  EXCHANGE,
  followRabbit,
  type RabbitPorts,
  type RabbitSettings,
  type RabbitUser,
} from "../../src/controller/hints/rabbit.ts";
import type { SecretSource } from "../../src/controller/secrets.ts";
import { change } from "../../src/controller/testing.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { openControllerLab } from "./controller-lab.ts";
import { hasTool } from "./lab.ts";
import { until } from "./program.ts";
import { type RabbitServer, rabbitMissing, startRabbit, USER } from "./rabbitmq.ts";

const lacking = rabbitMissing(hasTool);
const TEST_MS_MAX = 240_000;
const WAIT_MS_MAX = 40_000;
const ID = "5d6a7f10-3c2b-4a19-8e77-0f1e2d3c4b5a";
const EVENTS = ["action-event", "async-job-event", "resource-state-event"];

interface Sample {
  readonly routingKey: string;
  readonly body: object;
}

const samples = EVENTS.map((name) => {
  return JSON.parse(readFileSync(`fixtures/cloudstack/events/${name}.json`, "utf8")) as Sample;
});

test.skipIf(lacking !== undefined)(
  "CloudStack's events are hints, across a server that goes and comes back",
  async () => {
    await using server = await startRabbit();
    const hints: (string | undefined)[] = [];
    const conditions = new Conditions(() => 0);
    const counts = new HintCounts();
    const ports = {
      ...{ conditions, counts, retryMsMin: 100 },
      log: pino({ level: "silent" }),
      hint: (id?: string) => hints.push(id),
    };
    const raised = () => conditions.list().map(({ code, detail }) => `${code} ${detail}`);
    const settings: RabbitSettings = { url: server.url, user: secretOf(USER), exchange: EXCHANGE };

    // CloudStack has not declared its exchange yet.
    await using rabbit = await followRabbit(settings, ports);
    await until("the condition", WAIT_MS_MAX, () => raised().length > 0);
    expect(raised()).toEqual([`HINTS_DOWN there is no exchange "${EXCHANGE}"`]);

    await publish(server.url, async () => {
      await until("the exchange to be followed", WAIT_MS_MAX, () => rabbit.isFollowing);
      expect(raised()).toEqual([]);
      // Whatever was missed until now is looked for.
      expect(hints.splice(0)).toEqual([undefined]);
    });
    await publish(server.url, async (send) => {
      for (const { routingKey, body } of samples) await send(routingKey, JSON.stringify(body));
      await send("management-server.UsageEvent.VM-START.VirtualMachine.1", "{}");
      await send("management-server.ActionEvent.USER-LOGIN.User.1", '{"event":"USER.LOGIN"}');
      await send("management-server.ActionEvent.X.Y.Z", "no JSON");
      await until("all events", WAIT_MS_MAX, () => hints.length === 4);
    });
    expect(hints.splice(0)).toEqual([ID, ID, ID, undefined]);
    expect(counts.list()).toEqual([
      [["rabbitmq", "looked"], 4],
      [["rabbitmq", "ignored"], 1],
    ]);

    await followedByProgram(server.url);
    // This process has heard it too.
    expect(hints.splice(0)).toEqual([ID]);

    await takesAnotherUser(server, ports);
    hints.splice(0);

    await server.stop();
    await until("the condition", WAIT_MS_MAX, () => raised().length > 0);
    expect(rabbit.isFollowing).toBe(false);
    await server.start();
    await until("events to come again", WAIT_MS_MAX, () => rabbit.isFollowing);
    expect(raised()).toEqual([]);
    expect(hints).toEqual([undefined]);

    const wrong = { ...settings, user: secretOf({ ...USER, password: "EXAMPLE-wrong" }) };
    await using refused = await followRabbit(wrong, ports);
    await until("the refusal", WAIT_MS_MAX, () => raised().length > 0);
    expect(raised()[0]).toStartWith("HINTS_DOWN the user or the password is refused");
    expect(JSON.stringify(conditions.list())).not.toContain("EXAMPLE");
    expect(refused.isFollowing).toBe(false);
  },
  TEST_MS_MAX,
);

/** The whole program: an event's change is in the store within a second. */
async function followedByProgram(url: URL): Promise<void> {
  await using lab = await openControllerLab(5);
  change(lab.api, "i-1", { id: ID });
  const file = join(lab.folder, "bus.env");
  const lines = [
    `FRONTDESK_AMQP_USER=${USER.username}`,
    `FRONTDESK_AMQP_PASSWORD=${USER.password}`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`, { mode: 0o600 });
  await lab.start("--amqp", url.href, "--amqp-credentials-file", file, "--poll-seconds", "3600");
  await until("the bus to be followed", WAIT_MS_MAX, async () => {
    return (JSON.parse((await lab.admin("/status")).body) as { events?: boolean }).events === true;
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  change(lab.api, ID, { name: "renamed" });
  const [sample] = samples;
  await publish(url, async (send) => {
    const begun = performance.now();
    await send(sample?.routingKey ?? "", JSON.stringify(sample?.body));
    await until("the change", WAIT_MS_MAX, async () => {
      return (await lab.records()).get(ID)?.name === "renamed";
    });
    expect(performance.now() - begun).toBeLessThan(1000);
  });
  expect(await lab.conditions()).toEqual([]);
}

/** Another user is taken while the events go on, and one that the bus refuses is not. */
async function takesAnotherUser(
  server: RabbitServer,
  ports: Omit<RabbitPorts, "conditions">,
): Promise<void> {
  const conditions = new Conditions(() => 0);
  const given = { user: { ...USER } as RabbitUser };
  const user = { file: "bus.env", read: async () => given.user };
  const settings = { url: server.url, user, exchange: EXCHANGE };
  await using rabbit = await followRabbit(settings, { ...ports, conditions });
  await until("the bus to be followed", WAIT_MS_MAX, () => rabbit.isFollowing);
  const raised = () => conditions.list().map(({ code, subject }) => `${code} ${subject}`);

  given.user = { ...USER, password: "EXAMPLE-wrong" };
  await rabbit.reload();
  await until("the refusal", WAIT_MS_MAX, () => raised().length > 0);
  expect(raised()).toEqual(["CREDENTIALS_UNREADABLE bus.env"]);
  expect(rabbit.isFollowing).toBe(true);
  expect(JSON.stringify(conditions.list())).not.toContain("EXAMPLE");

  given.user = { username: "another", password: "EXAMPLE-another" };
  await server.control("add_user", given.user.username, given.user.password);
  await server.control("set_permissions", given.user.username, ".*", ".*", ".*");
  await rabbit.reload();
  await until("the condition to be over", WAIT_MS_MAX, () => raised().length === 0);
  expect(rabbit.isFollowing).toBe(true);
  const users = async () => (await server.control("list_connections", "user")).trim().split("\n");
  await until("the former one to be gone", WAIT_MS_MAX, async () => {
    return (await users()).filter((name) => name === given.user.username).length === 1;
  });
}

function secretOf(user: RabbitUser): SecretSource<RabbitUser> {
  return { read: async () => user };
}

/** Declares the exchange as CloudStack does, and sends to it. */
async function publish(
  url: URL,
  work: (send: (routingKey: string, body: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  const { username, password } = USER;
  const connection = new Connection({
    ...{ hostname: url.hostname, port: url.port, username, password },
  });
  const exchanges = [{ exchange: EXCHANGE, type: "topic", durable: true }];
  const publisher = connection.createPublisher({ confirm: true, exchanges });
  try {
    // The exchange is declared with the first message; this one matches no binding.
    await publisher.send({ exchange: EXCHANGE, routingKey: "nobody" }, "");
    await work((routingKey, body) => publisher.send({ exchange: EXCHANGE, routingKey }, body));
  } finally {
    await publisher.close();
    await connection.close();
  }
}
