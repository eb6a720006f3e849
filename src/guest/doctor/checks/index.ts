/** The table of checks, one line each, in the order in which they are shown: nearest first. */

import type { Check } from "../check.ts";
import { address } from "./address.ts";
import { agreement } from "./agreement.ts";
import { clock } from "./clock.ts";
import { cloudInit } from "./cloud-init.ts";
import { conflict } from "./conflict.ts";
import { connect } from "./connect.ts";
import { dhcp } from "./dhcp.ts";
import { dmi } from "./dmi.ts";
import { dns } from "./dns.ts";
import { egress } from "./egress.ts";
import { http } from "./http.ts";
import { keys } from "./keys.ts";
import { mtu } from "./mtu.ts";
import { neighbour } from "./neighbour.ts";
import { password } from "./password.ts";
import { proxy } from "./proxy.ts";
import { route } from "./route.ts";
import { source } from "./source.ts";
import { tokens } from "./tokens.ts";
import { userData } from "./user-data.ts";

// biome-ignore format: a table reads best with one line for each check
export const CHECKS: readonly Check[] = [
  address,
  route,
  source,
  conflict,
  neighbour,
  egress,
  dhcp,
  dns,
  proxy,
  connect,
  http,
  mtu,
  agreement,
  keys,
  userData,
  password,
  tokens,
  clock,
  dmi,
  cloudInit,
];
