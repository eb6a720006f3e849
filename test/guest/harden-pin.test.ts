/**
 * `harden --pin` with Debian's cloud-init: a stranger on the network is not believed.
 *
 * Method: beside the router another machine of the network plays a metadata service, as a rogue
 * DHCP server's choice or at 169.254.169.254. The same image boots once without the pin, and falls
 * for it, so that the trap is known to work; and once with the pin.
 */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Lab, LINK_LOCAL_ADDRESS, labMissing, openLab, ROUTER_ADDRESS } from "../e2e/lab.ts";
import { type Machine, startMachine } from "../e2e/machine.ts";
import { ok } from "../e2e/program.ts";
import { startRouter } from "../e2e/router.ts";
import { NO_RESOLVER } from "./harden-lab.ts";

const DATABAGS = join(import.meta.dirname, "../../fixtures/cloudstack/isolated/etc-cloudstack");
const PROGRAM = join(import.meta.dirname, "../../src/guest/main.ts");
const GUEST = "10.1.1.57";
const ROGUE_ADDRESS = "10.1.1.66";
const ROGUE_ID = "i-rogue";
const TIMEOUT_MS = 60_000;

const lacking = labMissing(["nft", "cloud-init", "wget", "setpriv"]);

/** Answers CloudStack's paths and EC2's with an instance of its own. */
const ROGUE = `
  const answers = [
    [/instance-id$/, "${ROGUE_ID}"],
    [/meta-data\\/?$/, "instance-id\\nlocal-hostname\\navailability-zone"],
    [/local-hostname$|availability-zone$/, "rogue"],
    [/user-data$/, "#cloud-config\\n{}\\n"],
  ];
  const respond = (request, reply) => {
    const answer = answers.find(([path]) => request.method === "GET" && path.test(request.url));
    reply.statusCode = answer ? 200 : 404;
    reply.end(answer?.[1] ?? "");
  };
  require("node:http").createServer(respond).listen(80, "0.0.0.0", () => console.log("ready"));
`;

const LEASE = `lease {
  interface "eth0";
  fixed-address ${GUEST};
  option dhcp-server-identifier ${ROGUE_ADDRESS};
}
`;

interface Trap {
  readonly name: string;
  /** Files of the image that walks into it. */
  readonly files: Readonly<Record<string, string>>;
}

const TRAPS: readonly Trap[] = [
  {
    name: "a rogue DHCP server that names itself",
    files: { "/var/lib/dhcp/dhclient.eth0.leases": LEASE },
  },
  {
    name: "a rogue 169.254.169.254, where the image looks for EC2's service",
    files: {
      "/etc/cloud/cloud.cfg.d/98_ec2.cfg":
        "datasource_list: [ Ec2 ]\ndatasource: { Ec2: { strict_id: false } }\n",
    },
  },
];

for (const trap of TRAPS) {
  test.skipIf(lacking !== undefined)(
    `cloud-init falls for ${trap.name}, and does not when it is pinned`,
    async () => {
      await using lab = await openLab({
        guests: [
          { mac: macOf(GUEST), address: GUEST },
          { mac: "02:00:5a:66:66:66", address: ROGUE_ADDRESS },
        ],
      });
      await using _rogue = await startRogue(lab);
      await using _router = await startRouter({
        rim: "bun",
        place: lab.router,
        source: `databag:${DATABAGS}`,
        listen: [`${ROUTER_ADDRESS}:80`],
        passwordListen: [`${ROUTER_ADDRESS}:8080`],
        stateDir: join(lab.folder, "state"),
      });
      expect(await bootedAs(lab, trap, async () => {})).toBe(ROGUE_ID);
      const real = await bootedAs(lab, trap, async (machine) => {
        const words = ["--pin", "--endpoint", ROUTER_ADDRESS];
        await harden(machine, "--apply", ...words);
        await harden(machine, "--check", ...words);
      });
      expect(real).toBe(instanceOf(GUEST));
    },
    TIMEOUT_MS,
  );
}

test.skipIf(lacking !== undefined)(
  "the pin goes without a trace, on a real image",
  async () => {
    await using lab = await openLab({ guests: [{ mac: macOf(GUEST), address: GUEST }] });
    const [guest] = lab.guests;
    if (guest === undefined) throw new Error("the lab has no guest");
    await using machine = await startMachine(lab, guest);
    await machine.ok(["sh", "-c", "cat > /etc/resolv.conf"], { input: NO_RESOLVER });
    const state = [
      "sh",
      "-c",
      "cat /etc/hosts; ls -l /etc/hosts | cut -c1-10; ls /etc/cloud/cloud.cfg.d",
    ];
    const before = await machine.ok(state);
    await harden(machine, "--apply", "--pin");
    expect(await machine.ok(["getent", "ahostsv4", "data-server"])).toContain(ROUTER_ADDRESS);
    expect(await machine.ok(state)).not.toBe(before);
    await harden(machine, "--remove");
    expect(await machine.ok(state)).toBe(before);
    expect(await machine.ok(["nft", "list", "ruleset"])).toBe("");
  },
  TIMEOUT_MS,
);

/** Boots a fresh machine, and answers which instance cloud-init believes it is. */
async function bootedAs(
  lab: Lab,
  trap: Trap,
  prepare: (machine: Machine) => Promise<void>,
): Promise<string> {
  const [guest] = lab.guests;
  if (guest === undefined) throw new Error("the lab has no guest");
  await using machine = await startMachine(lab, guest);
  const files = { ...trap.files, "/etc/resolv.conf": NO_RESOLVER };
  for (const [path, input] of Object.entries(files)) {
    await machine.ok(["sh", "-c", 'cat > "$0"', path], { input });
  }
  await prepare(machine);
  await machine.ok(["/usr/lib/cloud-init/ds-identify", "--force"]);
  await machine.ok(["cloud-init", "init"]);
  return (await machine.read("/run/cloud-init/.instance-id")).toString().trim();
}

async function startRogue(lab: Lab): Promise<AsyncDisposable> {
  const rogue = lab.guests[1];
  if (rogue === undefined) throw new Error("the lab has no second guest");
  const moved = `${LINK_LOCAL_ADDRESS}/32`;
  await ok(["ip", "-n", lab.router.name, "address", "del", moved, "dev", "eth0"]);
  await ok(["ip", "-n", rogue.name, "address", "add", moved, "dev", "eth0"]);
  const [guest] = lab.guests;
  if (guest !== undefined) {
    await ok(["ip", "-n", guest.name, "route", "add", moved, "dev", "eth0"]);
  }
  const server = rogue.start([process.execPath, "-e", ROGUE]);
  await server.says(/ready/);
  return server;
}

async function harden(machine: Machine, ...words: readonly string[]): Promise<void> {
  await machine.ok([process.execPath, PROGRAM, "harden", ...words]);
}

function macOf(address: string): string {
  return bag("dhcpentry.json")[address].mac_address;
}

function instanceOf(address: string): string {
  const rows: readonly (readonly string[])[] = bag("vmdata.json")[address];
  return rows.find(([, name]) => name === "instance-id")?.[2] ?? "";
}

// biome-ignore lint/suspicious/noExplicitAny: CloudStack's own format, read in two places
function bag(name: string): any {
  return JSON.parse(readFileSync(join(DATABAGS, name), "utf8"));
}
