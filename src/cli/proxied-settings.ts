/**
 * What a configuration file says of listeners for bridges, for the router.
 */

import type { LoadedConfig } from "../config/load.ts";
import { type Cidr, parseCidr } from "../model/address.ts";
import type { ProxiedSettings } from "../router/proxied.ts";
import { parseListens } from "./addresses.ts";

/** @param netns the namespace of the router that asks; its own when absent */
export function proxiedSettings(file: LoadedConfig, netns?: string): readonly ProxiedSettings[] {
  return (file.config.proxied ?? [])
    .filter((given) => given.netns === netns)
    .map(({ listen = [], passwordListen = [], trusted }) => ({
      listen: [
        ...targets(parseListens(listen, "proxied.listen", "metadata")),
        ...targets(parseListens(passwordListen, "proxied.passwordListen", "password")),
      ],
      trusted: trusted.map(rangeOf),
    }));
}

/** The schema has refused "auto". */
function targets<T>(listens: "auto" | readonly T[]): readonly T[] {
  return listens === "auto" ? [] : listens;
}

function rangeOf(text: string): Cidr {
  if (text.includes("/")) return parseCidr(text);
  return parseCidr(`${text}/${text.includes(":") ? 128 : 32}`);
}
