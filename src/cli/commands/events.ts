/**
 * `frontdesk events`: follows what changes in a controller's store, until it is told to stop.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { clean } from "../../model/clean.ts";
import { AdminError } from "../../model/errors.ts";
import { API_OPTIONS, type ApiEvent, openApiClient } from "../api-client.ts";
import { checkNetwork, networkOf, OF_NETWORK } from "../api-instances.ts";
import { type Command, EXIT, JSON_OPTION } from "../command.ts";
import { untilTold } from "../until-told.ts";

/** Between two tries to connect: a controller restarts within seconds. ms. */
const RETRY_MS = 1000;
const RETRY_MS_MAX = 15_000;

export const events: Command = {
  description:
    "Prints a line for each change. An event says what to look at again, and holds no secret. " +
    "When the connection is lost it is made again; what changed meanwhile is one `snapshot`. " +
    "A reader that ends (`| head -1`) is noticed with the line after.",
  options: [OF_NETWORK, ...API_OPTIONS, JSON_OPTION],
  examples: [
    ["frontdesk events", "watch what happens"],
    ["frontdesk events --json --network 204", "a JSON object a line, for a program"],
  ],
  async run({ options, out }) {
    const client = await openApiClient(options);
    const network = networkOf(options);
    await checkNetwork(client, network);
    const path = `/v1/events${network === undefined ? "" : `?${new URLSearchParams({ network })}`}`;
    const isJson = options.flag("json");
    const told = untilTold();
    const end = new AbortController();
    void told.ended.then(() => end.abort());
    let waitMs = RETRY_MS;
    let wasConnected = false;
    try {
      while (!end.signal.aborted) {
        try {
          for await (const event of client.follow(path, end.signal)) {
            wasConnected = true;
            waitMs = RETRY_MS;
            out.print(isJson ? JSON.stringify({ event: event.event, ...event.data }) : line(event));
          }
        } catch (error) {
          if (end.signal.aborted) break;
          // At first it is said and done with; later the controller may only be restarting. A
          // token that was taken away does not come back.
          if (!wasConnected || !(error instanceof AdminError)) throw error;
          out.note(`${clean(error.message)}; trying again`);
        }
        if (end.signal.aborted) break;
        await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal: end.signal }).catch(
          () => {},
        );
        waitMs = Math.min(2 * waitMs, RETRY_MS_MAX);
      }
    } finally {
      told.release();
    }
    return EXIT.done;
  },
};

function line({ event, data }: ApiEvent): string {
  const { network, id, name, password, revision, networks } = data;
  const at = network === undefined ? "" : `${network} ${id}`;
  const more =
    (name === undefined ? "" : ` (${name})`) +
    (event === "secret" ? ` password ${password}` : "") +
    (Array.isArray(networks) ? networks.map((one) => ` ${one?.id}`).join("") : "");
  return clean(
    [new Date().toISOString(), event.padEnd(8), `${at}${more}`.trim(), `revision ${revision}`].join(
      "  ",
    ),
  );
}
