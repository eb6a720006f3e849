/**
 * Connections to one address, kept open from one request to the next.
 *
 * Four at most, as browsers and clouds' own clients have: whoever comes fifth waits for one. A
 * connection that waits keeps no program running.
 */

import type { Socket } from "node:net";

const CONNECTIONS_MAX = 4;

export interface Connection {
  readonly socket: Socket;
  /** Whether a reply has come over it before. */
  readonly reused: boolean;
}

/** How long somebody may wait. A closure and no signal, of which a request needs none more. */
export interface Limit {
  readonly isOver: boolean;
  /** Calls this, and nothing that was named before, when it is over. */
  onOver(call: () => void): void;
}

export interface Connections {
  /** One that is open, or opening; `undefined` when none was free before the limit. */
  take(limit: Limit): Promise<Connection | undefined>;
  /** Back for the next request; one that cannot be used again is to be destroyed before. */
  give(connection: Connection): void;
  /** Ends all that wait. */
  close(): void;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export function openConnections(address: Address): Connections {
  const idle: Socket[] = [];
  const waiting: (() => void)[] = [];
  let open = 0;
  let closed = false;

  /** All of them: one whose time has just run out must not be the only one to hear of it. */
  const wake = (): void => {
    for (const look of waiting.splice(0)) look();
  };
  const make = async (): Promise<Connection> => {
    open++;
    const socket = await connect(address);
    socket.once("close", () => {
      open--;
      const at = idle.indexOf(socket);
      if (at !== -1) idle.splice(at, 1);
      wake();
    });
    return { socket, reused: false };
  };
  return {
    async take(limit) {
      for (;;) {
        if (limit.isOver) return undefined;
        const socket = idle.pop();
        if (socket?.destroyed === false) return { socket: socket.ref(), reused: true };
        if (socket === undefined && open < CONNECTIONS_MAX) return await make();
        if (socket === undefined) await turn(waiting, limit);
      }
    },
    give({ socket }) {
      if (!socket.destroyed) {
        if (closed) socket.destroy();
        else idle.push(socket.unref());
      }
      wake();
    },
    close() {
      closed = true;
      for (const socket of idle.splice(0)) socket.destroy();
    },
  };
}

/** A connection that is opening. What goes wrong is said by its `error`, for who listens. */
export async function connect({ host, port }: Address): Promise<Socket> {
  // Loaded when it is needed: an answer from the cache does without.
  const net = await import("node:net");
  const socket = net.connect({ host, port, noDelay: true });
  // While nobody uses it, its end is all that counts; `close` tells of that.
  socket.on("error", () => {});
  // Bytes that nobody has asked for are no reply to what is asked next.
  socket.on("data", () => {
    if (socket.listenerCount("data") === 1) socket.destroy();
  });
  return socket;
}

/** Resolves when one may be free, or the limit is over. */
function turn(waiting: (() => void)[], limit: Limit): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    limit.onOver(resolve);
  });
}
