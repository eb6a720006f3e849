/** Whether 169.254.169.254 is this machine's, on a device where its guests will ask it. */

import { contains, parseCidr, tryParseIp } from "../../../model/address.ts";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import { and, word } from "../../../observe/doctor/words.ts";
import { dhcpLines, METADATA_ADDRESS } from "../../dhcp-lines.ts";
import type { Check } from "../check.ts";
import type { Facts } from "../facts.ts";

type Code = "LINK_LOCAL_ABSENT" | "LINK_LOCAL_CONTROL";

const LINK_LOCAL = parseCidr("169.254.0.0/16");

export const linkLocal: Check<Code> = {
  name: "link-local",
  title: "169.254.169.254 is on a device where guests ask it",
  kinds: {
    LINK_LOCAL_ABSENT: {
      title: "no device of this machine has 169.254.169.254, which many clients ask",
      severity: "info",
      advice: "add the address with a prefix of /32 to the guests' device",
      where: "router",
    },
    LINK_LOCAL_CONTROL: {
      title: "169.254.169.254 is on the control link, not on the guests' device",
      severity: "warning",
      advice: "move the address to the guests' device, with a prefix of /32",
      where: "router",
    },
  },
  judge(facts) {
    const { addresses, guestSides, source } = facts;
    if (source?.scheme !== "databag") return skipped("only a virtual router needs it");
    const devices = addresses
      .filter(({ address }) => address === METADATA_ADDRESS)
      .map(({ device }) => device);
    const control = addresses.filter(({ device, address }) => {
      const ip = tryParseIp(address);
      const isControl = ip !== undefined && contains(LINK_LOCAL, ip) && ip !== METADATA_ADDRESS;
      return isControl && devices.includes(device);
    });
    const guests = guestSides.find(({ device }) => !control.some((one) => one.device === device));
    const device = guests?.device;
    const add = `ip address add ${METADATA_ADDRESS}/32 dev ${word(device ?? "DEVICE")}`;
    const known = device !== undefined;
    if (devices.length === 0) {
      const found = absent(facts, known ? [add] : []);
      return { seen: "no device has it", found: [found] };
    }
    const [first] = control;
    if (first === undefined || devices.some((one) => control.every((c) => c.device !== one))) {
      return fine(`on ${and(devices)}`);
    }
    const seen = `${first.device} has ${METADATA_ADDRESS} and ${first.address}`;
    const cause = "the control link leads to the host, and guests are not on it";
    const remove = `ip address delete ${METADATA_ADDRESS}/32 dev ${word(first.device)}`;
    const remedy = known ? [remove, add] : [];
    const found = { code: "LINK_LOCAL_CONTROL", seen, cause, certainty: "likely", remedy } as const;
    return { seen, found: [found] };
  },
};

function absent({ dnsmasq }: Facts, remedy: readonly string[]): Found<Code> {
  // Where guests are led here by DHCP, they have no other way.
  const isLed = (dnsmasq?.options ?? []).some((line) => line.includes(METADATA_ADDRESS));
  const isNeeded = isLed || (dnsmasq?.ranges ?? []).some((range) => dhcpLines(range).length > 0);
  return {
    code: "LINK_LOCAL_ABSENT",
    seen: `${METADATA_ADDRESS} is no address of this machine's`,
    cause: "nobody has added it: guests are served by the router's own address alone",
    certainty: "certain",
    remedy,
    ...(isNeeded ? { severity: "warning" } : {}),
  };
}
