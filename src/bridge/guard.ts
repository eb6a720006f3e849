/**
 * A table that lets each guest have so many connections to the bridge, however many IPv6 addresses
 * it has: counted by its MAC address, before they are accepted. One guest's silent connections
 * would else take all the descriptors of a program that serves others.
 */

import type { Ip } from "../model/address.ts";

export const GUARD = ["ip6", "frontdesk_bridge"] as const;
const NAME = GUARD.join(" ");

/** Open connections of one MAC address, on all of our ports. Real clients have one or two. */
const CONNECTIONS_PER_GUEST_MAX = 64;
/** MAC addresses that are counted at a time; beyond these one is not limited. 40 bytes each. */
const GUESTS_MAX = 65_536;

/** For `nft -f`: replaces the table. */
export function guardText(listen: readonly { readonly host: Ip; readonly port: number }[]): string {
  const ours = [...new Set(listen.map(({ host, port }) => `${host} . ${port}`))].join(", ");
  const tooMany = `{ ether saddr ct count over ${CONNECTIONS_PER_GUEST_MAX} }`;
  return `table ${NAME}
delete table ${NAME}
table ${NAME} {
	comment "frontdesk bridge"
	set open {
		type ether_addr
		size ${GUESTS_MAX}
		flags dynamic
	}
	chain guests {
		type filter hook input priority filter - 10; policy accept;
		ip6 daddr . tcp dport { ${ours} } ct state new add @open ${tooMany} counter drop
	}
}
`;
}
