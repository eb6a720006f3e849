/**
 * `frontdesk payload`: content beyond the limit of user data, and which instances are given it.
 */

import { readFileSync, statSync } from "node:fs";
import { counted } from "../../model/count.ts";
import { AdminError, CommandError, quote, UsageError } from "../../model/errors.ts";
import { PAYLOAD_BYTES_MAX, SHA256, type StoredPayload } from "../../model/payload.ts";
import { API_OPTIONS, type ApiClient, openApiClient } from "../api-client.ts";
import { findOne, networkOf, OF_NETWORK, pathOf } from "../api-instances.ts";
import { type Command, EXIT, JSON_OPTION, type Options } from "../command.ts";
import type { Output } from "../output.ts";
import { whyUnread } from "../read-input.ts";

const OPTIONS = [...API_OPTIONS, JSON_OPTION];
const INSTANCE = { name: "<instance>", summary: "its id, or its name" };
const NAMED = {
  name: "<sha256>",
  summary: "the payload, as payload list shows it; its first digits, where no other has them",
};
const TO = {
  flags: "--to <path>",
  summary: "where the guest puts it: an absolute path. Then it runs nothing",
};

const REPLACE = {
  flags: "--replace",
  summary: "also where the instance has user data of its own, which is lost",
};

/** A payload by its first digits: fewer are soon another's. */
const PREFIX = /^[0-9a-f]{8,64}$/;

/** Smaller files are there before anybody looks. Bytes. */
const PROGRESS_BYTES_MIN = 1024 * 1024;

const add: Command = {
  description:
    "Keeps a payload in the controller's store, and prints its SHA-256. A guest runs what " +
    "begins with #!; of a tar archive, gzipped or not, it runs the file named run at its top. " +
    `${PAYLOAD_BYTES_MAX / 1024 / 1024} MiB at most.`,
  arguments: [{ name: "<file>", summary: "the content; - is stdin" }],
  options: [{ flags: "--as-file", summary: "take it though a guest cannot run it" }, ...OPTIONS],
  examples: [
    ["frontdesk payload add setup.sh", "a script"],
    ["tar -C agent -czf - . | frontdesk payload add -", "an archive, with a file named run in it"],
  ],
  async run({ args: [file = ""], options, out }) {
    const content = read(file);
    const client = await openApiClient(options);
    const payload = await upload(client, content, { isFile: options.flag("as-file"), out });
    if (options.flag("json")) out.json(payload);
    else out.print(payload.sha256);
    return EXIT.done;
  },
};

const list: Command = {
  description: "Lists what the controller keeps, whether an instance is given it or not.",
  options: OPTIONS,
  examples: [["frontdesk payload list", "what there is, and what a guest does with it"]],
  async run({ options, out }) {
    const client = await openApiClient(options);
    const all = await listed(client);
    if (options.flag("json")) out.json(all);
    else {
      const rows = all.map(({ sha256, bytes, kind }) => [sha256, String(bytes), kind]);
      out.table(["SHA256", "BYTES", "KIND"], rows);
      if (all.length === 0) out.note("there are no payloads");
    }
    return EXIT.done;
  },
};

const remove: Command = {
  description: "Removes a payload that no instance is given.",
  arguments: [NAMED],
  options: OPTIONS,
  examples: [["frontdesk payload remove 6fe3c1a0", "by its first digits"]],
  async run({ args: [word = ""], options, out }) {
    const client = await openApiClient(options);
    const { sha256 } = await find(client, word);
    await client.remove(`/v1/payloads/${sha256}`);
    if (options.flag("json")) out.json({ sha256, removed: true });
    else out.note("removed");
    return EXIT.done;
  },
};

const attach: Command = {
  description:
    "The instance's user data becomes a stub: a small shell script that fetches the payload, " +
    "checks its SHA-256 and runs it once. A guest runs user data at its first boot. User data " +
    "of its own stays: it is refused without --replace.",
  arguments: [
    INSTANCE,
    { name: "<payload>", summary: "a file, which is added first; - for stdin; or a SHA-256" },
  ],
  options: [TO, REPLACE, OF_NETWORK, ...OPTIONS],
  examples: [
    ["frontdesk payload attach web-01 setup.tar.gz", "add it, and have it run"],
    [
      "frontdesk payload attach web-01 licence.key --to /etc/agent/licence.key",
      "only put it there",
    ],
  ],
  async run({ args: [word = "", which = ""], options, out }) {
    const content = PREFIX.test(which) ? undefined : read(which);
    const client = await openApiClient(options);
    const one = await findOne(client, { word, network: networkOf(options) }, out);
    const to = options.string("to");
    const { sha256 } =
      content === undefined
        ? await find(client, which)
        : await upload(client, content, { isFile: to !== undefined, out });
    const body = JSON.stringify({ sha256, ...(to !== undefined && { to }) });
    const query = options.flag("replace") ? "?replace=true" : "";
    await client.put(`${pathOf(one)}/payload${query}`, { type: "application/json", body });
    report(out, options, { network: one.network, id: one.id, sha256 });
    return EXIT.done;
  },
};

