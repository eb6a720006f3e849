/**
 * `frontdesk guest harden` on nftables, with real packets.
 *
 * Method: a guest, a service and a container in namespaces of their own; every kind of asker asks
 * every address, before, during and after.
 */

import { expect, test } from "bun:test";
import { labMissing } from "../e2e/lab.ts";
import {
  type HardenLab,
  HOSTS,
  OTHER_ROUTER_ADDRESS,
  openHardenLab,
  SERVICE_PORTS,
  STRANGER,
} from "./harden-lab.ts";

const lacking = labMissing(["nft", "curl", "setpriv", "sysctl"]);
const it = test.skipIf(lacking !== undefined);
const TIMEOUT_MS = 60_000;

/** What others have loaded before us; it shall be the same when we are gone. */
const FOREIGN = `
table inet filter {
  set trusted { type ipv4_addr; elements = { 10.9.9.9 } }
  chain output { type filter hook output priority filter; policy accept; tcp dport 25 reject; }
  chain forward { type filter hook forward priority filter; policy accept; counter; }
}
table ip nat {
  chain post { type nat hook postrouting priority srcnat; policy accept; }
}
`;

/** Asks again and again over one connection. */
const TALKER = `
  const socket = require("node:net").connect(80, "10.1.1.1");
  const ask = () => socket.write("GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");
  socket.on("connect", ask);
  socket.on("data", () => { console.log("answered"); setTimeout(ask, 20); });
  socket.on("error", (error) => { console.log(error.code); process.exit(); });
`;

const URLS = HOSTS.flatMap((host) => SERVICE_PORTS.map((port) => `http://${host}:${port}/`));

it(
  "a stranger is refused at once; root, allowed users and groups pass, everywhere",
  async () => {
    await using lab = await openHardenLab();
    for (const url of URLS)
      expect([url, await lab.ask(url, { user: STRANGER })]).toEqual([url, "passes"]);
    const words = ["--allow", "root,www-data", "--allow-group", "games", "--apply"];
    expect((await lab.harden(...words)).code).toBe(0);
    const started = performance.now();
    for (const url of URLS) {
      const expected = { root: "passes", user: "passes", group: "passes", stranger: "refused" };
      expect({
        url,
        root: await lab.ask(url),
        user: await lab.ask(url, { user: "33", group: STRANGER }),
        group: await lab.ask(url, { user: STRANGER, group: "60" }),
        stranger: await lab.ask(url, { user: STRANGER }),
      }).toEqual({ url, ...expected });
    }
    // A packet that is dropped would cost each stranger curl's three seconds.
    expect(performance.now() - started).toBeLessThan(URLS.length * 2_000);
    // Another service of the same router is nobody's business.
    expect(await lab.ask("http://10.1.1.1:81/", { user: STRANGER })).toBe("passes");
  },
  TIMEOUT_MS,
);

it(
  "connections of allowed users end as they would without rules",
  async () => {
    await using lab = await openHardenLab();
    await lab.harden("--apply");
    for (let i = 0; i < 5; i += 1) expect(await lab.ask("http://10.1.1.1/")).toBe("passes");
    // Were the kernel's own packets refused, the server would wait for the last acknowledgement.
    const waiting = await lab.router.run(["ss", "-Htan", "state", "last-ack"]);
    expect(waiting.stdout.toString()).toBe("");
  },
  TIMEOUT_MS,
);

it(
  "a connection that a stranger had opened before is reset",
  async () => {
    await using lab = await openHardenLab();
    const as = ["setpriv", `--reuid=${STRANGER}`, `--regid=${STRANGER}`, "--clear-groups"];
    await using talker = lab.guest.start([...as, process.execPath, "-e", TALKER]);
    await talker.says(/answered/);
    await lab.harden("--apply");
    await talker.says(/ECONNRESET/);
  },
  TIMEOUT_MS,
);

