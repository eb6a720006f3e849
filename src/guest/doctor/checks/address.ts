/** Whether this instance has an IPv4 address at all: the router tells instances apart by it. */

import { isIPv4 } from "node:net";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import { word } from "../../../observe/doctor/words.ts";
import type { Check } from "../check.ts";

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
  judge({ addresses, routes, gateways, targets }) {
    if (addresses === undefined) return skipped("the program ip cannot tell");
    const own = addresses.filter(({ device, address }) => device !== "lo" && isIPv4(address));
    const real = own.filter(({ address, isUp }) => isUp && !address.startsWith("169.254."));
    const [down] = own.filter(({ isUp }) => !isUp);
    // Another card's address is no way to a router that nothing leads to.
    const isCutOff = gateways.length === 0 && !targets.some(({ serves }) => serves);
    if (real.length > 0 && !(isCutOff && down !== undefined)) {
      return fine(real.map((one) => `${one.address}/${one.prefix} on ${one.device}`).join(", "));
    }
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
    const others = real.map((one) => `, and ${one.address} on ${one.device}`).join("");
    const lease = `dhclient -v ${word(device)}`;
    return {
      seen,
      found: [
        {
          code: "NO_ADDRESS",
          seen: `this instance has ${seen}${others}`,
          cause: why,
          certainty: down === undefined || real.length > 0 ? "likely" : "certain",
          remedy: down === undefined ? [up, lease] : [up],
        },
      ],
    };
  },
};
