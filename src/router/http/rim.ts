/**
 * The rim: where HTTP meets a runtime. `bun.ts` and `node.ts` implement it, and one contract suite
 * holds both. A rim parses nothing that the protocol decides about, and never writes a body of its
 * own: whatever fails, the guest gets a status and an empty body.
 */

import type { GuestRequest, Reply } from "../../protocol/http.ts";

export interface RimRequest extends GuestRequest {
  /** The peer's address as the runtime prints it; `undefined` on a unix socket. */
  readonly peer: string | undefined;
  /** The bridge that vouches for the peer; absent where it has connected by itself. */
  readonly via?: string | undefined;
  /**
   * Reads the request's body.
   *
   * @throws {RangeError} if it is longer than the listener's `bodyBytesMax`.
   */
  body(): Promise<Uint8Array>;
}

export interface RimReply extends Reply {
  /**
   * Told the status that is sent, where a body has to be read first and may be unreadable; 0 where
   * the connection ends without a reply.
   */
  readonly onStatus?: (status: number) => void;
}

/** May be async; an exception becomes 500 with an empty body. */
export type Handler = (request: RimRequest) => RimReply | Promise<RimReply>;

export type ListenAddress =
  | { readonly host: string; readonly port: number }
  | { readonly unix: string };

export interface ListenOptions {
  readonly at: ListenAddress;
  readonly handler: Handler;
  /** Longer request bodies are refused, 413 or a close. */
  readonly bodyBytesMax: number;
}

export interface Listener {
  /** Where it listens; the port is the real one when 0 was asked for. */
  readonly at: ListenAddress;
  /** Stops accepting, lets requests under way end for `graceMs`, then closes. */
  close(graceMs: number): Promise<void>;
}

export interface Rim {
  readonly name: "bun" | "node";
  /** @throws {ListenError} if the address is taken, not local, or not permitted. */
  listen(options: ListenOptions): Promise<Listener>;
  /** Collects garbage beside the program; absent where the runtime has no such thing. */
  readonly collect?: () => void;
  /** The same at once: nothing else runs meanwhile, some 30 ms. For programs without guests. */
  readonly collectNow?: () => void;
  /** Gives back memory that only the start has used; absent where there is nothing to give. */
  readonly releaseCode?: () => void;
}
