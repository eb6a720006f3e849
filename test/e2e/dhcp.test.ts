/**
 * The lines of `frontdesk router dhcp` in a real dnsmasq, for real DHCP clients, on a network
 * whose gateway is another machine: afterwards guests have both routes, and reach us.
 */

import { expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { networkConfig, startDnsmasq } from "./dnsmasq.ts";
import {
  type Lab,
  LINK_LOCAL_ADDRESS,
  labMissing,
  openLab,
  type Place,
  ROUTER_ADDRESS,
} from "./lab.ts";
import { startMachine } from "./machine.ts";
import { ok } from "./program.ts";
import { frontdesk } from "./router.ts";

const lacking = labMissing(["dnsmasq", "udhcpc", "dhclient", "curl"]);
const TEST_MS_MAX = 60_000;
const GATEWAY = "10.1.1.254";
const GUEST = { mac: "02:00:5a:10:00:07" };

const SERVER = `
  Bun.serve({ hostname: "0.0.0.0", port: 80, fetch: () => new Response("the front desk") });
  console.log("ready");
`;

/** What distributions' scripts for udhcpc do with routes; Debian's own looks at option 3 alone. */
const SCRIPT = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/24" dev "$interface"
echo "option 249: $msstaticroutes"
if [ -n "$staticroutes" ]; then
  set -- $staticroutes
  while [ $# -gt 1 ]; do
    ip route add "$1" via "$2" dev "$interface"
    shift 2
  done
else
  ip route add default via "$router" dev "$interface"
fi
`;

const dhcp = (name: string, body: (lab: Lab, guest: Place) => Promise<void>): void =>
  test.skipIf(lacking !== undefined)(
    name,
    async () => {
      await using lab = await openLab({
        guests: [GUEST, { mac: "02:00:00:00:00:fe", address: GATEWAY }],
      });
      const server = lab.router.start([process.execPath, "-e", SERVER]);
      await server.says(/ready/);
      const [guest] = lab.guests;
      if (guest === undefined) throw new Error("the lab has no guests");
      await body(lab, guest);
    },
    TEST_MS_MAX,
  );

dhcp("with the lines, a guest of dhclient has both routes and reaches us", async (lab, guest) => {
  const lines = await printed(lab);
  await startDnsmasq(lab, { dataServer: false, gateway: GATEWAY, more: lines });
  await using machine = await startMachine(lab, guest);
  await machine.ok(["dhclient", "-1", "-v", "eth0"]);
  await checkRoutes(guest, { host: true });
  expect(await desk(guest)).toBe("the front desk");
});

dhcp(
  "with the lines, a guest of udhcpc has both routes, and Windows' option",
  async (lab, guest) => {
    await startDnsmasq(lab, { dataServer: false, gateway: GATEWAY, more: await printed(lab) });
    const said = await udhcpc(lab, guest);
    await checkRoutes(guest, { host: true });
    expect(await desk(guest)).toBe("the front desk");
    const routes = `169.254.169.254/32 ${ROUTER_ADDRESS} 0.0.0.0/0 ${GATEWAY}`;
    expect(said).toContain(`option 249: ${routes}\n`);
  },
);

dhcp(
  "without the lines, the request goes to the gateway, which knows nothing",
  async (lab, guest) => {
    await startDnsmasq(lab, { dataServer: false, gateway: GATEWAY });
    await udhcpc(lab, guest);
    await checkRoutes(guest, { host: false });
    expect(await desk(guest)).toBe("");
  },
);

dhcp("where the router is the gateway no line is needed, and it says so", async (lab) => {
  const { code, stdout, stderr } = await run(lab, networkConfig());
  expect({ code, stdout, stderr }).toEqual({
    ...{ code: 0, stdout: "" },
    stderr: "nothing is needed: this router is the guests' gateway\n",
  });
});

dhcp("the control link, and an address that is missing, are warned of", async (lab) => {
  const ip = (words: string) => ok(lab.router.command(["ip", ...words.split(" ")]));
  await ip("link add eth1 type veth peer name host1");
  await ip("address add 169.254.7.77/16 dev eth1");
  await ip("link set eth1 up");
  await ip("link set host1 up");
  const first = await run(lab, networkConfig(GATEWAY));
  expect(first.stderr).toMatch(/^warning: eth1 has 169.254.7.77: the control link [^\n]*\n$/);
  await ip(`address del ${LINK_LOCAL_ADDRESS}/32 dev eth0`);
  const second = await run(lab, networkConfig(GATEWAY));
  expect(second.stderr).toContain(
    "requests to it would go to the control link: ip address add 169.254.169.254/32 dev eth0",
  );
});

async function run(lab: Lab, config: string) {
  const file = join(lab.folder, "cloud.conf");
  writeFileSync(file, config);
  const { argv, env } = frontdesk("bun", ["router", "dhcp", "--print", "--dnsmasq", file]);
  const { code, stdout, stderr } = await lab.router.run(argv, { env });
  return { code, stdout: stdout.toString(), stderr };
}

async function printed(lab: Lab): Promise<readonly string[]> {
  const { code, stdout, stderr } = await run(lab, networkConfig(GATEWAY));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.trimEnd().split("\n");
}

async function udhcpc(lab: Lab, guest: Place): Promise<string> {
  const script = join(lab.folder, "udhcpc.sh");
  writeFileSync(script, SCRIPT);
  chmodSync(script, 0o755);
  const asked = ["-O", "staticroutes", "-O", "msstaticroutes"];
  return ok(guest.command(["udhcpc", "-i", "eth0", "-q", "-n", "-f", ...asked, "-s", script]));
}

async function checkRoutes(guest: Place, { host }: { host: boolean }): Promise<void> {
  const routes = await ok(guest.command(["ip", "-4", "route", "show"]));
  expect(routes).toContain(`default via ${GATEWAY} dev eth0`);
  const hostRoute = `${LINK_LOCAL_ADDRESS} via ${ROUTER_ADDRESS} dev eth0`;
  if (host) expect(routes).toContain(hostRoute);
  else expect(routes).not.toContain(hostRoute);
}

async function desk(guest: Place): Promise<string> {
  const curl = ["curl", "-sm", "2", `http://${LINK_LOCAL_ADDRESS}/`];
  return (await guest.run(curl)).stdout.toString();
}
