/**
 * The operator API on a real socket, as the tests on both runtimes start it: `server.ts PORT
 * [CERT KEY]`. Prints its address, and ends on SIGTERM.
 */

import { operatorApi } from "../../src/controller/api/app.ts";
import { openApiListener } from "../../src/controller/http.ts";
import { openTokens } from "../../src/controller/tokens.ts";
import { Conditions } from "../../src/observe/conditions.ts";
import { createLog } from "../../src/observe/log.ts";
import { MemoryStore } from "../../src/store/memory.ts";

const [port = "0", cert, key] = process.argv.slice(2);
const log = createLog({ write: (line: string) => process.stderr.write(line) } as never, "warn");
const store = new MemoryStore();
await store.putNetworks([{ id: "204", cidrs: [] }]); // Revision 1.
const app = operatorApi({
  ...{ store, log, conditions: new Conditions(Date.now), now: Date.now },
  ...{ userDataMax: 32_768, readOnly: false, hint: () => {} },
  tokens: await openTokens({
    path: `${import.meta.dirname}/none`,
    own: async () => process.env.FRONTDESK_TOKEN,
    onTrouble: () => {},
  }),
});
const listener = await openApiListener({
  listen: { host: "127.0.0.1", port: Number(port) },
  fetch: (request, env) => app.fetch(request, env),
  ...(cert !== undefined && key !== undefined && { tls: { cert, key } }),
});
process.stdout.write(`${listener.url}\n`);
process.once("SIGTERM", async () => {
  await listener.close();
  process.stdout.write("closed\n");
  process.exit(0);
});
