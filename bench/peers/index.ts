import { apache } from "./apache.ts";
import { epoll } from "./epoll.ts";
import { frontdeskBun, frontdeskNode } from "./frontdesk.ts";
import { nginx } from "./nginx.ts";
import type { Peer } from "./peer.ts";

/** One line per server; the order is that of the tables. */
export const peers: readonly Peer[] = [frontdeskBun, frontdeskNode, nginx, apache, epoll];
