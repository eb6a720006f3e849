/**
 * `harden --persist` on a whole machine: what the unit starts at each boot does what it should.
 *
 * There is no systemd in the machine to start it: its command line is taken from the unit and run.
 */

import { expect, test } from "bun:test";
import { lstatSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Lab, labMissing, openLab } from "../e2e/lab.ts";
import { type Machine, startMachine } from "../e2e/machine.ts";
import { NO_RESOLVER } from "./harden-lab.ts";

const PROGRAM = join(import.meta.dirname, "../../src/guest/main.ts");
const UNIT = "/etc/systemd/system/frontdesk-guest-harden.service";
const TIMEOUT_MS = 60_000;

const lacking = labMissing(["nft", "systemctl", "setpriv"]) ?? unsafePlace();
const it = test.skipIf(lacking !== undefined);

it(
  "at boot the unit restores the rules, and follows the router's address",
  async () => {
    await using lab = await openLab({
      guests: [{ mac: "02:00:5a:10:00:12", address: "10.1.1.12" }],
    });
    await using machine = await start(lab);
    await machine.ok(["sh", "-c", "cat > /etc/resolv.conf"], { input: NO_RESOLVER });
    await machine.ok(["useradd", "--system", "--uid", "777", "fetcher"]);
    await machine.ok([...harden(), "--allow", "fetcher", "--apply", "--persist"]);
    const unit = (await machine.read(UNIT)).toString();
    const command = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(" ") ?? [];
    expect(await machine.ok(command)).toContain("nothing had to change");

    const rules = await machine.ok(["nft", "-s", "list", "ruleset"]);
    expect(rules).toContain("777");
    // A boot begins without rules, and without a lease: the addresses known before are guarded.
    await machine.ok(["nft", "flush", "ruleset"]);
    await machine.ok(["ip", "route", "del", "default"]);
    await machine.ok(command);
    expect(await machine.ok(["nft", "-s", "list", "ruleset"])).toBe(rules);

    await machine.ok(["ip", "route", "add", "default", "via", "10.1.1.77"]);
    await machine.ok(["userdel", "fetcher"]);
    expect(await machine.ok(command)).toContain("there is no user fetcher: left out");
    const after = await machine.ok(["nft", "-s", "list", "ruleset"]);
    expect(after).toContain("10.1.1.77");
    expect(after).not.toContain("777");

    await machine.ok([...harden(), "--remove"]);
    expect(await machine.ok(["nft", "list", "ruleset"])).toBe("");
    const left = "find /etc/systemd -name 'frontdesk*'";
    expect(await machine.ok(["sh", "-c", left])).toBe("");
  },
  TIMEOUT_MS,
);

function start(lab: Lab): Promise<Machine> {
  const [guest] = lab.guests;
  if (guest === undefined) throw new Error("the lab has no guest");
  return startMachine(lab, guest);
}

function harden(): readonly string[] {
  return [process.execPath, PROGRAM, "harden"];
}

/** `--persist` refuses a program that others than root can change, and a checkout may be one. */
function unsafePlace(): string | undefined {
  for (const file of [process.execPath, PROGRAM]) {
    for (let place = file; place !== dirname(place); place = dirname(place)) {
      const { uid, mode } = lstatSync(place);
      if (uid === 0 && (mode & 0o022) === 0) continue;
      const reason = `${place} can be changed by others than root`;
      console.warn(`skipped: ${reason}`);
      return reason;
    }
  }
  return undefined;
}
