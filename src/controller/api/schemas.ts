/**
 * What goes in and out, for the checks and for `/openapi.json`: one schema for both.
 *
 * Bodies are strict, so that a field that is spelled wrongly is a fault and not silence. What the
 * model knows better (addresses, names, lengths) is checked by the model alone.
 */

import { z } from "@hono/zod-openapi";
import { PAYLOAD_KINDS, PAYLOADS_OF_RECORD_MAX } from "../../model/payload.ts";
import {
  ADDRESSES_MAX,
  CIDRS_MAX,
  KEYS_MAX,
  LINE_CHARS_MAX,
  NICS_MAX,
  PASSWORD_CHARS_MAX,
  PUBLIC_KEYS_MAX,
  VALUE_CHARS_MAX,
} from "../../model/record-limits.ts";
import { ROLES } from "../tokens.ts";
import { DERIVED_NAMES } from "./derived.ts";
import { ERROR_CODES } from "./errors.ts";
import { CURSOR_CHARS_MAX, PAGE_DEFAULT, PAGE_MAX } from "./limits.ts";

const line = () => z.string().min(1).max(LINE_CHARS_MAX);
const network = () => z.string().min(1).max(64).openapi({ example: "204" });
const id = () => line().openapi({ example: "5d1ad3f5-4a3c-4d38-8b6b-2b1f1d6f3b0a" });
const revision = () => z.number().int().openapi({ description: "Rises with each change." });

const keys = () =>
  z
    .array(z.tuple([z.string().max(64), z.string().max(VALUE_CHARS_MAX).nullable()]))
    .max(KEYS_MAX)
    .openapi({ description: "Names and values, in the order in which a guest sees them." });

const derived = () =>
  z.partialRecord(z.enum(DERIVED_NAMES), z.string().max(VALUE_CHARS_MAX).nullable()).openapi({
    description:
      "Those of the keys that follow name, zone, id and addresses. " +
      "One that is sent back with the value that it has here is made anew.",
  });

const nic = z.strictObject({
  mac: z.string().max(64).optional().openapi({ example: "02:00:4a:1c:00:05" }),
  addresses: z.array(z.string().max(64)).max(ADDRESSES_MAX),
  default: z.boolean().default(false),
  keys: keys().optional(),
  derived: derived().optional(),
});

const publicKey = () => z.string().min(1).max(VALUE_CHARS_MAX);
const publicKeys = () => z.array(publicKey()).max(PUBLIC_KEYS_MAX);
const passwordState = () => z.enum(["pending", "none"]);

const sha256 = () =>
  z
    .string()
    .max(64)
    .openapi({ description: "SHA-256 of the content, in lower-case hexadecimal digits." });
const payloads = () =>
  z
    .array(z.strictObject({ sha256: sha256(), bytes: z.number().int() }))
    .max(PAYLOADS_OF_RECORD_MAX)
    .openapi({ description: "What this instance may fetch, and no other." });

const texts = {
  account: line().optional(),
  project: line().optional(),
  zone: line().optional(),
  template: line().optional(),
};

export const UserDataBody = z
  .strictObject({ base64: z.string() })
  .openapi("UserData", { description: "Base64, by CloudStack's rules." });

/** What a PUT takes. What a GET answers may be sent back as it is. */
export const InstanceBody = z
  .strictObject({
    network: network().optional(),
    id: id().optional(),
    name: line(),
    ...texts,
    nics: z.array(nic).max(NICS_MAX),
    keys: keys().optional(),
    derived: derived().optional(),
    userData: z
      .union([UserDataBody, z.strictObject({ bytes: z.number() }), z.null()])
      .optional()
      .openapi({ description: "Absent, or as it was read: it stays. null: there is none." }),
    payloads: payloads().optional().openapi({ description: "Absent: they stay." }),
    publicKeys: publicKeys().optional(),
    incarnation: z.number().int().min(1).optional(),
    epoch: z.number().int().optional().openapi({ description: "Not set here: the store does." }),
    password: passwordState().optional().openapi({ description: "Not set here." }),
    sealed: z.boolean().optional().openapi({ description: "Not set here: it stays." }),
    revision: revision().optional(),
  })
  .openapi("InstanceBody");

export const InstanceSummary = z
  .object({
    network: network(),
    id: id(),
    name: line(),
    ...texts,
    nics: z.array(nic.omit({ keys: true, derived: true })),
    userData: z.object({ bytes: z.number().int() }).optional(),
    payloads: payloads().optional(),
    password: passwordState(),
    sealed: z.boolean().openapi({ description: "User data and password are closed to the guest." }),
    incarnation: z.number().int(),
    epoch: z.number().int(),
    revision: revision(),
  })
  .openapi("InstanceSummary");

