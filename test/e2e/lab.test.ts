/** The lab itself: what it gives a test, and that nothing of it stays. */

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { labMissing, openLab } from "./lab.ts";
import { sweep } from "./leftovers.ts";
import { start } from "./program.ts";

const lacking = labMissing(["curl"]);
const GUESTS = [
  { mac: "02:00:00:00:00:01", address: "10.1.1.11" },
  { mac: "02:00:00:00:00:02", address: "10.1.1.12" },
];

/** Tells who asks it. */
const SERVER = `
  const fetch = (request, server) => new Response(server.requestIP(request).address);
  Bun.serve({ hostname: "0.0.0.0", port: 80, fetch });
  console.log("ready");
`;

test.skipIf(lacking !== undefined)(
  "guests reach the router, and it goes when it ends",
  async () => {
    let names: string[];
    {
      await using lab = await openLab({ guests: GUESTS });
      names = [lab.router.name, ...lab.guests.map((guest) => guest.name)];
      const server = lab.router.start([process.execPath, "-e", SERVER]);
      await server.says(/ready/);
      for (const [index, guest] of lab.guests.entries()) {
        for (const address of ["10.1.1.1", "169.254.169.254"]) {
          const { stdout } = await guest.run(["curl", "--silent", `http://${address}:80/`]);
          expect(stdout.toString()).toBe(GUESTS[index]?.address ?? "");
        }
      }
      const seen = await lab.router.run(["ip", "neighbour", "show"]);
      for (const { mac, address } of GUESTS) {
        expect(seen.stdout.toString()).toContain(`${address} dev eth0 lladdr ${mac}`);
      }
    }
    expect(names).toHaveLength(3);
    for (const name of names) expect(existsSync(`/run/netns/${name}`)).toBe(false);
  },
);

test.skipIf(lacking !== undefined)("an interrupted run removes its lab", () =>
  checkInterrupted("SIGTERM", () => {}),
);

test.skipIf(lacking !== undefined)("the next run removes the lab of one that was killed", () =>
  checkInterrupted("SIGKILL", sweep),
);

async function checkInterrupted(signal: NodeJS.Signals, after: () => void): Promise<void> {
  const file = join(import.meta.dirname, "interrupted.ts");
  await using inner = start([process.execPath, "test", file]);
  await inner.says(/^open \S+ \S+$/m);
  const [, name = "", folder = ""] = /^open (\S+) (\S+)$/m.exec(inner.output()) ?? [];
  expect(existsSync(`/run/netns/${name}`)).toBe(true);
  inner.signal(signal);
  await inner.ended;
  after();
  expect(existsSync(`/run/netns/${name}`)).toBe(false);
  expect(existsSync(folder)).toBe(false);
}
