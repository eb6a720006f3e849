/**
 * CloudStack's events from RabbitMQ: a queue of our own at its topic exchange, that ends with us.
 *
 * Nothing is acknowledged and nothing kept, because an event only says "look again". Whatever may
 * have been missed while there was no connection, a look at everything finds.
 */

import type { Connection, ConnectionOptions } from "rabbitmq-client";
import type { Conditions } from "../../observe/conditions.ts";
import type { Log } from "../../observe/log.ts";
import type { SecretSource } from "../secrets.ts";
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

export interface RabbitUser {
  readonly username: string;
  readonly password: string;
}

export interface RabbitSettings {
  /** `amqp://HOST[:PORT][/VHOST]`, or `amqps:`; without a user. */
  readonly url: URL;
  readonly user: SecretSource<RabbitUser>;
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
  /** Of tests. */
  readonly connect?: Connect;
}

type Connect = (
  options: ConnectionOptions,
) => Pick<Connection, "on" | "createConsumer" | "unsafeDestroy" | "ready">;

export interface Rabbit extends AsyncDisposable {
  /** Whether events come now. */
  readonly isFollowing: boolean;
  /**
   * Reads the user anew. The bus is followed as the former one until it takes the new one; where it
   * refuses that, a condition says so.
   *
   * @throws {ConfigError | StateError} if the user cannot be read.
   */
  reload(): Promise<void>;
}

/**
 * Connects, now and again whenever that is lost: a condition says what is wrong.
 *
 * @throws {ConfigError | StateError} if the user cannot be read.
 */
export async function followRabbit(settings: RabbitSettings, ports: RabbitPorts): Promise<Rabbit> {
  const { Connection } = await import("rabbitmq-client");
  const { connect = (options: ConnectionOptions) => new Connection(options) } = ports;
  const user = await settings.user.read();
  return new Follower(settings, { ...ports, connect }, user);
}

/** A connection of one user. */
interface Line {
  readonly user: RabbitUser;
  readonly connection: ReturnType<Connect>;
  isFollowing: boolean;
  /** What it still says, nobody listens to. */
  isOver: boolean;
}

class Follower implements Rabbit {
  readonly #settings: RabbitSettings;
  readonly #ports: RabbitPorts & { readonly connect: Connect };
  #current: Line;
  /** Of the user that was read last, until the bus takes or refuses it. */
  #next: Line | undefined;

  constructor(
    settings: RabbitSettings,
    ports: RabbitPorts & { readonly connect: Connect },
    user: RabbitUser,
  ) {
    this.#settings = settings;
    this.#ports = ports;
    this.#current = this.#open(user);
  }

  get isFollowing(): boolean {
    return this.#current.isFollowing && this.#current.connection.ready;
  }

  async reload(): Promise<void> {
    const user = await this.#settings.user.read();
    if (this.#current.isOver || isSame(user, (this.#next ?? this.#current).user)) return;
    if (this.#next !== undefined) end(this.#next);
    this.#next = isSame(user, this.#current.user) ? undefined : this.#open(user);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    end(this.#current);
    if (this.#next !== undefined) end(this.#next);
    this.#ports.conditions.clear("HINTS_DOWN", this.#settings.url.host);
  }

  #open(user: RabbitUser): Line {
    const { exchange } = this.#settings;
    const connection = this.#ports.connect(this.#options(user));
    const line: Line = { user, connection, isFollowing: false, isOver: false };
    const fail = (error: unknown): void => {
      if (!line.isOver) this.#fail(line, error);
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
        if (!line.isOver) this.#take(message.body);
      },
    );
    consumer.on("error", fail);
    consumer.on("ready", () => {
      if (!line.isOver) this.#follow(line);
    });
    return line;
  }

  #options({ username, password }: RabbitUser): ConnectionOptions {
    const { url, ca } = this.#settings;
    const isSecure = url.protocol === "amqps:";
    return {
      hostname: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? (isSecure ? "5671" : "5672") : url.port,
      vhost: url.pathname.length > 1 ? decodeURIComponent(url.pathname.slice(1)) : "/",
      ...{ username, password },
      ...(isSecure && { tls: ca === undefined ? true : { ca } }),
      connectionTimeout: CONNECT_MS_MAX,
      ...{ retryLow: this.#ports.retryMsMin ?? RETRY_MS_MIN, retryHigh: RETRY_MS_MAX },
      connectionName: "frontdesk",
    };
  }

  #take(body: unknown): void {
    const said = hintOf(bodyOf(body));
    this.#ports.counts.add("rabbitmq", said.kind === "look" ? "looked" : "ignored");
    if (said.kind === "look") this.#ports.hint(said.id);
  }

  #follow(line: Line): void {
    const { url, exchange, user } = this.#settings;
    const { conditions, log, hint } = this.#ports;
    line.isFollowing = true;
    if (line === this.#next) {
      end(this.#current);
      this.#current = line;
      this.#next = undefined;
      conditions.clear("CREDENTIALS_UNREADABLE", user.file ?? "");
    }
    conditions.clear("HINTS_DOWN", url.host);
    log.info({ exchange, at: url.host }, "following the event bus");
    hint();
  }

  #fail(line: Line, error: unknown): void {
    const { url, exchange, user } = this.#settings;
    const { conditions } = this.#ports;
    line.isFollowing = false;
    const reason = reasonOf(error, exchange);
    if (line !== this.#next) {
      conditions.raise("HINTS_DOWN", url.host, reason);
      return;
    }
    // Where the bus does not answer at all, it has not refused: both go on asking.
    if (!isRefusal(error)) return;
    end(line);
    this.#next = undefined;
    conditions.raise("CREDENTIALS_UNREADABLE", user.file ?? "", `${url.host}: ${reason}`);
  }
}

function isSame(a: RabbitUser, b: RabbitUser): boolean {
  return a.username === b.username && a.password === b.password;
}

/** Nothing is under way that would have to end in order. */
function end(line: Line): void {
  line.isOver = true;
  line.isFollowing = false;
  line.connection.unsafeDestroy();
}

const REFUSALS: ReadonlySet<string> = new Set(["ACCESS_REFUSED", "NOT_ALLOWED"]);

function isRefusal(error: unknown): boolean {
  return REFUSALS.has((error as { code?: string }).code ?? "");
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
  if (isRefusal(error)) return "the user or the password is refused, or lacks a permission";
  const isLate = /timeout|timed out/i.test(message);
  return `${code || "no connection"}${isLate ? ": no answer in time" : ""}`;
}
