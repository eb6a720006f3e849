/**
 * CloudStack's own guest scripts: `cloud-set-guest-password`, `cloud-set-guest-sshkey` and
 * `cloud-set-guest-sshkey-password-userdata-configdrive`, line by line.
 *
 * Goal: what the lines print is a key, a password, a word of the protocol, or nothing at all.
 * Method: the real wget and curl in guest namespaces. The curl script has no `--fail`: whatever a
 * router sends, whatever the status, it takes for a key or a password.
 */

import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { labMissing, openLab, type Place, ROUTER_ADDRESS } from "./lab.ts";
import { RIMS, type Rim, type Router, startRouter } from "./router.ts";

const DATABAGS = join(import.meta.dirname, "../../fixtures/cloudstack/isolated/etc-cloudstack");
const TEST_MS_MAX = 60_000;

const KEYS = [
  "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDexampleexampleexampleexample1 alice@laptop",
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexampleexampleexampleexample2 bob@laptop",
].join("\n");
const PASSWORD = "fN7xvQ2p";

/** The lines as the scripts have them; IP is what they found out before. */
const WGET = "wget -q -t 3 -T 20 -O -";
const CURL = "curl --silent --connect-timeout 20 --retry 3";
const LINES = {
  wgetKeys: `${WGET} http://IP/latest/public-keys`,
  curlKeys: `${CURL} http://IP/latest/public-keys`,
  wgetPassword: `${WGET} --header "DomU_Request: send_my_password" http://IP:8080`,
  curlPassword: `${CURL} --header "DomU_Request: send_my_password" http://IP:8080`,
  wgetSaved: `wget -t 3 -T 20 -O - --header "DomU_Request: saved_password" IP:8080`,
  curlSaved: `${CURL} --header "DomU_Request: saved_password" http://IP:8080`,
} as const;
type Line = keyof typeof LINES;

/** wget's exit code when the server says that there is an error. */
const WGET_REFUSED = 8;

const lacking = labMissing(["wget", "curl"]);

for (const rim of RIMS) {
  const script = (name: string, body: (lab: Scene) => Promise<void>): void => {
    test.skipIf(lacking !== undefined)(
      `${name}, on the ${rim} rim`,
      async () => {
        await using scene = await open(rim);
        await body(scene);
      },
      TEST_MS_MAX,
    );
  };

  script("a guest's keys reach both scripts to the byte", async ({ known }) => {
    await check(known, "wgetKeys", KEYS);
    await check(known, "curlKeys", KEYS);
  });

  script("a guest without keys gets nothing that could be one", async ({ keyless }) => {
    await check(keyless, "wgetKeys", "");
    await check(keyless, "curlKeys", "");
  });

  script("a password is delivered until it is acknowledged", async ({ known }) => {
    await check(known, "wgetPassword", PASSWORD);
    await check(known, "curlPassword", PASSWORD);
    await check(known, "wgetSaved", "saved_password");
    await check(known, "wgetPassword", "saved_password");
    await check(known, "curlPassword", "saved_password");
  });

  script("a password that is reset later is delivered to its guest alone", async (scene) => {
    const { known, keyless, unknown } = scene;
    await scene.reset("10.1.1.58", "fresh-9$ecret");
    await check(known, "curlPassword", PASSWORD);
    await check(unknown, "curlPassword", "saved_password");
    await check(keyless, "curlPassword", "fresh-9$ecret");
    await check(keyless, "curlSaved", "saved_password");
    await check(keyless, "curlPassword", "saved_password");
    await check(known, "wgetPassword", PASSWORD);
  });

  script("an unknown guest gets neither key nor password, nor a page", async (scene) => {
    const { known, unknown } = scene;
    await check(unknown, "wgetKeys", "", WGET_REFUSED);
    await check(unknown, "curlKeys", "");
    await check(unknown, "wgetPassword", "saved_password");
    await check(unknown, "curlPassword", "saved_password");
    // Its acknowledgement is nobody's.
    await check(unknown, "wgetSaved", "saved_password");
    await check(unknown, "curlSaved", "saved_password");
    await check(known, "curlPassword", PASSWORD);
  });
}

interface Scene extends AsyncDisposable {
  /** Has keys and a password. */
  readonly known: Place;
  /** Has neither. */
  readonly keyless: Place;
  /** Is in no databag. */
  readonly unknown: Place;
  reset(address: string, password: string): Promise<void>;
}

async function open(rim: Rim): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(
    await openLab({
      guests: [
        { mac: "02:00:5a:10:00:07", address: "10.1.1.57" },
        { mac: "02:00:5a:10:00:08", address: "10.1.1.58" },
        { mac: "02:00:5a:10:00:99", address: "10.1.1.99" },
      ],
    }),
  );
  const router: Router = stack.use(
    await startRouter({
      rim,
      place: lab.router,
      source: `databag:${DATABAGS}`,
      listen: [`${ROUTER_ADDRESS}:80`],
      passwordListen: [`${ROUTER_ADDRESS}:8080`],
      stateDir: join(lab.folder, "state"),
    }),
  );
  const [known, keyless, unknown] = lab.guests;
  if (known === undefined || keyless === undefined || unknown === undefined) throw new Error();
  const kept = stack.move();
  return {
    known,
    keyless,
    unknown,
    async reset(address, password) {
      const file = join(lab.folder, "vm_password.json");
      writeFileSync(file, JSON.stringify({ ip_address: address, password, type: "vmpassword" }));
      const { code, stderr } = await router.apply(file);
      expect({ code, stderr }).toMatchObject({ code: 0 });
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function check(guest: Place, line: Line, stdout: string, code = 0): Promise<void> {
  const done = await guest.run(["sh", "-c", LINES[line].replaceAll("IP", ROUTER_ADDRESS)]);
  const found = { line, code: done.code, stdout: done.stdout.toString() };
  expect(found).toEqual({ line, code, stdout });
}
