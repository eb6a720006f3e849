/**
 * What can be wrong with a source that a controller looks at, and with what hints at it: a part of
 * the table in `conditions.ts`. To add one, add a line.
 */

import type { ConditionKind } from "./conditions.ts";

export const CONTROLLER_CONDITIONS = {
  CLOUDSTACK_ADDRESS: {
    title: "CloudStack's API is not found at its address; what the store holds stays in force",
    severity: "error",
    advice: "correct http or https, the host name and the path in --source cloudstack:URL",
    where: "controller",
  },
  CLOUDSTACK_UNREACHABLE: {
    title: "CloudStack's API cannot be reached; what the store holds stays in force",
    severity: "error",
    advice: "start the management server, or mend the network or the firewall between",
    where: "controller",
  },
  CLOUDSTACK_TIMEOUT: {
    title: "CloudStack's API does not answer in time; what the store holds stays in force",
    severity: "error",
    advice: "look at the management server's load and its database",
    where: "controller",
  },
  LOOK_OVERDUE: {
    title: "the source was not read whole for long; what the store holds stays in force",
    severity: "error",
    advice: "the condition beside this one says why; if there is none, the source answers slowly",
    where: "controller",
  },
  CLOUDSTACK_TLS: {
    title:
      "the certificate of CloudStack's API is not trusted; what the store holds stays in force",
    severity: "error",
    advice: "name the authority's certificate with --ca-file, or renew the certificate",
    where: "controller",
  },
  CLOUDSTACK_KEYS: {
    title: "CloudStack's API refuses the keys; what the store holds stays in force",
    severity: "error",
    advice: "give the API key and secret key of an enabled user, then send SIGHUP",
    where: "controller",
  },
  CLOUDSTACK_CLOCK: {
    title: "CloudStack's clock and this machine's differ; what the store holds stays in force",
    severity: "error",
    advice: "set the clocks of both machines by NTP",
    where: "controller",
  },
  CLOUDSTACK_FORBIDDEN: {
    title: "the keys' role may not list instances; what the store holds stays in force",
    severity: "error",
    advice: "allow the command that is named to the role of the keys' account",
    where: "controller",
  },
  CLOUDSTACK_BUSY: {
    title: "CloudStack's API limits the rate of requests; changes come late",
    severity: "warning",
    advice: "raise api.throttling.max, or pollSeconds",
    where: "controller",
  },
  CLOUDSTACK_FAILED: {
    title: "CloudStack's API fails; what the store holds stays in force",
    severity: "error",
    advice: "look for the error in the management server's log",
    where: "controller",
  },
  CLOUDSTACK_REQUEST: {
    title: "CloudStack's API refuses a request; what the store holds stays in force",
    severity: "error",
    advice: "check that the CloudStack version is a supported one, and report this",
    where: "controller",
  },
  CLOUDSTACK_ANSWER: {
    title: "CloudStack's API answers what cannot be used; what the store holds stays in force",
    severity: "error",
    advice: "check that the address is the API's, and what a proxy between does",
    where: "controller",
  },
  CLOUDSTACK_TOO_LARGE: {
    title: "an answer of CloudStack's API is too large; what the store holds stays in force",
    severity: "error",
    advice: "look for what makes it so large, or split the cloud between several controllers",
    where: "controller",
  },
  INSTANCES_VANISHED: {
    title: "most instances are gone from the source at once; another look must confirm it",
    severity: "warning",
    advice: "check what the source, or the API keys, may list; where instances are gone, wait",
    where: "controller",
  },
  CLOUDSTACK_NOT_PERMITTED: {
    title: "the keys may not use a command; the metadata keys that are named lack a value",
    severity: "warning",
    advice: "allow the command to the role of the keys' account",
    where: "controller",
  },
  CLOUDSTACK_INCOMPLETE: {
    title: "CloudStack's API leaves out what metadata needs; the rest is kept",
    severity: "warning",
    advice: "give named instances what they lack; check the version, the keys' role and settings",
    where: "controller",
  },
  CLOUDSTACK_UNSETTLED: {
    title: "a list of CloudStack's changed whenever it was read; nothing is taken for gone by it",
    severity: "info",
    advice: "wait; if it lasts, look for what creates and destroys so often",
    where: "controller",
  },
  INSTANCE_UNUSABLE: {
    title: "an instance cannot be kept as its source describes it; its last record stays",
    severity: "warning",
    advice: "correct the field of the instance that is named",
    where: "controller",
  },
  NETWORK_UNUSABLE: {
    title: "networks cannot be kept as their source describes them; what was known of them stays",
    severity: "warning",
    advice: "correct the ranges or the domain of the network that is named, or have fewer",
    where: "controller",
  },
  ADDRESS_INVALID: {
    title: "an instance's address or MAC address cannot be a guest's; it is left out",
    severity: "warning",
    advice: "correct the NIC of the instance that is named",
    where: "controller",
  },
  USER_DATA_TOO_LARGE: {
    title: "user data is larger than CloudStack accepts, so none is served",
    severity: "warning",
    advice: "set smaller user data",
    where: "controller",
  },
  CREDENTIALS_UNREADABLE: {
    title: "credentials or a secret cannot be used; those that were good last count",
    severity: "warning",
    advice:
      "mend the file that is named; only its owner may read it (chmod 600); then send SIGHUP " +
      "to the controller, unless it is admin.env or tokens, which are read again by themselves",
    where: "controller",
  },
  RECONCILE_FAILED: {
    title: "a look at the source failed for a reason that is not foreseen; it is tried again",
    severity: "error",
    advice: "report this with the log line that has the trace",
    where: "controller",
  },
  HINTS_DOWN: {
    title: "the event bus cannot be followed, so changes are found by polling alone",
    severity: "warning",
    advice: "check the bus's address, the credentials, and that the exchange exists",
    where: "controller",
  },
  WEBHOOK_REFUSED: {
    title: "webhook deliveries came without a valid signature; they were refused",
    severity: "warning",
    advice: "give the webhook in CloudStack the secret of this controller, or find who else sends",
    where: "controller",
  },
} as const satisfies Readonly<Record<string, ConditionKind>>;
