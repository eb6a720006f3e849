/**
 * `controller:` of the configuration file: the settings of `frontdesk controller`.
 */

import { z } from "zod";
import { fields } from "./issues.ts";
import { flaw, type SettingKind } from "./settings.ts";

/** The most that CloudStack can be set to accept. Characters of base64. */
const USER_DATA_CHARS_MAX = 1024 * 1024;

/** Addresses of the routers of one machine. */
const ADDRESSES_MAX = 100;

const setting = (kind: SettingKind, description: string) =>
  z
    .string()
    .superRefine((text, context) => {
      const message = flaw(kind, text);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    })
    .describe(description)
    .optional();

const number = (most: number, description: string) =>
  z.int().min(1).max(most).describe(description).optional();

export const CONTROLLER = fields({
  source: setting("place", "cloudstack:URL, file:PATH or databag:DIR"),
  store: setting("place", "sqlite:PATH"),
  apiListen: setting("text", "ADDR:PORT of the APIs and of webhooks"),
  guestListen: z
    .array(
      z.string().superRefine((text, context) => {
        const message = flaw("listen", text);
        if (message !== undefined) context.addIssue({ code: "custom", message });
      }),
    )
    .max(ADDRESSES_MAX)
    .describe("Where a router of this machine answers guests: the APIs refuse to be there")
    .optional(),
  apiCert: setting("path", "Certificate of the API listener, PEM"),
  apiCertKey: setting("path", "Its key"),
  tokensFile: setting("path", "Who may use the operator API"),
  adminListen: setting("admin", "The controller's admin listener: unix:PATH or ADDR:PORT"),
  credentialsFile: setting("path", "The API keys of CloudStack"),
  caFile: setting("path", "Certificate that CloudStack's is checked by, PEM"),
  insecure: z.boolean().describe("Check no certificate, in a lab").optional(),
  pollSeconds: number(86_400, "Between two looks at everything"),
  userDataMax: number(USER_DATA_CHARS_MAX, "Characters of base64 of user data that the APIs take"),
  webhookSecretFile: setting("path", "The secret key of CloudStack's webhook"),
  amqp: setting("text", "CloudStack's events: amqp://HOST[:PORT][/VHOST], or amqps:"),
  amqpExchange: setting("text", "The topic exchange"),
  amqpCredentialsFile: setting("path", "The user of the event bus"),
  amqpCaFile: setting("path", "Certificate that the bus's is checked by, PEM"),
}).superRefine((given, context) => {
  for (const [name, other] of [
    ["apiCert", "apiCertKey"] as const,
    ["apiCertKey", "apiCert"] as const,
  ]) {
    if (given[name] === undefined || given[other] !== undefined) continue;
    const message = `goes together with ${other}, which is missing`;
    context.addIssue({ code: "custom", path: [name], message });
  }
});

/** Fields that are paths, and fields that are places with a path in them. */
export const CONTROLLER_PATHS = [
  ...["apiCert", "apiCertKey", "tokensFile", "credentialsFile", "caFile"],
  ...["webhookSecretFile", "amqpCredentialsFile", "amqpCaFile"],
];
export const CONTROLLER_PLACES = ["source", "store", "adminListen"];
