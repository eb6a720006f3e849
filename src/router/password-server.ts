/**
 * The password port: who asks, what is pending, what was handed in.
 *
 * Nothing is thrown to the rim and nothing is refused in words: a guest would take the words for
 * its password.
 */

import { networkInterfaces } from "node:os";
import { type Ip, tryParseIp } from "../model/address.ts";
import type { NetworkId } from "../model/binding.ts";
import { CommandError } from "../model/errors.ts";
import { parseForm } from "../protocol/form.ts";
import type { Reply } from "../protocol/http.ts";
import {
  ACKNOWLEDGED,
  NOT_UNDERSTOOD,
  NOTHING_PENDING,
  POSTED,
  passwordReply,
  readPasswordAsk,
  WRONG_METHOD,
} from "../protocol/password.ts";
import type { Handler, RimRequest } from "./http/rim.ts";
import { isSameToken } from "./password-token.ts";
import type { Passwords } from "./passwords.ts";

/** A form with an address, a password and a token, and room for a client's own headers. Bytes. */
export const PASSWORD_BODY_BYTES_MAX = 16 * 1024;

/** How long the list of the machine's addresses is believed: a guest may ask for it often. ms. */
const OWN_ADDRESSES_MS = 1_000;

/** An address in the epoch that it has now. */
export interface Recipient {
  readonly network: NetworkId;
  readonly address: Ip;
  readonly epoch: number;
  /** An operator has closed it: it is given none, whoever asks from it. */
  readonly sealed?: boolean;
}

export type PasswordOutcome =
  | "password-sent"
  | "nothing-pending"
  | "acknowledged"
  | "bad-request"
  | "saved"
  /** Kept in memory for whoever has the address next. */
  | "held"
  | "refused"
  | "method";

/** For the access log and the metrics. Never a secret. */
export interface PasswordAnswer {
  readonly outcome: PasswordOutcome;
  readonly status: number;
  /** The peer as the runtime prints it. */
  readonly peer: string;
  /** The bridge that the peer asked through. */
  readonly via?: string | undefined;
  /** Who was meant, if that is known. */
  readonly recipient?: Recipient;
}

export interface PasswordPorts {
  /** Who a peer is. */
  identify(peer: string): Promise<Recipient | undefined>;
  /** Who has an address, or will have it once its metadata is here. */
  locate(ip: Ip): Recipient | undefined;
  /**
   * Gives a password to the source, where that takes commands: it knows best whose an address will
   * be. Resolves when it is durable, with how many changes it made; rejects if it is refused.
   *
   * @returns `undefined` where the source takes no commands.
   */
  readonly handIn?: (address: Ip, password: string) => Promise<number> | undefined;
  readonly passwords: Passwords;
  /** The router's own addresses, as `tryParseIp` makes them. */
  ownAddresses(): ReadonlySet<string>;
  token(): string | undefined;
  onAnswer(answer: PasswordAnswer): void;
}

export function passwordHandler(ports: PasswordPorts): Handler {
  return async (request) => {
    const { reply, outcome, recipient } = await answer(request, ports);
    const { via, peer = "" } = request;
    const { status } = reply;
    ports.onAnswer({
      outcome,
      status,
      peer,
      via,
      ...(recipient === undefined ? {} : { recipient }),
    });
    return reply;
  };
}

interface Answer {
  readonly reply: Reply;
  readonly outcome: PasswordOutcome;
  readonly recipient?: Recipient | undefined;
}