export const Instance = InstanceSummary.extend({
  nics: z.array(nic),
  keys: keys(),
  derived: derived(),
  publicKeys: publicKeys(),
}).openapi("Instance");

export const InstancePage = z
  .object({
    instances: z.array(InstanceSummary),
    revision: revision(),
    next: z.string().optional().openapi({ description: "For `after`; absent on the last page." }),
  })
  .openapi("InstancePage");

export const PageQuery = z.strictObject({
  network: network().optional(),
  name: line().optional().openapi({ description: "Only those that are called exactly so." }),
  id: id().optional().openapi({ description: "Only this one; with `name`, either is enough." }),
  limit: z.coerce.number().int().min(1).max(PAGE_MAX).default(PAGE_DEFAULT),
  after: z.string().min(1).max(CURSOR_CHARS_MAX).optional(),
});

export const InstanceName = z.object({ network: network(), id: id() });
export const NetworkName = z.object({ network: network() });
export const FollowQuery = z.strictObject({ network: network().optional() });

/** Conditions on a record's revision; `records.ts` judges them. */
export const RevisionHeaders = z.object({
  "if-match": z.string().optional().openapi({ description: "Its ETag, or *: only if it is so." }),
  "if-none-match": z.string().optional().openapi({ description: "*: only if it is not there." }),
});

export const PayloadName = z.object({ sha: sha256() });
export const Payload = z
  .object({
    sha256: sha256(),
    bytes: z.number().int(),
    kind: z.enum(PAYLOAD_KINDS).openapi({
      description: "A script is run; of an archive, the file named run; a file is put somewhere.",
    }),
  })
  .openapi("Payload");
export const Payloads = z
  .object({
    payloads: z.array(Payload),
    bytes: z.number().int().openapi({ description: "Of all of them." }),
    bytesMax: z.number().int(),
    bytesOfOneMax: z.number().int(),
  })
  .openapi("Payloads");
export const UploadQuery = z.strictObject({
  as: z
    .enum(["file"])
    .optional()
    .openapi({ description: "Take it though a guest could not run it." }),
});
const to = () =>
  z
    .string()
    .max(255)
    .optional()
    .openapi({ description: "Where the guest puts it; then it runs nothing." });
export const StubQuery = z.strictObject({ to: to() });
export const AttachQuery = z.strictObject({
  replace: z
    .enum(["true"])
    .optional()
    .openapi({ description: "Also where the instance has user data of its own, which is lost." }),
});
export const Attachment = z.strictObject({ sha256: sha256(), to: to() }).openapi("Attachment");

const range = { cidrs: z.array(z.string().max(64)).max(CIDRS_MAX), dnsDomain: line().optional() };

export const NetworkBody = z
  .strictObject({ id: network().optional(), ...range })
  .openapi("NetworkBody");
export const Network = z.object({ id: network(), ...range }).openapi("Network");
export const Networks = z.object({ networks: z.array(Network) }).openapi("Networks");

export const PublicKeys = z.strictObject({ publicKeys: publicKeys() }).openapi("PublicKeys");

export const PasswordBody = z
  .strictObject({ password: z.string().min(1).max(PASSWORD_CHARS_MAX) })
  .openapi("PasswordBody", { description: "Nobody can read it back." });
export const PasswordState = z.object({ state: passwordState() }).openapi("PasswordState");

export const SealBody = z
  .strictObject({ sealed: z.literal(true).optional(), incarnation: z.number().int().optional() })
  .openapi("SealBody", { description: "Not needed. `incarnation`: seal only if it is that one." });
export const SealState = z
  .object({ sealed: z.boolean(), incarnation: z.number().int() })
  .openapi("SealState");

export const Condition = z
  .object({
    code: z.string(),
    title: z.string(),
    severity: z.enum(["error", "warning", "info"]),
    since: z.number().int().openapi({ description: "Milliseconds since 1970." }),
    advice: z.string(),
    subject: z.string(),
    detail: z.string(),
  })
  .openapi("Condition");
export const ConditionList = z.object({ conditions: z.array(Condition) }).openapi("Conditions");

export const Bearer = z.object({ name: z.string(), role: z.enum(ROLES) }).openapi("Bearer");

export const Failure = z
  .object({
    error: z.object({
      code: z.enum(ERROR_CODES as [string, ...string[]]),
      message: z.string(),
      advice: z.string(),
    }),
  })
  .openapi("Error");

export type InstanceInput = z.infer<typeof InstanceBody>;
export type InstanceOutput = z.infer<typeof Instance>;
export type SummaryOutput = z.infer<typeof InstanceSummary>;
