/**
 * What the bridge needs of others: something that speaks HTTP to guests. The command hands in the
 * router's rim, so that both programs refuse the same requests.
 */

import type { Ip } from "../model/address.ts";
import type { GuestRequest, Reply } from "../protocol/http.ts";

export interface BridgeRequest extends GuestRequest {
  /** The peer's address as the runtime prints it, perhaps with a zone. */
  readonly peer: string | undefined;
}

export interface BridgeReply extends Reply {
  /** Told the status that is sent, where a body has to be read first. */
  readonly onStatus?: (status: number) => void;
}

/** @param zone the device of the listener, where its address is a link-local one */
export type BridgeHandler = (request: BridgeRequest, zone?: string) => Promise<BridgeReply>;

export interface GuestSide {
  /** @throws {ListenError} if the address is taken, not local, or not permitted. */
  listen(options: {
    readonly at: { readonly host: string; readonly port: number };
    readonly handler: (request: BridgeRequest) => Promise<BridgeReply>;
    readonly bodyBytesMax: number;
  }): Promise<{ close(graceMs: number): Promise<void> }>;
}

/** What a reply is worth to the access log. */
export interface Answered {
  readonly plane: "metadata" | "password";
  readonly peer: string;
  readonly device: string | undefined;
  /** The guest's IPv4 address, once that is known. */
  readonly guest: Ip | undefined;
  readonly what: string;
  readonly status: number;
}