async function answer(request: RimRequest, ports: PasswordPorts): Promise<Answer> {
  const ask = readPasswordAsk(request.method, (name) => request.header(name));
  if (ask === "bad-method") return { reply: WRONG_METHOD, outcome: "method" };
  if (ask === "bad-request") return { reply: NOT_UNDERSTOOD, outcome: "bad-request" };
  if (ask === "ignore") return { reply: POSTED, outcome: "bad-request" };
  if (ask === "save") return save(request, ports);
  const { passwords } = ports;
  const recipient = request.peer === undefined ? undefined : await ports.identify(request.peer);
  if (recipient === undefined) return { reply: NOTHING_PENDING, outcome: "nothing-pending" };
  const { network, address, epoch, sealed } = recipient;
  if (sealed === true) {
    // Nor does a word of it count: a password that waits must be there when it is opened.
    const reply = ask === "send" ? NOTHING_PENDING : ACKNOWLEDGED;
    return { reply, outcome: "nothing-pending", recipient };
  }
  passwords.claim(network, address, epoch);
  if (ask === "send") {
    const password = passwords.send(network, address, epoch);
    const outcome = password === undefined ? "nothing-pending" : "password-sent";
    return { reply: passwordReply(password), outcome, recipient };
  }
  const isPending = passwords.pending(network, address, epoch) !== undefined;
  await passwords.acknowledge(network, address, epoch);
  const outcome = isPending ? "acknowledged" : "nothing-pending";
  return { reply: ACKNOWLEDGED, outcome, recipient };
}

/** A password that the router's own command hands in. Durable before it is answered. */
async function save(request: RimRequest, ports: PasswordPorts): Promise<Answer> {
  const refused: Answer = { reply: POSTED, outcome: "refused" };
  const peer = tryParseIp(request.peer);
  if (peer === undefined || !ports.ownAddresses().has(peer)) return refused;
  const token = ports.token();
  if (token === undefined) return refused;
  const form = await readForm(request);
  const given = form?.get("token");
  if (given === undefined || !isSameToken(token, given)) return refused;
  const address = tryParseIp(form?.get("ip"));
  const password = form?.get("password");
  if (address === undefined || password === undefined) return refused;
  try {
    const outcome = await deliver(address, password, ports);
    return { reply: POSTED, outcome, recipient: ports.locate(address) };
  } catch {
    // The disk cannot be written. It is delivered all the same, and a condition says so.
    return { reply: POSTED, outcome: "refused", recipient: ports.locate(address) };
  }
}

/**
 * It may come before the instance is known, and never again: so it is kept.
 *
 * @throws {StateError} if it is in force, but cannot be made durable.
 */
async function deliver(
  address: Ip,
  password: string,
  ports: PasswordPorts,
): Promise<PasswordOutcome> {
  try {
    if (((await ports.handIn?.(address, password)) ?? 0) > 0) return "saved";
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
  }
  const recipient = ports.locate(address);
  if (recipient === undefined) {
    ports.passwords.hold(address, password);
    return "held";
  }
  const { sealed: _, ...at } = recipient;
  const how = { password, via: "save_password", standing: false };
  await ports.passwords.offer({ kind: "password", ...at, ...how });
  return "saved";
}

async function readForm(request: RimRequest): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const body = await request.body();
    if (body.length > PASSWORD_BODY_BYTES_MAX) return undefined;
    return parseForm(request.header("content-type"), body);
  } catch {
    return undefined; // Too long, or cut off.
  }
}

/**
 * The addresses of this machine's interfaces, and those that `listening` adds.
 *
 * @param now milliseconds, by any clock
 */
export function ownAddresses(
  listening: () => Iterable<string>,
  now: () => number,
): () => ReadonlySet<string> {
  let known: ReadonlySet<string> = new Set();
  let readAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (now() - readAt < OWN_ADDRESSES_MS) return known;
    readAt = now();
    const found = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    const texts = ["127.0.0.1", "::1", ...listening(), ...found.map(({ address }) => address)];
    // Link-local addresses may carry a zone, which is no part of them.
    const own = new Set<string>();
    for (const text of texts) {
      const address = tryParseIp(text.split("%", 1)[0]);
      // "Every address" is what a listener may say, and no address.
      if (address !== undefined && address !== "0.0.0.0" && address !== "::") own.add(address);
    }
    known = own;
    return known;
  };
}
