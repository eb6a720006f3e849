/**
 * `frontdesk guest get`: one attribute, or a listing.
 */

import { MetadataError } from "../../model/errors.ts";
import {
  type Call,
  consoleOf,
  type ExitCode,
  type GuestCommand,
  type World,
  world,
} from "../command.ts";
import { parseListing } from "../listing.ts";
import { CACHE_OPTIONS, JSON_OPTION, msOf, WHERE_OPTIONS, whereOf } from "../options.ts";
import { targetOf } from "../path.ts";
import { type Answered, readCached, readRemote } from "../read.ts";
import { whereOf as placeOf } from "../report.ts";
import { textOf } from "../tree.ts";
import { sleep } from "../waiting.ts";

/** Between two tries of `--wait`. ms. */
const RETRY_MS = 1_000;

export const get: GuestCommand = {
  description: [
    "PATH is a key (local-hostname), user-data, or spelled out (/latest/meta-data/).",
    "Without one the keys are listed. A value is printed as it is, with a newline only on",
    "a terminal.",
  ].join(" "),
  arguments: [{ name: "[path]", summary: "what to read; the listing when absent" }],
  options: [
    JSON_OPTION,
    { flags: "--wait <seconds>", summary: "try again for so long until it is there", default: "0" },
    { flags: "--default <value>", summary: "print this, and end with 0, when it is absent" },
    ...CACHE_OPTIONS,
    ...WHERE_OPTIONS,
    { flags: "-v, --verbose", summary: "say on stderr who was asked, and how it was found" },
  ],
  exits: [
    [0, "it is there, be it empty; or --default stands in for it"],
    [1, "it is absent, or nobody answers; --json tells which"],
    [2, "called wrongly"],
  ],
  examples: [
    ["frontdesk guest get", "list the keys"],
    ["frontdesk guest get local-hostname", "read one attribute"],
    ["frontdesk guest get user-data --wait 60 > script", "at boot, when the network may be late"],
    ["frontdesk guest get public-ipv4 --cached --json", "from the local cache, for a program"],
  ],
  run: (call, outside = world()) => runGet(call, outside),
};

async function runGet({ args, options }: Call, outside: World): Promise<ExitCode> {
  const console = consoleOf(outside);
  const target = targetOf(args[0] ?? "");
  const where = whereOf(options);
  const waitMs = msOf(options, "wait") ?? 0;
  const file = options.string("cache-file");
  const cached = options.flag("cached") || file !== undefined;
  const answered = await untilThere(
    async () => {
      const known = cached ? readCached(target, { identity: outside.identity, file }) : undefined;
      return known ?? (await readRemote(target, where, outside.signal));
    },
    waitMs,
    outside.signal,
  );
  if (options.flag("verbose")) {
    const { endpoint: url, via, source, fetchedAt } = answered;
    const from = placeOf({
      url,
      via,
      host: "",
      port: 0,
      ...(source === undefined ? {} : { source }),
    });
    console.note(
      fetchedAt === undefined ? `from ${from}` : `from the cache of ${fetchedAt}, ${from}`,
    );
  }
  const usual = options.string("default");
  if (options.flag("json")) console.json(describe(answered, usual));
  else if (answered.body !== undefined) console.content(answered.body);
  else if (usual !== undefined) console.content(Buffer.from(usual));
  else console.note(`frontdesk: ${target} is absent`);
  return answered.body !== undefined || usual !== undefined ? 0 : 1;
}

/** Looks again and again until it is there, or the time is up; then the last look counts. */
async function untilThere(
  look: () => Promise<Answered>,
  waitMs: number,
  signal: AbortSignal,
): Promise<Answered> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const leftMs = deadline - Date.now();
    try {
      const answered = await look();
      if (answered.body !== undefined || leftMs <= 0) return answered;
    } catch (error) {
      if (!(error instanceof MetadataError) || error.code.startsWith("CACHE_") || leftMs <= 0)
        throw error;
    }
    await sleep(Math.min(RETRY_MS, Math.max(leftMs, 1)), signal);
    signal.throwIfAborted();
  }
}

function describe(
  answered: Answered,
  usual: string | undefined,
): Readonly<Record<string, unknown>> {
  const { target, body, endpoint, via, fetchedAt } = answered;
  const about = { endpoint, via, ...(fetchedAt === undefined ? {} : { fetchedAt }) };
  if (body === undefined) {
    return {
      path: target,
      found: false,
      ...(usual === undefined ? {} : { value: usual }),
      ...about,
    };
  }
  if (target.endsWith("/"))
    return { path: target, found: true, names: parseListing(body).names, ...about };
  const text = textOf(body);
  const value = text === undefined ? { base64: body.toString("base64") } : { value: text };
  return { path: target, found: true, ...value, ...about };
}
