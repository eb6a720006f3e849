/**
 * How long `doctor` waits, and how much it reads. Everything runs side by side, so that the whole
 * takes about as long as the slowest of each step: a silent resolver, a silent router.
 */

/** A connection on one network takes a few ms; a lost SYN is sent again after 1 s and 3 s. ms. */
export const CONNECT_MS = 3_500;

/** An answer: a client of EC2's kind gives up after 1 s, cloud-init after 5 s. ms. */
export const ANSWER_MS = 3_000;

/** From here on an answer is slow: the time that SDKs of EC2's kind allow. ms. */
export const SLOW_MS = 1_000;

/** The resolver: its own first try takes 5 s, which every client would have to bear. ms. */
export const RESOLVE_MS = 3_000;

/** A packet of one size, answered or lost. A lost segment is sent again after 200 ms. ms. */
export const SIZE_MS = 1_200;

/** Packets that networks are known to stop at: tunnels, PPPoE, VXLAN, IPv6's least, X.25. Bytes. */
export const SIZES: readonly number[] = [
  1_492, 1_476, 1_450, 1_430, 1_400, 1_350, 1_300, 1_280, 1_000, 576, 296,
];

/** More than two full segments on Ethernet, and less than any server's limit of a line. Bytes. */
export const LARGE_BYTES = 3_200;

/** IPv4's and TCP's headers with timestamps. Bytes. */
export const HEADERS_BYTES = 52;

/** Two clocks of one network; certificates and signatures fail from 300 s on. ms. */
export const CLOCK_SKEW_MS = 300_000;
