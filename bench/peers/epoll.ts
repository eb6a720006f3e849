/** The limit: a C responder that does nothing but send a fixed reply. See `epoll.c`. */

import { which } from "../machine.ts";
import type { Peer } from "./peer.ts";

export const epoll: Peer = {
  name: "epoll",
  title: "C epoll, fixed reply (limit)",
  fixed: true,
  largePath: "/16k",
  missing: () => (which("cc") === undefined ? "cc is not installed (gcc, libc6-dev)" : undefined),
  command: ({ site, port }) => [site.programs.epoll ?? "epoll", String(port)],
};
