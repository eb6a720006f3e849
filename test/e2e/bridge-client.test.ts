/** Clients that speak IPv6, in a guest that has nothing else, before CloudStack's own router. */

import { expect, test } from "bun:test";
import { openBridgeLab, startBridge, startUpstream } from "./bridge-lab.ts";
import { labMissing } from "./lab.ts";
import { frontdesk } from "./router.ts";

const lacking = labMissing(["nft", "wget", "sysctl"]);
const TEST_MS_MAX = 60_000;

test.skipIf(lacking !== undefined)(
  "frontdesk guest, and CloudStack's scripts with wget, get their own",
  async () => {
    await using scene = await openBridgeLab();
    await using _upstream = await startUpstream(scene, "vr");
    await using _bridge = await startBridge(scene, "bun");
    for (const [guest, name] of [
      [scene.web, "web-01"],
      [scene.db, "db-01"],
    ] as const) {
      const args = ["guest", "get", "local-hostname", "--endpoint", "http://[fd00:ec2::254]"];
      const { argv, env } = frontdesk("bun", args);
      const done = await guest.run(argv, { env });
      expect([done.code, done.stdout.toString().trim(), done.stderr]).toEqual([0, name, ""]);
    }
    const wget = ["wget", "-q", "-t", "3", "-T", "20", "-O", "-", "--header"];
    const ask = async (word: string): Promise<string> => {
      const line = [...wget, `DomU_Request: ${word}`, "http://[fd00:ec2::254]:8080"];
      return (await scene.web.run(line)).stdout.toString();
    };
    expect(await ask("send_my_password")).toBe("fN7xvQ2p");
    expect(await ask("saved_password")).toBe("saved_password");
    expect(await ask("send_my_password")).toBe("saved_password");
  },
  TEST_MS_MAX,
);
