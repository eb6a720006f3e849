/**
 * A TCP connection that is written and read byte by byte, as a client of any age would.
 */

import { once } from "node:events";
import { createConnection, type Socket } from "node:net";

/** A router answers in milliseconds; the shortest time limit of a real client is a second. */
const ANSWER_MS_MAX = 5_000;

export interface WireReply {
  readonly statusLine: string;
  readonly status: number;
  /** Names in lower case, in the order of the wire. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  /** How many reads it took until the reply was whole. */
  readonly reads: number;
}

export interface Wire extends Disposable {
  /** Sends bytes as they are and waits for one whole reply. */
  exchange(request: string): Promise<WireReply>;
  send(bytes: string): void;
  /** Waits for one whole reply to what was sent. */
  receive(head?: boolean): Promise<WireReply>;
  /** Resolves when the server has closed the connection. */
  closed(): Promise<void>;
}

/** Connects from `from`, which is how a guest on loopback has an address of its own. */
export async function connect(at: {
  readonly host: string;
  readonly port: number;
  readonly from: string;
}): Promise<Wire> {
  const socket = createConnection({ host: at.host, port: at.port, localAddress: at.from });
  socket.setNoDelay(true);
  await once(socket, "connect");
  let bytes = Buffer.alloc(0);
  let reads = 0;
  let ended = false;
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const resolve of waiting) resolve();
    waiting.clear();
  };
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    reads += 1;
    wake();
  });
  for (const event of ["end", "close", "error"]) {
    socket.on(event, () => {
      ended = true;
      wake();
    });
  }
  const receive = async (head = false): Promise<WireReply> => {
    const reply = await within(async () => {
      for (;;) {
        const whole = parseReply(bytes, { head, ended });
        if (whole !== undefined) return whole;
        if (ended) throw new Error(`closed after ${JSON.stringify(bytes.toString("latin1"))}`);
        await new Promise<void>((resolve) => waiting.add(resolve));
      }
    }, socket);
    const result = { ...reply.reply, reads };
    bytes = bytes.subarray(reply.length);
    reads = 0;
    return result;
  };
  return {
    receive,
    send: (text) => void socket.write(text, "latin1"),
    exchange(request) {
      socket.write(request, "latin1");
      return receive(request.startsWith("HEAD "));
    },
    closed: () =>
      within(async () => {
        while (!ended) await new Promise<void>((resolve) => waiting.add(resolve));
        if (bytes.length > 0) throw new Error("there were bytes behind the reply");
      }, socket),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** The first whole reply in `bytes`, and its length; `undefined` while more has to come. */
function parseReply(
  bytes: Buffer,
  known: { readonly head: boolean; readonly ended: boolean },
): { readonly reply: Omit<WireReply, "reads">; readonly length: number } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [statusLine = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const status = Number(statusLine.split(" ")[1]);
  const start = end + 4;
  const length = headers.find(([name]) => name === "content-length")?.[1];
  const bodyless = known.head || status === 304 || status === 204;
  if (length === undefined && !bodyless && !known.ended) return undefined;
  const size = bodyless ? 0 : Number(length ?? bytes.length - start);
  if (bytes.length < start + size) return undefined;
  const body = Buffer.from(bytes.subarray(start, start + size));
  return { reply: { statusLine, status, headers, body }, length: start + size };
}

async function within<T>(work: () => Promise<T>, socket: Socket): Promise<T> {
  const timer = setTimeout(() => socket.destroy(new Error("no answer")), ANSWER_MS_MAX);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
