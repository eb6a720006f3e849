/**
 * What a guest's connection may cost, the same on both rims.
 */

/** A connection without traffic is closed after this. Clients need 5 s at least. Seconds. */
export const IDLE_TIMEOUT_S = 10;

/** The same for one that waits in line for a large body: a turn, and time to end it. Seconds. */
export const WAITING_TIMEOUT_S = 20;

/** A request's headers must be complete within this: slow senders hold nothing for long. ms. */
export const HEADERS_TIMEOUT_MS = 10_000;

/** A request, its body included, must be complete within this. ms. */
export const REQUEST_TIMEOUT_MS = 15_000;

/** Request line and headers together. Bytes; the largest real client sends under 1 KiB. */
export const HEADER_BYTES_MAX = 16 * 1024;

/** Header fields of a request: what Bun allows. Real clients send ten. */
export const HEADER_FIELDS_MAX = 200;

/** Requests of one connection that wait for their turn. No client sends one before its reply. */
export const PIPELINED_MAX = 100;

/** Connections that wait to be accepted: a thousand guests may start in one instant. */
export const BACKLOG = 4096;
