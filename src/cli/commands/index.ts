/** The table of commands, one line each, in the order of `--help`. */

import type { Entry } from "../command.ts";

// biome-ignore format: a table reads best with one line for each command
export const commands: readonly Entry[] = [
  { name: "demo", summary: "sample instances on loopback", load: () => import("./demo.ts") },
  { name: "router", summary: "answer guests", load: () => import("./router.ts") },
  { name: "controller", summary: "keep a store true for routers", load: () => import("./controller.ts") },
  { name: "serve", summary: "a controller and a router in one", load: () => import("./serve.ts") },
  { name: "bridge", summary: "bring IPv6 guests to an IPv4 service", load: () => import("./bridge.ts") },
  { name: "apply", summary: "hand commands to the router", load: () => import("./apply.ts") },
  { name: "why", summary: "explain what a guest is told", load: () => import("./why.ts") },
  { name: "doctor", summary: "say why the router does not answer", load: () => import("./doctor.ts") },
  { name: "instances", summary: "list, show and seal instances", load: () => import("./instances.ts") },
  { name: "networks", summary: "list networks", load: () => import("./networks.ts") },
  { name: "userdata", summary: "read and set user data", load: () => import("./userdata.ts") },
  { name: "payload", summary: "scripts and archives beyond user data", load: () => import("./payload.ts") },
  { name: "events", summary: "follow what changes", load: () => import("./events.ts") },
  { name: "token", summary: "who may use the operator API", load: () => import("./token.ts") },
  { name: "guest", summary: "the tools inside an instance", load: () => import("./guest.ts") },
  { name: "import", summary: "write instances as YAML", load: () => import("./import.ts") },
  { name: "config", summary: "check a configuration file", load: () => import("./config.ts") },
  { name: "completion", summary: "set up tab completion", load: () => import("./completion.ts") },
  { name: "complete", hidden: true, summary: "for scripts", load: () => import("./complete.ts") },
];
