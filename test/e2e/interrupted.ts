/**
 * Not a test of the suite: a run that `lab.test.ts` starts in order to interrupt it. It opens a
 * lab with a program in it, says so, and waits.
 */

import { test } from "bun:test";
import { openLab } from "./lab.ts";

test("a lab is open", async () => {
  await using lab = await openLab({ guests: [{ mac: "02:00:00:00:00:01" }] });
  await using _program = lab.router.start(["sleep", "1000"]);
  console.log(`open ${lab.router.name} ${lab.folder}`);
  await new Promise((resolve) => setTimeout(resolve, 60_000));
}, 120_000);
