/**
 * docs/client-api.md: the shell function that signs a request, as it stands there, asks the API.
 */

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KEYS, LEAST, openTestLab } from "../src/controller/client-api/testing.ts";
import { openFolder } from "./e2e/leftovers.ts";

const hasTools = ["curl", "openssl"].every((name) => Bun.which(name) !== null);
const ADDRESS = "127.0.0.1:8776";
const BLOCK = /```sh\n(set -a;[\s\S]*?\nsigned\(\)[\s\S]*?)```/;

test.skipIf(!hasTools)("the documented function signs what a shell can say", async () => {
  using folder = openFolder("docs-signed");
  const { app } = openTestLab();
  const fetch = ({ url }: Request) => app.request(url.replace(/^.*\/client\/api/, "/"));
  await using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });
  const shown = BLOCK.exec(readFileSync("docs/client-api.md", "utf8"))?.[1] ?? "";
  expect(shown).toContain(ADDRESS);
  const keys = join(folder.path, "admin.env");
  const { apiKey, secretKey } = KEYS;
  writeFileSync(keys, `FRONTDESK_API_KEY=${apiKey}\nFRONTDESK_SECRET_KEY=${secretKey}\n`);
  const block = shown
    .replaceAll(ADDRESS, `127.0.0.1:${server.port}`)
    .replace(/\S+\/admin\.env/, keys)
    // The test asks by itself.
    .replace(/^signed '.*$/m, "");
  const asked = async (words: string): Promise<Record<string, Record<string, unknown>>> => {
    const shell = Bun.spawn(["sh", "-c", `${block}\nsigned "$1"`, "sh", words], { stdout: "pipe" });
    const text = await new Response(shell.stdout).text();
    expect([words, await shell.exited]).toEqual([words, 0]);
    return JSON.parse(text);
  };
  const { listnetworksresponse = {} } = await asked("command=listNetworks");
  const [network] = listnetworksresponse.network as { id: string }[];
  const least = new URLSearchParams(LEAST);
  const list = `iptonetworklist[0].networkid=${network?.id}&iptonetworklist[0].ip=127.0.0.57`;
  const deployed = await asked(`command=deployVirtualMachine&name=web-01&${least}&${list}`);
  expect(deployed.deployvirtualmachineresponse).toContainKey("jobid");
  const listed = await asked("command=listVirtualMachines&name=web-01");
  expect(JSON.stringify(listed)).toContain('"ipaddress":"127.0.0.57"');
});
