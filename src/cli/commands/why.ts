/**
 * `frontdesk why`: who an address is, by which evidence, and what it is told.
 */

import { type Ip, tryParseIp } from "../../model/address.ts";
import { clean } from "../../model/clean.ts";
import { counted } from "../../model/count.ts";
import { quote, UsageError } from "../../model/errors.ts";
import type { Why } from "../../router/why.ts";
import { openAdminClient } from "../admin-client.ts";
import { ADMIN_OPTIONS, adminOf, NETWORK_OPTION } from "../admin-options.ts";
import { type Command, EXIT, JSON_OPTION } from "../command.ts";

// biome-ignore format: a table reads best with one line for each option
export const why: Command = {
  description: "Asks the running router what it would answer to a guest, and why. Shows no value.",
  arguments: [
    { name: "[address]", summary: "the address that the guest asks from" },
    { name: "[path]", summary: "what the guest asks for; the listing when absent" },
  ],
  options: [
    { flags: "--ip <address>", summary: "the address, in place of the argument" },
    NETWORK_OPTION,
    ...ADMIN_OPTIONS,
    JSON_OPTION,
  ],
  exits: [
    [EXIT.done, "the address is bound to an instance, and the path is answered with 200"],
    [EXIT.failed, "the router could not be asked"],
    [EXIT.usage, "called wrongly"],
    [EXIT.attention, "anything else: another status, or nobody is bound to the address"],
  ],
  examples: [
    ["frontdesk why 10.1.1.57", "who is that"],
    ["frontdesk why 10.1.1.57 /latest/user-data", "why does it get no user data"],
  ],
  async run({ args, options, out }) {
    const { address, path } = asked(args, options.string("ip"));
    const network = options.string("network");
    const query = new URLSearchParams({ ip: address, path, ...(network && { network }) });
    const client = openAdminClient(adminOf(options));
    let answer: Why;
    try {
      answer = (await client.get(`/why?${query}`)) as Why;
    } finally {
      client.close();
    }
    if (options.flag("json")) out.json(answer);
    else for (const [label, value] of rows(answer)) out.print(`${label.padEnd(9)} ${clean(value)}`);
    const isWell = answer.identity === "bound" && answer.reply.status === 200;
    return isWell ? EXIT.done : EXIT.attention;
  },
};

/**
 * Who asks for what. A path begins with a slash, so the two may come in either order.
 *
 * @throws {UsageError} if there is no address, or two, or something else.
 */
function asked(
  args: readonly string[],
  flag: string | undefined,
): { readonly address: Ip; readonly path: string } {
  const [path = "/latest/meta-data/", ...morePaths] = args.filter((word) => word.startsWith("/"));
  if (morePaths.length > 0) throw new UsageError("give one path");
  const texts = [...(flag === undefined ? [] : [flag]), ...args.filter((word) => word[0] !== "/")];
  const [address, ...others] = texts.map(addressOf);
  if (address === undefined) {
    throw new UsageError("whose? give the address that the guest asks from, as 10.1.1.57");
  }
  for (const other of others) {
    if (other !== address) throw new UsageError(`${address} or ${other}? give one address`);
  }
  return { address, path };
}

function addressOf(text: string): Ip {
  const address = tryParseIp(text);
  if (address !== undefined) return address;
  const hint = text.includes("/") ? "; a path begins with a slash" : "";
  throw new UsageError(
    `not an address: ${quote(text)}; write the guest's IPv4 or IPv6 address, ` +
      `as 10.1.1.57 or fd00::57${hint}`,
  );
}

function* rows(answer: Why): Generator<[string, string]> {
  const { reply, request, evidence } = answer;
  yield ["address", `${answer.address} in network ${answer.network ?? "(none)"}`];
  if (answer.instance !== undefined) yield ["instance", `${answer.instance} (${answer.name})`];
  if (answer.epoch !== undefined) yield ["epoch", String(answer.epoch)];
  const by = evidence.lease === undefined ? "" : `, by ${evidence.lease}`;
  if (answer.mac !== undefined) yield [by === "" ? "mac" : "lease", `${answer.mac}${by}`];
  else if (by !== "") yield ["lease", `none in force${by}`];
  if (evidence.metadata !== undefined) {
    const place = answer.record?.startsWith("file:") ? answer.record : evidence.metadata;
    yield ["record", `${place}, entry ${evidence.entry}`];
  }
  const doubt = "; not read whole yet, so this may be an earlier run's word";
  yield ["source", `${evidence.source}${evidence.remembered ? doubt : ""}`];
  for (const trouble of evidence.trouble) yield ["trouble", trouble];
  if (evidence.kernel !== undefined) yield ["kernel", evidence.kernel];
  yield ["password", passwordOf(answer)];
  const body =
    reply.type === undefined ? "no body" : `${counted(reply.bytes, "byte")} of ${reply.type}`;
  yield ["answer", `${reply.status}, ${body}, to GET ${request.path}`];
  yield ["because", answer.reason];
  if (answer.advice !== undefined) yield ["advice", answer.advice];
}

/** A router of an earlier version says nothing of seals. */
function passwordOf({ password, sealed }: Pick<Why, "password"> & Partial<Why>): string {
  if (sealed === true) return "none is given: the instance is sealed";
  return password === "pending" ? "waits for the guest" : "none waits";
}
