/**
 * `frontdesk guest cache`: the whole metadata in one local file, once or for as long as it runs.
 */

import { GuestError } from "../../model/errors.ts";
import { type CacheFile, cachePath, readCache, renderCache } from "../cache-file.ts";
import { gidOf, openTarget, type Target, writeCache } from "../cache-write.ts";
import {
  type Call,
  consoleOf,
  type ExitCode,
  type GuestCommand,
  type World,
  world,
} from "../command.ts";
import type { Console } from "../console.ts";
import { crawl } from "../crawl.ts";
import { find } from "../discover.ts";
import type { Endpoint } from "../endpoint.ts";
import { follow } from "../follow.ts";
import { type Hook, openHook } from "../hook.ts";
import { INTERVAL_OPTION, intervalOf, WHERE_OPTIONS, whereOf } from "../options.ts";
import { explain, whereOf as placeOf } from "../report.ts";
import { changesBetween, leavesOf, type Snapshot } from "../tree.ts";

export const cache: GuestCommand = {
  description: [
    "Reads the whole metadata in one state and writes it as JSON, by root to",
    "/run/metadata.json, else to $XDG_RUNTIME_DIR/metadata.json. The file is replaced",
    "whole, and is its owner's alone. It has no password, and user data only when that is",
    "asked for.",
  ].join(" "),
  options: [
    { flags: "--output <file>", summary: "write there instead" },
    { flags: "--group <group>", summary: "this group may read it too, by name or number" },
    { flags: "--with-user-data", summary: "with the user data, which often has secrets" },
    { flags: "--follow", summary: "keep it true until ended" },
    INTERVAL_OPTION,
    { flags: "--on-change <command>", summary: "run a program when something differs; no shell" },
    ...WHERE_OPTIONS,
  ],
  exits: [
    [0, "written; with --follow: it was asked to end"],
    [1, "nobody answers, or the file may not or cannot be written"],
    [2, "called wrongly"],
  ],
  examples: [
    ["frontdesk guest cache", "write it once, as at boot"],
    ["frontdesk guest cache --follow --group www-data", "keep it true, for this group too"],
    ["frontdesk guest cache --follow --on-change /usr/local/sbin/renamed", "and act on changes"],
  ],
  run: (call, outside = world({ endsOnSignal: call.options.flag("follow") })) =>
    runCache(call, outside),
};

/** What one run writes to, and whom it tells. */
interface Keeper {
  readonly target: Target;
  readonly console: Console;
  readonly hook: Hook | undefined;
  readonly signal: AbortSignal;
  /** What the file holds. */
  last: Snapshot | undefined;
}

async function runCache({ options }: Call, outside: World): Promise<ExitCode> {
  const { identity, signal } = outside;
  const console = consoleOf(outside);
  const group = options.string("group");
  const where = whereOf(options);
  const intervalMs = intervalOf(options);
  const withUserData = options.flag("with-user-data");
  const gid = group === undefined ? undefined : gidOf(group);
  const target = openTarget(options.string("output") ?? cachePath(identity), {
    uid: identity.uid,
    gid,
  });
  const command = options.string("on-change");
  const note = (line: string): void => console.note(line);
  const hook = command === undefined ? undefined : openHook({ command, path: target.path, note });
  const last = snapshotIn(target, note);
  const keeper: Keeper = { target, console, hook, signal, last };
  if (options.flag("follow")) {
    for await (const seen of follow({ ...where, withUserData, intervalMs }, signal)) {
      if (seen.kind === "failed") console.note(`frontdesk: ${seen.error.message}`);
      else tryKeep(keeper, seen);
    }
  } else {
    keep(keeper, await readOnce(where, { withUserData, signal }));
  }
  await hook?.settled();
  return 0;
}

interface Seen {
  readonly snapshot: Snapshot;
  readonly endpoint: Endpoint;
}

async function readOnce(
  where: ReturnType<typeof whereOf>,
  { withUserData, signal }: { readonly withUserData: boolean; readonly signal: AbortSignal },
): Promise<Seen> {
  const { discovery, client } = await find(where, signal);
  if (client === undefined || discovery.chosen === undefined) {
    throw new GuestError("ENDPOINT_NONE", explain(discovery));
  }
  try {
    const snapshot = await crawl(client, { withUserData }, signal);
    return { snapshot, endpoint: discovery.chosen };
  } finally {
    client.close();
  }
}

/** Writes it, says so, and tells the hook what differs from what was there. */
function keep(keeper: Keeper, { snapshot, endpoint }: Seen): void {
  const { target, console, hook, signal, last } = keeper;
  const fetchedAt = new Date().toISOString();
  writeCache(
    target,
    renderCache(snapshot, { fetchedAt, endpoint: endpoint.url, via: endpoint.via }),
  );
  keeper.last = snapshot;
  const keys = leavesOf(snapshot.metaData).length;
  console.note(`${target.path}: ${keys} keys from ${placeOf(endpoint)}`);
  const changes =
    last === undefined
      ? leavesOf(snapshot.metaData).map(([key]) => ({ key }))
      : changesBetween(last, snapshot);
  if (changes.length > 0)
    hook?.changed(
      changes.map(({ key }) => key),
      signal,
    );
}

/** A full disk must not end what keeps the cache true: what was there stays, and it is told. */
function tryKeep(keeper: Keeper, seen: Seen): void {
  try {
    keep(keeper, seen);
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    keeper.console.note(`frontdesk: ${error.message}`);
  }
}

/** What the file holds from an earlier run; one that cannot be used is written anew. */
function snapshotIn(target: Target, note: (line: string) => void): Snapshot | undefined {
  let file: CacheFile | undefined;
  try {
    file = readCache(target.path, target.uid);
  } catch (error) {
    if (!(error instanceof GuestError)) throw error;
    note(`frontdesk: ${error.message}; it is written anew`);
  }
  if (file === undefined) return undefined;
  const { etag, metaData, userData } = file;
  return { etag: etag ?? undefined, whole: false, metaData, userData };
}
