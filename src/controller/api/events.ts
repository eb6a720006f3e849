/**
 * `/v1/events`: what changes in the store, as server-sent events. None holds a secret.
 *
 * A stream begins with `snapshot`, which says the store's revision and nothing else: whoever needs
 * the state lists it. A follower that is slow gets a change once, as it is last, or `snapshot`
 * again when the store no longer knows what it has missed.
 */

import { createRoute, z } from "@hono/zod-openapi";
import { type SSEMessage, type SSEStreamingApi, streamSSE } from "hono/streaming";
import { OperatorApiError } from "../../model/errors.ts";
import type { FeedElement, RecordChange } from "../../model/feed.ts";
import { tokenOf } from "./auth.ts";
import { FOLLOWER_PATIENCE_MS, FOLLOWERS_MAX, HEARTBEAT_MS } from "./limits.ts";
import { type AddRoutes, failures, secured } from "./routes.ts";
import { FollowQuery } from "./schemas.ts";
import { passwordState, summaryView } from "./view.ts";

const follow = createRoute({
  ...{ method: "get", path: "/v1/events", tags: ["events"], security: secured },
  summary: "Changes as they happen: snapshot, put, delete, secret, networks",
  request: { query: FollowQuery },
  responses: {
    200: {
      description: "A stream that does not end by itself.",
      content: { "text/event-stream": { schema: z.string() } },
    },
    ...failures,
  },
});

/** One event: its name, and its data without any secret. */
interface Event {
  readonly event: string;
  readonly data: object;
}

export const addEvents: AddRoutes = (app, { store, tokens, log }) => {
  let followers = 0;
  app.openapi(follow, (c) => {
    const { network } = c.req.valid("query");
    // Nobody would read the stream, nor end it.
    if (c.req.method === "HEAD") return c.body(null, 200);
    if (followers >= FOLLOWERS_MAX) {
      throw new OperatorApiError("FOLLOWERS_TOO_MANY", `${FOLLOWERS_MAX} follow already`);
    }
    followers++;
    const closing = c.env?.closing;
    const token = tokenOf(c) ?? "";
    return streamSSE(c, async (stream) => {
      const end = new AbortController();
      const abort = (): void => end.abort();
      stream.onAbort(abort);
      closing?.addEventListener("abort", abort);
      if (closing?.aborted === true) abort();
      // A token that was taken away ends what was begun with it.
      const counts = async (): Promise<boolean> => (await tokens.bearer(token)) !== undefined;
      const timer = setInterval(async () => {
        if (!(await counts())) abort();
        else if (!(await sent(stream, () => stream.write(": \n\n")))) abort();
      }, HEARTBEAT_MS);
      try {
        for await (const element of store.follow(end.signal, { from: "now" })) {
          if (!(await counts())) return;
          for (const { event, data } of eventsOf(element, network)) {
            const id = String(element.revision);
            const message: SSEMessage = { event, id, data: JSON.stringify(data) };
            if (!(await sent(stream, () => stream.writeSSE(message)))) return;
          }
        }
      } catch (error) {
        // The store was replaced or closed: the client connects again, and begins anew.
        log.warn({ err: error }, "a stream of events ended");
      } finally {
        followers--;
        clearInterval(timer);
        closing?.removeEventListener("abort", abort);
      }
    });
  });
};

/** @returns whether the client took it in time. */
async function sent(stream: SSEStreamingApi, write: () => Promise<unknown>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), FOLLOWER_PATIENCE_MS);
  });
  const isSent = await Promise.race([write().then(() => true), late]);
  clearTimeout(timer);
  return isSent && !stream.aborted;
}

function* eventsOf(element: FeedElement, network: string | undefined): Generator<Event> {
  const { revision } = element;
  if (element.kind === "snapshot") {
    yield { event: "snapshot", data: { revision } };
    return;
  }
  for (const change of element.changes) {
    const at = change.kind === "put" ? change.record.network : change.network;
    if (network === undefined || network === at) yield eventOf(change);
  }
  const networks = element.networks?.filter(({ id }) => network === undefined || id === network);
  if (networks !== undefined) yield { event: "networks", data: { networks, revision } };
}

function eventOf(change: RecordChange): Event {
  if (change.kind === "put") return { event: "put", data: summaryView(change) };
  const { network, id, revision } = change;
  const name = { network, id, revision };
  if (change.kind === "delete") return { event: "delete", data: name };
  return { event: "secret", data: { ...name, password: passwordState(stateOf(change)) } };
}

function stateOf({
  password,
}: Extract<RecordChange, { kind: "secret" }>): Parameters<typeof passwordState>[0] {
  return password === undefined ? {} : { password };
}
