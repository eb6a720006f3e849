/**
 * The management API that tools for CloudStack know, for labs: it keeps records, and runs nothing.
 *
 * An answer stands under its command's name. An error has CloudStack's numbers, which are the
 * status too. Who cannot sign learns nothing, not even which commands there are.
 */

import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { ClientApiError } from "../../model/errors.ts";
import type { Fields } from "../../source/cloudstack/answer.ts";
import type { ConnectionBindings } from "../http.ts";
import type { ApiPorts } from "../parts.ts";
import type { Call, Command } from "./command.ts";
import { commands } from "./commands.ts";
import { Door } from "./door.ts";
import { errorBody, refusalOf, refuse } from "./errors.ts";
import { Lab } from "./lab.ts";
import { FORM_BYTES_MAX } from "./limits.ts";
import { readParams } from "./params.ts";
import { type Asked, readRequest } from "./request.ts";
import type { SecretKeys } from "./sign.ts";

/** Where CloudStack has its API. */
export const CLIENT_API_PATH = "/client/api";

/** @returns what answers at `CLIENT_API_PATH`, and there sees `/` */
export function clientApi(ports: ApiPorts, secretKeys: SecretKeys): Hono {
  const lab = opened(ports);
  const door = new Door({ secretKeys, now: () => ports.now() });
  const app = new Hono();
  app.use(
    bodyLimit({ maxSize: FORM_BYTES_MAX, onError: (context) => refused(context, TOO_LARGE) }),
  );
  app.all("/", (context) => answer(context, { ports, secretKeys, door, lab }));
  return app;
}

/** Opens the lab at once, and again where that failed when it is asked for the next time. */
function opened(ports: ApiPorts): () => Promise<Lab> {
  let lab: Promise<Lab> | undefined;
  const open = (): Promise<Lab> => {
    lab ??= Lab.open(ports).catch((error: unknown) => {
      lab = undefined;
      throw error;
    });
    return lab;
  };
  // Who asks hears of a failure; now nobody does.
  open().catch(() => {});
  return open;
}

const TOO_LARGE = refuse("badRequest", `The form has more than ${FORM_BYTES_MAX} bytes`);

interface Served {
  readonly ports: ApiPorts;
  readonly secretKeys: SecretKeys;
  readonly door: Door;
  readonly lab: () => Promise<Lab>;
}

async function answer(context: Context, served: Served): Promise<Response> {
  let name = "errorresponse";
  try {
    const asked = await readRequest(context.req.raw);
    const command = asked.params.get("command") ?? "";
    const known = Object.hasOwn(commands, command) ? commands[command] : undefined;
    // Of a command that is not known, nothing is repeated.
    if (known !== undefined) name = known.answerName ?? `${command.toLowerCase()}response`;
    const { peer }: ConnectionBindings = context.env ?? {};
    served.door.enter(asked.sent, peer);
    checkFormat(asked.params);
    if (known === undefined) {
      name = "errorresponse";
      throw refuse("unsupported", "There is no such command, or it is not available");
    }
    const fields = await run({ command, known, asked }, served);
    return reply(context, 200, { [name]: fields });
  } catch (error) {
    return refused(context, refusalOf(error, served.ports.log), name);
  }
}

function refused(context: Context, refusal: ClientApiError, name = "errorresponse"): Response {
  context.header("X-Description", refusal.message);
  // Where the command is refused as such, CloudStack does not name the answer after it.
  const named = refusal.errorCode === 432 ? "errorresponse" : name;
  return reply(context, refusal.errorCode, { [named]: errorBody(refusal) });
}

interface Wanted {
  readonly command: string;
  readonly known: Command;
  readonly asked: Asked;
}

async function run(wanted: Wanted, { ports, secretKeys, lab: open }: Served): Promise<Fields> {
  const { command, known, asked } = wanted;
  if (ports.readOnly && known.kind !== "read") {
    throw refuse("unsupported", "A source owns the instances: change them there");
  }
  const values = readParams(known.params, asked.params);
  const lab = await open();
  const isKey = (key: string): boolean => secretKeys.get(key) !== undefined;
  const call: Call = { lab, method: asked.method, isKey };
  if (known.kind !== "job") {
    if (known.kind === "read") return known.answer(values, call);
    const fields = await lab.change(() => known.answer(values, call));
    ports.log.info({ command }, "a client's command was done");
    return fields;
  }
  const { id, instance, work } = await lab.change(() => known.begin(values, call));
  const jobid = lab.jobs.begin({ command, instance }, async () => {
    const fields = await lab.change(work);
    ports.log.info({ command, instance }, "a client's command was done");
    return fields;
  });
  return { ...(id !== undefined && { id }), jobid };
}

/** CloudStack answers XML where nothing is said, which nobody who asks here can read. */
function checkFormat(params: Asked["params"]): void {
  if (params.get("response")?.toLowerCase() === "json") return;
  throw refuse("parameter", "Answers are JSON only: ask with response=json");
}

function reply(context: Context, status: number, body: object): Response {
  // It may hold a password or a private key.
  context.header("Cache-Control", "no-store");
  context.header("X-Content-Type-Options", "nosniff");
  context.header("Content-Type", "application/json;charset=UTF-8");
  return context.body(JSON.stringify(body), status as 200);
}
