/** The table of checks, one line each, in the order in which they are shown: the router first. */

import type { Check } from "../check.ts";
import { conditions } from "./conditions.ts";
import { dnsmasq } from "./dnsmasq.ts";
import { firewall } from "./firewall.ts";
import { linkLocal } from "./link-local.ts";
import { listeners } from "./listeners.ts";
import { clock, cpu, files, neighbours, programs } from "./machine.ts";
import { ports } from "./ports.ts";
import { ready } from "./ready.ts";
import { router } from "./router.ts";
import { sealKey } from "./seal-key.ts";
import { source } from "./source.ts";
import { state } from "./state.ts";

// biome-ignore format: a table reads best with one line for each check
export const CHECKS: readonly Check[] = [
  router,
  programs,
  conditions,
  ready,
  listeners,
  ports,
  linkLocal,
  source,
  state,
  sealKey,
  firewall,
  neighbours,
  files,
  clock,
  cpu,
  dnsmasq,
];
