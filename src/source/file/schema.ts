/**
 * The shape of the file: what stands in `docs/formats/instances.md`, as a schema.
 *
 * The JSON schema for editors is made from it, so each field carries its description. What spans
 * records (which networks there are, who has which address) is checked in `load.ts`.
 */

import { z } from "zod";
import { fields, MISSING } from "../../config/issues.ts";
import { cidr, line, networkId } from "../../config/terms.ts";
import { tryParseIp, tryParseMac } from "../../model/address.ts";
import { KEY_NAME } from "../../model/binding.ts";
import {
  ADDRESSES_MAX,
  CIDRS_MAX,
  KEYS_MAX,
  NETWORKS_MAX,
  NICS_MAX,
  PASSWORD_CHARS_MAX,
  PUBLIC_KEYS_MAX,
  RECORDS_MAX,
  USER_DATA_BYTES_MAX,
  VALUE_CHARS_MAX,
} from "./limits.ts";

/** Words of the password server's dialogue: a password that equals one cannot be delivered. */
const RESERVED_PASSWORDS = ["saved_password", "bad_request"];

/** Whether `text` decodes as base64; padding may lack, white space may stand between. */
export function isBase64(text: string): boolean {
  const bare = text.replace(/[ \t\r\n]/g, "");
  return /^[A-Za-z0-9+/]*={0,2}$/.test(bare) && bare.replace(/=/g, "").length % 4 !== 1;
}

const address = z
  .string()
  .refine((text) => tryParseIp(text) !== undefined, "is not an IP address")
  .describe("IPv4 or IPv6 address");

const nic = fields({
  mac: z
    .string()
    .refine(
      (text) => tryParseMac(text) !== undefined,
      "is not a MAC address like 02:00:5a:10:00:07",
    )
    .optional()
    .describe("MAC address, six pairs with colons"),
  addresses: z
    .array(address)
    .min(1)
    .max(ADDRESSES_MAX)
    .describe("Addresses that the guest asks from"),
  default: z.boolean().optional().describe("The NIC that the password is delivered to"),
});

const keyName = z
  .string()
  .regex(KEY_NAME, "is no key name: letters, digits, dot, dash and underscore, 64 at most")
  .describe("Name of a metadata key");

const keyValue = z
  .union([z.string().max(VALUE_CHARS_MAX), z.null()])
  .describe("Text; nothing for a key that is listed and empty");

const keys = z
  .union([
    z
      .array(z.tuple([keyName, keyValue]))
      .max(KEYS_MAX)
      .superRefine((pairs, context) => {
        const seen = new Set<string>();
        pairs.forEach(([name], index) => {
          if (seen.has(name)) {
            const message = "the same key is given twice";
            context.addIssue({ code: "custom", path: [index], message });
          }
          seen.add(name);
        });
      }),
    z
      .record(keyName, keyValue)
      .refine((map) => Object.keys(map).length <= KEYS_MAX, `must be ${KEYS_MAX} entries at most`),
  ])
  .describe("Metadata keys of one's own: a mapping, or a list of [name, value]");

const userDataForms = fields({
  text: z.string().optional().describe("User data as text"),
  base64: z.string().refine(isBase64, "is not base64").optional().describe("User data as base64"),
  file: z.string().min(1).optional().describe("A file with the user data, relative to this file"),
}).refine((forms) => Object.keys(forms).length === 1, "give one of text, base64, file");

const userData = z
  .union([z.string(), userDataForms])
  .refine((given) => bytesOf(given) <= USER_DATA_BYTES_MAX, "is larger than 1 MiB")
  .describe("What the guest gets as its user data, decoded");

const whole = (description: string): z.ZodInt =>
  z
    .int()
    .min(1)
    .max(2 ** 31)
    .describe(description);

