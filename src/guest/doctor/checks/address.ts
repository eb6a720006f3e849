/** Whether this instance has an IPv4 address at all: the router tells instances apart by it. */

import { isIPv4 } from "node:net";
import { type Check, fine, skipped } from "../check.ts";
import { word } from "../words.ts";

export const address: Check<"NO_ADDRESS"> = {
  name: "address",
  title: "an IPv4 address of this instance's own",
  kinds: {
    NO_ADDRESS: {
      title: "this instance has no IPv4 address by which the router could know it",
      severity: "error",
      advice: "have a DHCP client ask for an address",
      where: "guest",
    },
  },
  judge({ addresses, routes }) {
    if (addresses === undefined) return skipped("the program ip cannot tell");
    const own = addresses.filter(({ device, address }) => device !== "lo" && isIPv4(address));
    const real = own.filter(({ address, isUp }) => isUp && !address.startsWith("169.254."));
    if (real.length > 0) {
      return fine(real.map((one) => `${one.address}/${one.prefix} on ${one.device}`).join(", "));
    }
    const [down] = own.filter(({ isUp }) => !isUp);
    const devices = [...addresses, ...(routes ?? [])].map(({ device }) => device);
    const device = down?.device ?? devices.find((name) => name !== "lo" && name !== "") ?? "eth0";
    const has =
      own.length === 0 ? "no IPv4 address" : `only ${own.map((one) => one.address).join(", ")}`;
    const up = `ip link set dev ${word(device)} up`;
    const why =
      down !== undefined
        ? `${device} is down`
        : "no DHCP client runs, or nobody has answered it; an address of 169.254.0.0/16 is made up";
    const seen = down === undefined ? has : `${down.address} on ${device}, which is down`;
    const lease = `dhclient -v ${word(device)}`;
    return {
      seen,
      found: [
        {
          code: "NO_ADDRESS",
          seen: `this instance has ${seen}`,
          cause: why,
          certainty: down === undefined ? "likely" : "certain",
          remedy: down === undefined ? [up, lease] : [up],
        },
      ],
    };
  },
};
