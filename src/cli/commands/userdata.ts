/**
 * `frontdesk userdata`: reads and sets the user data of an instance.
 */

import { writeFileSync } from "node:fs";
import { cleanLines } from "../../model/clean.ts";
import { counted } from "../../model/count.ts";
import { CommandError, UsageError } from "../../model/errors.ts";
import { API_OPTIONS, openApiClient } from "../api-client.ts";
import { findOne, networkOf, OF_NETWORK, pathOf } from "../api-instances.ts";
import { type Command, EXIT, JSON_OPTION } from "../command.ts";
import { readInput } from "../read-input.ts";

const INSTANCE = { name: "<instance>", summary: "its id, or its name" };

const get: Command = {
  description: "Prints the bytes as the guest gets them; on a terminal as harmless text.",
  arguments: [INSTANCE],
  options: [
    { flags: "--output <file>", summary: "write them there, for its owner alone" },
    ...[OF_NETWORK, ...API_OPTIONS],
    { flags: "--json", summary: "print base64 in JSON, for programs" },
  ],
  examples: [["frontdesk userdata get web-01 > user-data", "as it is, into a file"]],
  async run({ args: [word = ""], options, out }) {
    const client = await openApiClient(options);
    const one = await findOne(client, { word, network: networkOf(options) }, out);
    const bytes = await client.getBytes(`${pathOf(one)}/user-data`);
    const file = options.string("output");
    if (file !== undefined) write(file, bytes);
    else if (options.flag("json")) {
      out.json({ network: one.network, id: one.id, base64: bytes.toString("base64") });
    } else if (process.stdout.isTTY === true) out.print(cleanLines(bytes.toString()).trimEnd());
    else process.stdout.write(bytes);
    return EXIT.done;
  },
};

const set: Command = {
  description:
    "Sends the bytes of a file as they are, or base64 with --base64. A running guest sees them " +
    "when it asks again; most ask at their first boot only.",
  arguments: [INSTANCE, { name: "[file]", summary: "the user data; - is stdin" }],
  options: [
    { flags: "--base64", summary: "the file holds base64" },
    { flags: "--none", summary: "have no user data, in place of a file" },
    ...[OF_NETWORK, ...API_OPTIONS, JSON_OPTION],
  ],
  examples: [
    ["frontdesk userdata set web-01 cloud-config.yaml", "from a file"],
    [
      "gzip -c cloud-config.yaml | frontdesk userdata set web-01 -",
      "compressed, against the limit",
    ],
    ["frontdesk userdata set web-01 --none", "take it away"],
  ],
  async run({ args: [word = "", file], options, out }) {
    const isNone = options.flag("none");
    if (isNone && (file !== undefined || options.flag("base64"))) {
      throw new UsageError("--none stands alone: no file, no --base64");
    }
    if (!isNone && file === undefined) throw new UsageError("name a file, or - for stdin");
    const bytes = file === undefined ? undefined : read(file);
    const client = await openApiClient(options);
    const one = await findOne(client, { word, network: networkOf(options) }, out);
    const path = `${pathOf(one)}/user-data`;
    if (bytes === undefined) await client.remove(path);
    else await client.put(path, sentOf(bytes, options.flag("base64")));
    const { network, id } = one;
    if (options.flag("json")) out.json({ network, id, sent: bytes?.length ?? 0 });
    else if (bytes === undefined) out.note("the instance has no user data");
    else out.note(`set: ${counted(bytes.length, "byte")} were sent`);
    const [payload] = one.payloads ?? [];
    if (payload === undefined) return EXIT.done;
    out.note(`its guest may still fetch ${payload.sha256}; frontdesk payload detach takes it away`);
    return EXIT.done;
  },
};

function sentOf(bytes: Buffer, isBase64: boolean): { type: string; body: Uint8Array | string } {
  if (!isBase64) return { type: "application/octet-stream", body: bytes };
  return { type: "application/json", body: JSON.stringify({ base64: bytes.toString("latin1") }) };
}

function read(file: string): Buffer {
  const bytes = readInput(file);
  if (bytes.length > 0) return bytes;
  throw new CommandError("is empty; --none takes user data away", { file });
}

function write(file: string, bytes: Buffer): void {
  try {
    writeFileSync(file, bytes, { mode: 0o600 });
  } catch (cause) {
    throw new CommandError("cannot be written", { file }, { cause });
  }
}

// biome-ignore format: a table reads best with one line for each command
export const userdata: Command = {
  description: "Asks a controller's API, as frontdesk controller --api-listen opens it.",
  examples: [
    ["frontdesk userdata get web-01", "read it"],
    ["frontdesk userdata set web-01 cloud-config.yaml", "replace it"],
  ],
  commands: [
    { name: "get", summary: "print an instance's user data", load: async () => ({ get }) },
    { name: "set", summary: "replace an instance's user data", load: async () => ({ set }) },
  ],
};
