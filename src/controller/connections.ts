/**
 * The connections of a listener: how many there are, and how many requests each may have waiting.
 *
 * Nobody needs a token to connect, so what a connection costs is bounded before anybody is asked
 * for one. Where there is no room for another, the one that has been idle longest makes it: silent
 * connections keep nobody out. Requests of one connection are run one at a time, each when the
 * answer before has gone out: who reads no answer makes no further work.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { peerKey } from "./attempts.ts";

/** Operators, their programs, and a console each: more is a mistake or an attack. */
export const CONNECTIONS_MAX = 256;

/** Of one peer: all that follow events, and as many that ask. A proxy's clients are one peer. */
export const PEER_CONNECTIONS_MAX = 64;

/** Requests of one connection without an answer. Few clients send one before its answer. */
export const REQUESTS_MAX = 8;

/** From a request's turn to the end of its answer: a minute to send, and one to read. ms. */
const EXCHANGE_MS_MAX = 120_000;

export interface ConnectionsOptions {
  /** Milliseconds that an exchange may take; tests have less time. */
  readonly exchangeMsMax?: number;
}

interface Connection {
  readonly socket: Socket;
  readonly name: string;
  readonly peer: string;
  /** Requests without an answer. */
  waiting: number;
  /** When the last of their answers has gone out. */
  answered: Promise<void>;
}

interface Exchange {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
}

export class Connections {
  readonly #exchangeMsMax: number;
  /** By name, as `nameOf` has it. */
  readonly #open = new Map<string, Connection>();
  /** How many each peer has. */
  readonly #counts = new Map<string, number>();
  /** Who may be closed for another, the longest idle first. We work for no one of them. */
  readonly #idle = new Set<Connection>();
  /** Answers without an end. */
  readonly #endless = new WeakSet<ServerResponse>();

  constructor({ exchangeMsMax = EXCHANGE_MS_MAX }: ConnectionsOptions = {}) {
    this.#exchangeMsMax = exchangeMsMax;
  }

  /** Takes a new connection in, or closes it. */
  take(socket: Socket): void {
    const peer = peerKey(socket.remoteAddress ?? "");
    if (!this.#hasRoom(peer)) {
      socket.destroy();
      return;
    }
    const name = nameOf(socket);
    const connection = { socket, name, peer, waiting: 0, answered: Promise.resolve() };
    this.#open.set(name, connection);
    this.#counts.set(peer, this.#countOf(peer) + 1);
    this.#idle.add(connection);
    socket.once("close", () => this.#forget(connection));
  }

  /** Runs a request when it is its turn, unless its connection is closed, or has too many. */
  async inTurn({ message, response }: Exchange, run: () => unknown): Promise<void> {
    const { socket } = message;
    const connection = this.#open.get(nameOf(socket));
    if (connection === undefined || connection.waiting >= REQUESTS_MAX) {
      socket.destroy();
      return;
    }
    const { answered } = connection;
    connection.waiting++;
    const gone = new Promise<void>((resolve) => {
      response.once("finish", resolve);
      response.once("close", resolve);
    });
    connection.answered = gone.then(() => {
      connection.waiting--;
      this.#rest(connection);
    });
    if (connection.waiting > 1) await answered;
    if (socket.destroyed) return;
    this.#limitTime({ message, response }, gone);
    // Half a request may be closed for another one.
    if (hasBody(message)) message.once("end", () => this.#idle.delete(connection));
    else this.#idle.delete(connection);
    await run();
  }

  /** The answer is there. What is left is to read it, unless it is without an end. */
  answers({ message, response }: Exchange, isEndless: boolean): void {
    if (isEndless) this.#endless.add(response);
    else this.#rest(this.#open.get(nameOf(message.socket)));
  }

  /** Of an answer without an end, a write may wait so long for its reader. */
  #limitTime({ message, response }: Exchange, gone: Promise<void>): void {
    let isStuck = false;
    const timer = setTimeout(() => {
      if (isStuck || !this.#endless.has(response)) {
        message.socket.destroy();
        return;
      }
      isStuck = response.writableNeedDrain;
      timer.refresh();
    }, this.#exchangeMsMax);
    timer.unref();
    response.on("drain", () => {
      isStuck = false;
    });
    void gone.then(() => clearTimeout(timer));
  }

  /** Makes it the last of the idle ones. */
  #rest(connection: Connection | undefined): void {
    if (connection === undefined || this.#open.get(connection.name) !== connection) return;
    this.#idle.delete(connection);
    this.#idle.add(connection);
  }

  #hasRoom(peer: string): boolean {
    if (this.#countOf(peer) >= PEER_CONNECTIONS_MAX) return this.#closeIdle(peer);
    return this.#open.size < CONNECTIONS_MAX || this.#closeIdle();
  }

  /** @returns whether there was one, of this peer if one is named. */
  #closeIdle(peer?: string): boolean {
    for (const connection of this.#idle) {
      if (peer !== undefined && connection.peer !== peer) continue;
      this.#forget(connection);
      connection.socket.destroy();
      return true;
    }
    return false;
  }

  #forget(connection: Connection): void {
    const { name, peer } = connection;
    if (this.#open.get(name) !== connection) return;
    this.#open.delete(name);
    this.#idle.delete(connection);
    const count = this.#countOf(peer) - 1;
    if (count > 0) this.#counts.set(peer, count);
    else this.#counts.delete(peer);
  }

  #countOf(peer: string): number {
    return this.#counts.get(peer) ?? 0;
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  const length = Number(headers["content-length"] ?? 0);
  return length > 0 || headers["transfer-encoding"] !== undefined;
}

/** With TLS a request has another socket than its connection: both have the same addresses. */
function nameOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
