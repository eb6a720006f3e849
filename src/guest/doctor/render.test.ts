/** What people see of a diagnosis. */

import { expect, test } from "bun:test";
import { diagnose } from "../../observe/doctor/diagnose.ts";
import { renderDiagnosis } from "../../observe/doctor/render.ts";
import { CHECKS } from "./checks/index.ts";
import { facts, service, target } from "./testing.ts";

test("a fault is shown with its cause, how sure that is, and its remedy", () => {
  const changed = { service: service({ sizes: { passed: [296, 1_280], lost: [1_400] } }) };
  const text = renderDiagnosis(diagnose(facts(changed), CHECKS), { ms: 1_234 }).join("\n");
  expect(text).toContain(
    "\nLOOK  mtu         packets of 1280 bytes are answered, of 1400 bytes lost\n",
  );
  expect(text).toContain(`
ERROR MTU_BLACK_HOLE: large packets are lost on the way, without a word
  seen:   packets of 1280 bytes are answered, of 1400 bytes lost, on a connection that stands
  cause:  probably: a link on the way carries less than this interface's MTU, and does not say so
  advice: lower the MTU of the interface to what passes, and have the network mended
  remedy, in this instance, as root:
      ip link set dev eth0 mtu 1280
`);
  expect(text).toEndWith("\n1 to look at; 20 checks in 1.2 s");
});

test("what came from the network is made harmless", () => {
  const targets = [target("169.254.169.254", { instanceId: "\u001b[2J" }), target("10.1.1.1")];
  const text = renderDiagnosis(diagnose(facts({ targets }), CHECKS), { ms: 1 }).join("\n");
  expect(text).toContain("says instance-id \\u{1b}[2J");
  expect(text).not.toContain("\u001b");
});