/** One instance in one network. */
export const RECORD = fields({
  network: networkId("The network's id; needed only where the file has several").optional(),
  id: line("The instance's id; served as instance-id and vm-id"),
  name: line("The instance's host name; served as local-hostname"),
  account: line("The owner; not served").optional(),
  project: line("The project; not served").optional(),
  zone: line("Served as availability-zone").optional(),
  template: line("The template; not served").optional(),
  serviceOffering: line("Served as service-offering").optional(),
  address: address.optional().describe("Short for one NIC with one address"),
  nics: z
    .array(nic)
    .min(1)
    .max(NICS_MAX)
    .optional()
    .describe("The instance's NICs in this network"),
  keys: keys.optional(),
  standardKeys: z
    .boolean()
    .optional()
    .describe("false: exactly `keys` is served, and nothing is derived from the other fields"),
  userData: userData.optional(),
  publicKeys: z
    .array(
      z
        .string()
        .min(1)
        .max(VALUE_CHARS_MAX)
        .regex(/^[^\r\n]+$/, "must be one line of text"),
    )
    .max(PUBLIC_KEYS_MAX)
    .optional()
    .describe("SSH public keys, one an entry; served as public-keys"),
  password: z
    .string()
    .min(1)
    .max(PASSWORD_CHARS_MAX)
    .regex(/^[^\u0000-\u001f\u007f]+$/, "must be one line of text")
    .refine((text) => text.trim() === text, "must not begin or end with a space")
    .refine((text) => !RESERVED_PASSWORDS.includes(text), "is a word that the protocol reserves")
    .optional()
    .describe("A password to deliver once, until the guest acknowledges it"),
  incarnation: whole("Rises when the instance is installed anew; not served").optional(),
  epoch: whole("Least number of this binding of the addresses; not needed by hand").optional(),
})
  .superRefine((record, context) => {
    const say = (path: string[], message: string): void =>
      context.addIssue({ code: "custom", path, message });
    if (record.address === undefined && record.nics === undefined) {
      say(["address"], `${MISSING}; give address or nics`);
    }
    if (record.address !== undefined && record.nics !== undefined) {
      say(["address"], "give address or nics, not both");
    }
    if ((record.nics ?? []).filter((nic) => nic.default === true).length > 1) {
      say(["nics"], "more than one NIC is the default one");
    }
    if (record.standardKeys === false && record.keys === undefined) {
      say(["keys"], `${MISSING}, and standardKeys is false`);
    }
  })
  .meta({
    oneOf: ["address", "nics"].map((name) => ({
      type: "object",
      properties: { [name]: {} },
      required: [name],
    })),
  });

/** A network of guests. */
export const NETWORK = fields({
  id: networkId("The network's id"),
  cidrs: z.array(cidr).max(CIDRS_MAX).optional().describe("The address ranges of its guests"),
  dnsDomain: line("The DNS domain of its guests").optional(),
});

/** The file but for its records, which are validated one by one. */
export const HEAD = fields({
  networks: z.array(NETWORK).min(1).max(NETWORKS_MAX).optional(),
  instances: z.array(z.unknown()).max(RECORDS_MAX),
});

export type FileRecord = z.output<typeof RECORD>;
export type FileHead = z.output<typeof HEAD>;

/** The JSON schema of the file, as `docs/schema/instances.schema.json` holds it. */
export function instancesJsonSchema(): object {
  const file = fields({
    networks: z.array(NETWORK).min(1).max(NETWORKS_MAX).optional().describe("Networks of guests"),
    instances: z
      .array(RECORD)
      .max(RECORDS_MAX)
      .describe("One record for each instance and network"),
  }).describe("Instances for `frontdesk router --source file:PATH`");
  return { title: "Frontdesk instances", ...z.toJSONSchema(file, { io: "input" }) };
}

/** Bytes of user data that stands in the file itself. */
function bytesOf(given: string | z.output<typeof userDataForms>): number {
  if (typeof given === "string") return Buffer.byteLength(given);
  if (given.text !== undefined) return Buffer.byteLength(given.text);
  return given.base64 === undefined ? 0 : Math.floor((given.base64.length * 3) / 4);
}
