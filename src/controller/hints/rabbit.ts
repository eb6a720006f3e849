/**
 * CloudStack's events from RabbitMQ: a queue of our own at its topic exchange, that ends with us.
 *
 * Nothing is acknowledged and nothing kept, because an event only says "look again". Whatever may
 * have been missed while there was no connection, a look at everything finds.
 */

import type { Conditions } from "../../observe/conditions.ts";
import type { Log } from "../../observe/log.ts";
import { type HintCounts, hintOf } from "./event.ts";

/** The exchange that CloudStack's documentation names. */
export const EXCHANGE = "cloudstack-events";

/** Usage and alerts are not asked for. */
const KEYS = ["*.ActionEvent.#", "*.ResourceStateEvent.#", "*.AsyncJobEvent.#"];

/** Events that wait for us, at most: more would say no more. */
const QUEUE_EVENTS_MAX = 10_000;

/** Longer bodies are not parsed: results of jobs can be large. Bytes. */
const BODY_BYTES_MAX = 256 * 1024;

/** How long a connection may take, and the waits between two tries. ms. */
const CONNECT_MS_MAX = 10_000;
const RETRY_MS_MIN = 1000;
const RETRY_MS_MAX = 30_000;

export interface RabbitSettings {
  /** `amqp://HOST[:PORT][/VHOST]`, or `amqps:`; without a user. */
  readonly url: URL;
  readonly username: string;
  readonly password: string;
  readonly exchange: string;
  /** A certificate to trust instead of the system's, in PEM. */
  readonly ca?: string;
}

export interface RabbitPorts {
  readonly hint: (id?: string) => void;
  readonly counts: HintCounts;
  readonly conditions: Conditions;
  readonly log: Log;
  readonly retryMsMin?: number;
}

export interface Rabbit extends AsyncDisposable {
  /** Whether events come now. */
  readonly isFollowing: boolean;
}

/** Connects, now and again whenever that is lost. Never throws: a condition says what is wrong. */
export async function followRabbit(settings: RabbitSettings, ports: RabbitPorts): Promise<Rabbit> {
  const { Connection } = await import("rabbitmq-client");
  const { url, username, password, exchange, ca } = settings;
  const { hint, counts, conditions, log, retryMsMin = RETRY_MS_MIN } = ports;
  const isSecure = url.protocol === "amqps:";
  const subject = url.host;
  let isFollowing = false;
  let isClosed = false;
  const connection = new Connection({
    hostname: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (isSecure ? "5671" : "5672") : url.port,
    vhost: url.pathname.length > 1 ? decodeURIComponent(url.pathname.slice(1)) : "/",
    ...{ username, password },
    ...(isSecure && { tls: ca === undefined ? true : { ca } }),
    connectionTimeout: CONNECT_MS_MAX,
    ...{ retryLow: retryMsMin, retryHigh: RETRY_MS_MAX },
    connectionName: "frontdesk",
  });
  const fail = (error: unknown): void => {
    if (isClosed) return;
    isFollowing = false;
    conditions.raise("HINTS_DOWN", subject, reasonOf(error, exchange));
  };
  connection.on("error", fail);
  const consumer = connection.createConsumer(
    {
      noAck: true,
      exclusive: true,
      queueOptions: {
        exclusive: true,
        autoDelete: true,
        arguments: { "x-max-length": QUEUE_EVENTS_MAX },
      },
      // It is CloudStack's: where it is not there, its name is wrong.
      exchanges: [{ exchange, passive: true }],
      queueBindings: KEYS.map((routingKey) => ({ exchange, routingKey })),
    },
    (message) => {
      const said = hintOf(bodyOf(message.body));
      counts.add("rabbitmq", said.kind === "look" ? "looked" : "ignored");
      if (said.kind === "look") hint(said.id);
    },
  );
  consumer.on("error", fail);
  consumer.on("ready", () => {
    isFollowing = true;
    conditions.clear("HINTS_DOWN", subject);
    log.info({ exchange, at: subject }, "following the event bus");
    hint();
  });
  return {
    get isFollowing() {
      return isFollowing && connection.ready;
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      isFollowing = false;
      conditions.clear("HINTS_DOWN", subject);
      // Nothing is under way that would have to end in order.
      connection.unsafeDestroy();
    },
  };
}

/** A message's body is parsed by the client only where its sender said that it is JSON. */
function bodyOf(body: unknown): unknown {
  if (!Buffer.isBuffer(body) && typeof body !== "string") return body;
  if (body.length > BODY_BYTES_MAX) return undefined;
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

/** What the client says, without the address that it may repeat: that could have a password. */
function reasonOf(error: unknown, exchange: string): string {
  const { code = "", message = "" } = error as { code?: string; message?: string };
  if (code === "NOT_FOUND") return `there is no exchange ${JSON.stringify(exchange)}`;
  if (code === "ACCESS_REFUSED")
    return "the user or the password is refused, or lacks a permission";
  const isLate = /timeout|timed out/i.test(message);
  return `${code || "no connection"}${isLate ? ": no answer in time" : ""}`;
}
