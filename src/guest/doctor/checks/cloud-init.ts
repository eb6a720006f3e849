/** What cloud-init itself says: whether it ran, which data source it chose, and its errors. */

import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Found } from "../../../observe/doctor/finding.ts";
import type { Check } from "../check.ts";
import type { CloudInit } from "../cloud-init.ts";

type Code = "CLOUD_INIT_DISABLED" | "CLOUD_INIT_OTHER_SOURCE" | "CLOUD_INIT_ERRORS";

const OURS = /^DataSource(?:CloudStack|CloudStackLocal|Ec2|Ec2Local)$/;
const BECAUSE = [
  "DATA_SERVER_AAAA",
  "DATA_SERVER_WRONG",
  "KEY_DEAD",
  "KEY_ABSENT",
  "DMI_UNKNOWN",
  "CLOUD_INIT_DISABLED",
  "CONNECT_REFUSED",
  "CONNECT_TIMEOUT",
  "CONNECT_UNREACHABLE",
  "HTTP_FAILS",
  "HTTP_UNKNOWN_INSTANCE",
];

export const cloudInit: Check<Code> = {
  name: "cloud-init",
  title: "cloud-init has found its data source",
  kinds: {
    CLOUD_INIT_DISABLED: {
      title: "cloud-init is switched off",
      severity: "warning",
      advice: "switch it on again, unless that was meant",
      where: "guest",
      because: ["DMI_UNKNOWN"],
    },
    CLOUD_INIT_OTHER_SOURCE: {
      title: "cloud-init uses another data source than the router",
      severity: "warning",
      advice: "see why the router was not found at boot; then clean and boot again",
      where: "guest",
      because: BECAUSE,
    },
    CLOUD_INIT_ERRORS: {
      title: "cloud-init reports errors",
      severity: "warning",
      advice: "read its log",
      where: "guest",
      because: BECAUSE,
    },
  },
  judge({ cloudInit: it }) {
    if (it === undefined) return skipped("cloud-init is not installed");
    if (it.disabledBy !== undefined) return { seen: "off", found: [disabled(it.disabledBy)] };
    const seen = `${it.source ?? "no data source yet"}${it.done ? "" : ", not done"}`;
    const found = [...other(it), ...errors(it)];
    return found.length === 0 ? fine(seen) : { seen, found };
  },
};

function disabled(by: string): Found<Code> {
  const file = by.startsWith("/");
  return {
    code: "CLOUD_INIT_DISABLED",
    seen: `cloud-init is disabled by ${by}`,
    cause: by === "ds-identify" ? "ds-identify knows no cloud by this hardware" : `${by} says so`,
    certainty: file ? "certain" : "likely",
    remedy: file ? [`rm ${by}`] : ["cat /run/cloud-init/ds-identify.log"],
  };
}

function other({ source }: CloudInit): Found<Code>[] {
  if (source === undefined || OURS.test(source)) return [];
  const none = source === "DataSourceNone";
  return [
    {
      code: "CLOUD_INIT_OTHER_SOURCE",
      seen: `cloud-init has chosen ${source}`,
      cause: none
        ? "it found no data source at boot; user data and keys were not applied"
        : "another data source was found first; if that was meant, all is well",
      certainty: "possible",
      remedy: ["cloud-init status --long", "grep -i datasource /var/log/cloud-init.log"],
      ...(none ? {} : { severity: "info" }),
    },
  ];
}

function errors({ errors: all }: CloudInit): Found<Code>[] {
  const [first] = all;
  if (first === undefined) return [];
  const more = all.length > 1 ? ` (and ${all.length - 1} more)` : "";
  return [
    {
      code: "CLOUD_INIT_ERRORS",
      seen: `/run/cloud-init/result.json: ${first.slice(0, 160)}${more}`,
      cause: "a part of cloud-init failed at the last boot",
      certainty: "possible",
      remedy: ["cloud-init status --long", "grep -E 'WARNING|ERROR' /var/log/cloud-init.log"],
    },
  ];
}