const detach: Command = {
  description: "Takes an instance's payload away, and the stub that is its user data.",
  arguments: [INSTANCE],
  options: [OF_NETWORK, ...OPTIONS],
  examples: [["frontdesk payload detach web-01", "its guest can fetch it no more"]],
  async run({ args: [word = ""], options, out }) {
    const client = await openApiClient(options);
    const one = await findOne(client, { word, network: networkOf(options) }, out);
    await client.remove(`${pathOf(one)}/payload`);
    if (options.flag("json")) out.json({ network: one.network, id: one.id });
    else out.note("detached");
    return EXIT.done;
  },
};

const stub: Command = {
  description:
    "Prints the user data that fetches, checks and runs a payload, for a look at it or as a part " +
    "of user data of one's own. It works in instances whose record names the payload.",
  arguments: [NAMED],
  options: [TO, ...API_OPTIONS],
  examples: [["frontdesk payload stub 6fe3c1a0", "what an instance would be given"]],
  async run({ args: [word = ""], options, out }) {
    const client = await openApiClient(options);
    const { sha256 } = await find(client, word);
    const to = options.string("to");
    const query = to === undefined ? "" : `?${new URLSearchParams({ to })}`;
    const text = await client.getBytes(`/v1/payloads/${sha256}/stub${query}`);
    out.print(text.toString().trimEnd());
    return EXIT.done;
  },
};

function report(
  out: Output,
  options: Options,
  attached: { readonly network: string; readonly id: string; readonly sha256: string },
): void {
  if (options.flag("json")) out.json(attached);
  else out.note(`attached ${attached.sha256}`);
}

async function upload(
  client: ApiClient,
  content: Buffer,
  { isFile, out }: { readonly isFile: boolean; readonly out: Output },
): Promise<StoredPayload> {
  const onSent = (bytes: number): void => {
    if (content.length < PROGRESS_BYTES_MIN) return;
    out.progress(`sent ${Math.floor((100 * bytes) / content.length)}%`);
  };
  const sent = { type: "application/octet-stream", body: content, onSent };
  return (await client.post(`/v1/payloads${isFile ? "?as=file" : ""}`, sent)) as StoredPayload;
}

async function listed(client: ApiClient): Promise<readonly StoredPayload[]> {
  const { payloads } = (await client.get("/v1/payloads")) as { payloads: StoredPayload[] };
  return payloads;
}

/** @throws {AdminError} if there is none, or there are several. */
async function find(client: ApiClient, word: string): Promise<{ readonly sha256: string }> {
  if (SHA256.test(word)) return { sha256: word };
  if (!PREFIX.test(word))
    throw new UsageError(`${quote(word)}: write 8 hexadecimal digits or more`);
  const found = (await listed(client)).filter(({ sha256 }) => sha256.startsWith(word));
  const [one] = found;
  if (one !== undefined && found.length === 1) return one;
  const what = found.length === 0 ? "no payload begins" : `${found.length} payloads begin`;
  throw new AdminError(`${what} with ${word}; frontdesk payload list shows those that are`);
}

function read(file: string): Buffer {
  let content: Buffer;
  try {
    if (file !== "-") checkSize(statSync(file).size, file); // Before any of it is read.
    content = readFileSync(file === "-" ? 0 : file);
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    throw new CommandError(whyUnread(cause), { file }, { cause });
  }
  if (content.length === 0) throw new CommandError("is empty", { file });
  checkSize(content.length, file);
  return content;
}

function checkSize(bytes: number, file: string): void {
  if (bytes <= PAYLOAD_BYTES_MAX) return;
  const what = `has ${counted(bytes, "byte")}; a payload has ${PAYLOAD_BYTES_MAX} at most`;
  throw new CommandError(what, { file });
}

// biome-ignore format: a table reads best with one line for each command
export const payload: Command = {
  description: "Asks a controller's API, as frontdesk controller --api-listen opens it.",
  examples: [
    ["frontdesk payload add setup.tar.gz", "keep it"],
    ["frontdesk payload attach web-01 setup.tar.gz", "have an instance run it"],
  ],
  commands: [
    { name: "add", summary: "keep a payload", load: async () => ({ add }) },
    { name: "list", summary: "list payloads", load: async () => ({ list }) },
    { name: "remove", summary: "remove one that is not used", load: async () => ({ remove }) },
    { name: "attach", summary: "give one to an instance", load: async () => ({ attach }) },
    { name: "detach", summary: "take it from an instance", load: async () => ({ detach }) },
    { name: "stub", summary: "print the user data that runs one", load: async () => ({ stub }) },
  ],
};
