/**
 * What discovery found, in words: for an error's message and for `--verbose`.
 */

import { type Candidate, type Discovery, type Endpoint, VIA_TITLES } from "./endpoint.ts";

/** Why nobody was chosen: the ones that said something first. */
export function explain({ candidates, ms }: Discovery): string {
  if (candidates.length === 0) return "no address is known at which metadata may be served";
  const list = candidates.map(({ endpoint, answer }) => `${endpoint.url} ${wordsOf(answer)}`);
  const seconds = (ms / 1000).toFixed(1);
  return `no service answers with metadata after ${seconds} s: ${list.join("; ")}`;
}

/** `http://10.1.1.1, the DHCP server (/run/systemd/netif/leases/2)`. */
export function whereOf({ url, via, source }: Endpoint): string {
  return `${url}, ${VIA_TITLES[via]}${source === undefined ? "" : ` (${source})`}`;
}

function wordsOf(answer: Candidate["answer"]): string {
  switch (answer.kind) {
    case "metadata":
      return "serves metadata";
    case "unknown-instance":
      return "does not know this instance (404)";
    case "not-yet":
      return "is not ready (503)";
    case "refused":
      return `refuses (${answer.status})`;
    case "broken":
      return `fails (${answer.status})`;
    case "redirect":
      return `redirects elsewhere (${answer.status})`;
    case "other":
      return `answers, but not with metadata (${answer.status})`;
    case "connection-refused":
      return "refuses the connection";
    case "unreachable":
      return `cannot be reached (${answer.code})`;
    case "timeout":
      return "does not answer";
    case "malformed":
      return `sends no HTTP that can be used (${answer.code})`;
    case "abandoned":
      return "was not waited for";
  }
}
