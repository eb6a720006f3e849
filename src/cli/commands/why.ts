/**
 * `frontdesk why`: who an address is, by which evidence, and what it is told.
 */

import { UsageError } from "../../model/errors.ts";
import type { Why } from "../../router/why.ts";
import { openAdminClient } from "../admin-client.ts";
import { ADMIN_OPTIONS, adminOf } from "../admin-options.ts";
import { type Command, EXIT, JSON_OPTION } from "../command.ts";
import { clean } from "../output.ts";

export const why: Command = {
  description: "Asks the running router what it would answer to a guest, and why. Shows no value.",
  arguments: [{ name: "[path]", summary: "what the guest asks for; the listing when absent" }],
  options: [
    { flags: "--ip <address>", summary: "the address that the guest asks from", required: true },
    ...ADMIN_OPTIONS,
    JSON_OPTION,
  ],
  examples: [
    ["frontdesk why --ip 10.1.1.57", "who is that"],
    ["frontdesk why --ip 10.1.1.57 /latest/user-data", "why does it get no user data"],
  ],
  async run({ args, options, out }) {
    const path = args[0] ?? "/latest/meta-data/";
    if (!path.startsWith("/")) throw new UsageError(`a path starts with a slash: /${path}`);
    const client = openAdminClient(adminOf(options));
    let answer: Why;
    try {
      const query = new URLSearchParams({ ip: options.string("ip") ?? "", path });
      answer = (await client.get(`/why?${query}`)) as Why;
    } finally {
      client.close();
    }
    if (options.flag("json")) out.json(answer);
    else for (const [label, value] of rows(answer)) out.print(`${label.padEnd(9)} ${clean(value)}`);
    return answer.identity === "bound" ? EXIT.done : EXIT.attention;
  },
};

function* rows(answer: Why): Generator<[string, string]> {
  const { reply, request } = answer;
  yield ["address", `${answer.address} in network ${answer.network ?? "(none)"}`];
  if (answer.instance !== undefined) yield ["instance", `${answer.instance} (${answer.name})`];
  if (answer.mac !== undefined) yield ["lease", `${answer.mac}, epoch ${answer.epoch}`];
  else if (answer.epoch !== undefined) yield ["lease", `none, epoch ${answer.epoch}`];
  if (answer.record !== undefined) yield ["record", answer.record];
  yield ["password", answer.password === "pending" ? "waits for the guest" : "none waits"];
  const body = reply.type === undefined ? "no body" : `${reply.bytes} bytes of ${reply.type}`;
  yield ["answer", `${reply.status}, ${body}, to GET ${request.path}`];
  yield ["because", answer.reason];
  if (answer.advice !== undefined) yield ["advice", answer.advice];
}