it(
  "containers behind a bridge are refused, on both IP versions and both ports",
  async () => {
    await using lab = await openHardenLab();
    // A link-local address is not forwarded.
    const urls = URLS.filter((url) => !url.includes("fe80"));
    const answers = async (): Promise<string[]> => {
      const list = [];
      for (const url of urls) list.push(await lab.askFromContainer(url));
      return list;
    };
    expect(new Set(await answers())).toEqual(new Set(["passes"]));
    await lab.harden("--apply");
    expect(new Set(await answers())).toEqual(new Set(["refused"]));
    await lab.harden("--remove");
    expect(new Set(await answers())).toEqual(new Set(["passes"]));
  },
  TIMEOUT_MS,
);

it(
  "applied twice it changes nothing, and removal restores the ruleset",
  async () => {
    await using lab = await openHardenLab();
    await lab.ok("nft -f -", { input: FOREIGN });
    const before = await lab.ok("nft -s list ruleset");
    expect((await lab.harden("--allow", "www-data")).code).toBe(0);
    expect(await lab.ok("nft -s list ruleset")).toBe(before);

    await lab.harden("--allow", "www-data", "--apply");
    // Handles tell a rule from one that was written again.
    const once = await lab.ok("nft -a -s list ruleset");
    expect((await lab.harden("--allow", "www-data", "--apply")).out).toContain(
      "nothing had to change",
    );
    expect(await lab.ok("nft -a -s list ruleset")).toBe(once);

    await lab.harden("--allow", "games", "--apply");
    expect(await lab.ok("nft -a -s list ruleset")).not.toBe(once);
    expect((await lab.harden("--remove")).code).toBe(0);
    expect(await lab.ok("nft -s list ruleset")).toBe(before);
    expect((await lab.harden("--remove")).out).toContain("nothing to remove");
  },
  TIMEOUT_MS,
);

it(
  "--check ends with 0 while the rules are in force, and with 3 after anybody touched them",
  async () => {
    await using lab = await openHardenLab();
    await checkCode(lab, 3, "no rules of ours");
    await lab.harden("--allow", "www-data", "--apply");
    await checkCode(lab, 0, "yes");
    await checkCode(lab, 0, "yes", "--allow", "www-data");
    await checkCode(lab, 3, "not those", "--allow", "games");
    for (const damage of [
      "delete element inet frontdesk_guest endpoints4 { 10.1.1.1 }",
      "delete element inet frontdesk_guest users { 0 }",
      "delete element inet frontdesk_guest ports { 8080 }",
      "insert rule inet frontdesk_guest guard accept",
      "flush chain inet frontdesk_guest forward",
      "add table inet frontdesk_guest { flags dormant; }",
    ]) {
      await lab.ok(`nft '${damage}'`);
      await checkCode(lab, 3, "finding");
      await lab.harden("--allow", "www-data", "--apply");
      await checkCode(lab, 0, "yes");
    }
  },
  TIMEOUT_MS,
);

it(
  "a router that changed its address is guarded at the next run",
  async () => {
    await using lab = await openHardenLab();
    await lab.harden("--apply");
    expect(await lab.ask(`http://${OTHER_ROUTER_ADDRESS}/`, { user: STRANGER })).toBe("passes");
    await lab.ok(`ip route replace default via ${OTHER_ROUTER_ADDRESS}`);
    await checkCode(lab, 3, `${OTHER_ROUTER_ADDRESS} is not guarded`);
    await lab.harden("--apply");
    expect(await lab.ask(`http://${OTHER_ROUTER_ADDRESS}/`, { user: STRANGER })).toBe("refused");
    expect(await lab.ask(`http://${OTHER_ROUTER_ADDRESS}/`)).toBe("passes");
    await checkCode(lab, 0, "yes");
  },
  TIMEOUT_MS,
);

async function checkCode(
  lab: HardenLab,
  code: number,
  text: string,
  ...words: readonly string[]
): Promise<void> {
  const done = await lab.harden("--check", ...words);
  expect(done.out).toContain(text);
  expect(done.code).toBe(code);
}
