/**
 * The databags of four CloudStack topologies, moved to loopback so that a laptop can play the
 * guests: every guest-side address keeps its last three numbers and begins with 127.
 */

import isolatedCmdline from "../../../fixtures/cloudstack/isolated/etc-cloudstack/cmdline.json" with {
  type: "json",
};
import isolatedDhcp from "../../../fixtures/cloudstack/isolated/etc-cloudstack/dhcpentry.json" with {
  type: "json",
};
import isolatedIps from "../../../fixtures/cloudstack/isolated/etc-cloudstack/ips.json" with {
  type: "json",
};
import isolatedVmdata from "../../../fixtures/cloudstack/isolated/etc-cloudstack/vmdata.json" with {
  type: "json",
};
import isolatedPassword from "../../../fixtures/cloudstack/isolated/etc-cloudstack/vmpassword.json" with {
  type: "json",
};
import redundantCmdline from "../../../fixtures/cloudstack/redundant/etc-cloudstack/cmdline.json" with {
  type: "json",
};
import redundantIps from "../../../fixtures/cloudstack/redundant/etc-cloudstack/ips.json" with {
  type: "json",
};
import redundantVmdata from "../../../fixtures/cloudstack/redundant/etc-cloudstack/vmdata.json" with {
  type: "json",
};
import redundantPassword from "../../../fixtures/cloudstack/redundant/etc-cloudstack/vmpassword.json" with {
  type: "json",
};
import sharedCmdline from "../../../fixtures/cloudstack/shared/etc-cloudstack/cmdline.json" with {
  type: "json",
};
import sharedDhcp from "../../../fixtures/cloudstack/shared/etc-cloudstack/dhcpentry.json" with {
  type: "json",
};
import sharedIps from "../../../fixtures/cloudstack/shared/etc-cloudstack/ips.json" with {
  type: "json",
};
import sharedVmdata from "../../../fixtures/cloudstack/shared/etc-cloudstack/vmdata.json" with {
  type: "json",
};
import vpcCmdline from "../../../fixtures/cloudstack/vpc/etc-cloudstack/cmdline.json" with {
  type: "json",
};
import vpcDhcp from "../../../fixtures/cloudstack/vpc/etc-cloudstack/dhcpentry.json" with {
  type: "json",
};
import vpcGuestNetwork from "../../../fixtures/cloudstack/vpc/etc-cloudstack/guestnetwork.json" with {
  type: "json",
};
import vpcIps from "../../../fixtures/cloudstack/vpc/etc-cloudstack/ips.json" with { type: "json" };
import vpcVmdata from "../../../fixtures/cloudstack/vpc/etc-cloudstack/vmdata.json" with {
  type: "json",
};
import vpcPassword from "../../../fixtures/cloudstack/vpc/etc-cloudstack/vmpassword.json" with {
  type: "json",
};
import { parseIp } from "../../model/address.ts";
import { passwordCommand } from "../../source/source.ts";
import type { Guest } from "./tries.ts";

type Bags = Readonly<Record<string, unknown>>;

/** One line per topology: databag file -> content. */
const TOPOLOGIES = {
  isolated: {
    cmdline: isolatedCmdline,
    dhcpentry: isolatedDhcp,
    ips: isolatedIps,
    vmdata: isolatedVmdata,
    vmpassword: isolatedPassword,
  },
  vpc: {
    cmdline: vpcCmdline,
    dhcpentry: vpcDhcp,
    guestnetwork: vpcGuestNetwork,
    ips: vpcIps,
    vmdata: vpcVmdata,
    vmpassword: vpcPassword,
  },
  shared: { cmdline: sharedCmdline, dhcpentry: sharedDhcp, ips: sharedIps, vmdata: sharedVmdata },
  redundant: {
    cmdline: redundantCmdline,
    ips: redundantIps,
    vmdata: redundantVmdata,
    vmpassword: redundantPassword,
  },
} satisfies Readonly<Record<string, Bags>>;

export type Topology = keyof typeof TOPOLOGIES;
export const TOPOLOGY_NAMES = Object.keys(TOPOLOGIES) as Topology[];

export interface TopologyFiles {
  /** File name -> text, as CloudStack's scripts write it. */
  readonly files: ReadonlyMap<string, string>;
  readonly guests: readonly Guest[];
  /** What CloudStack says as the demo begins, so that there is a password in every topology. */
  readonly commands: readonly string[];
}

const PASSWORD = "fN7xvQ2p";

/** A topology's databags on loopback. */
export function topologyFiles(topology: Topology): TopologyFiles {
  const bags: Bags = TOPOLOGIES[topology];
  const files = new Map<string, string>();
  for (const [name, bag] of Object.entries(bags)) {
    files.set(`${name}.json`, toLoopback(JSON.stringify(bag, undefined, 2)));
  }
  const read = (name: string): Record<string, unknown> | undefined => {
    const text = files.get(`${name}.json`);
    return text === undefined ? undefined : JSON.parse(text);
  };
  const leases = read("dhcpentry");
  const guests = Object.entries(read("vmdata") ?? {})
    .filter((entry): entry is [string, string[][]] => Array.isArray(entry[1]))
    .map(
      ([address, keys]): Guest => ({
        address: parseIp(address),
        name: keys.find(([, key]) => key === "local-hostname")?.[2] ?? address,
        ...(leases !== undefined && !(address in leases) && { unanswered: "it has no lease" }),
      }),
    );
  const first = guests.find(({ unanswered }) => unanswered === undefined);
  const commands = first === undefined ? [] : [passwordCommand(first.address, PASSWORD)];
  return { files, guests, commands };
}

/** The fixtures' guests live in 10.0.0.0/8 and 198.51.100.0/24. */
function toLoopback(text: string): string {
  return text.replace(/\b(?:10|198)\.(\d{1,3}\.\d{1,3}\.\d{1,3})\b/g, "127.$1");
}
