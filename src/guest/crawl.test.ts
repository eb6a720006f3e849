import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDesk } from "../../test/guest/frontdesk.ts";
import { ec2, serve, virtualRouter } from "../../test/guest/servers.ts";
import { openClient } from "./client.ts";
import { crawl } from "./crawl.ts";
import { parseEndpoint } from "./endpoint.ts";
import type { Snapshot } from "./tree.ts";

const VR_KEYS = { "service-offering": "Small", "local-hostname": "web-01", "instance-id": "i-1" };

test("the real router's tree is read in one pass, which its validator proves to be one state", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fd-crawl-"));
  await using desk = await openDesk(folder, {
    keys: { tier: "app", note: "hällo", "hypervisor-host-name": null },
    userData: "#!/bin/sh\n",
  });
  const { snapshot, asked } = await crawled(desk.url, true);
  expect(snapshot.whole).toBe(true);
  expect(snapshot.metaData).toMatchObject({
    tier: "app",
    note: "hällo",
    "hypervisor-host-name": "",
  });
  expect(snapshot.userData).toEqual({ text: "#!/bin/sh\n" });
  // Each key once, the listing, the user data, and its validator.
  expect(asked).toBe(Object.keys(snapshot.metaData).length + 3);
  rmSync(folder, { recursive: true });
});

test("CloudStack's own router is read until two passes agree", async () => {
  await using router = await virtualRouter({ keys: VR_KEYS, userData: "x" });
  const { snapshot } = await crawled(router.url, false);
  expect(snapshot).toMatchObject({ whole: false, metaData: VR_KEYS, userData: undefined });
  expect(router.asked.filter((line) => line === "GET /latest/meta-data/")).toHaveLength(2);
  expect(router.asked).not.toContain("GET /latest/user-data");
});

test("a tree in EC2's style is read folder by folder, with a token where one is needed", async () => {
  const tree = {
    "ami-id": "ami-1",
    "instance-id": "i-1",
    "placement/": { "availability-zone": "zone-1" },
    "public-keys/": { "0/": { "openssh-key": "ssh-ed25519 AAAA a@b" } },
    "iam/": { "security-credentials/": { role: "SECRET" } },
  };
  for (const tokensRequired of [true, false]) {
    await using service = await ec2({ tree, tokensRequired });
    const { snapshot } = await crawled(service.url, true);
    expect(snapshot.metaData).toEqual({
      "ami-id": "ami-1",
      "instance-id": "i-1",
      placement: { "availability-zone": "zone-1" },
      "public-keys": { "0": { "openssh-key": "ssh-ed25519 AAAA a@b" } },
      iam: {},
    });
    expect(snapshot.userData).toBeUndefined();
    expect(JSON.stringify(snapshot)).not.toContain("SECRET");
  }
});

test("a token that has ended is renewed once, and not for ever", async () => {
  await using service = await ec2({ tree: { "instance-id": "i-1" }, tokensRequired: true });
  const client = openClient(parseEndpoint(service.url));
  const { signal } = new AbortController();
  await client.fetchToken(signal);
  service.tokens.clear();
  expect((await crawl(client, { withUserData: false }, signal)).metaData).toEqual({
    "instance-id": "i-1",
  });
  client.close();
  expect(service.asked.filter((line) => line.startsWith("PUT"))).toHaveLength(2);
});

test("passwords and credentials are not read, whatever a service lists", async () => {
  const keys = { ...VR_KEYS, password: "p4ss", "vm-password": "p4ss", saved_password: "p4ss" };
  await using router = await virtualRouter({ keys });
  const { snapshot } = await crawled(router.url, true);
  expect(snapshot.metaData).toEqual(VR_KEYS);
  expect(router.asked.join()).not.toContain("password");
});

// Goal: what is stored was true at one moment. Method: the service changes in the middle of each
// of the first passes, and then rests.
test("a crawl that saw two states is repeated", async () => {
  let requests = 0;
  await using service = await serve((request, response) => {
    if (request.method === "PUT") return void response.writeHead(405).end();
    const state = Math.min(Math.floor(++requests / 3), 4);
    const isListing = request.url === "/latest/meta-data/";
    response.end(isListing ? "instance-id\na\nb\n" : `state ${state}`);
  });
  const { snapshot } = await crawled(service.url, false);
  expect(new Set(Object.values(snapshot.metaData))).toEqual(new Set(["state 4"]));
});

test("a validator that covers everything is not believed when the values do not give it", async () => {
  let requests = 0;
  await using service = await serve((request, response) => {
    if (request.method === "PUT") return void response.writeHead(405).end();
    response.setHeader("ETag", '"AAAAAAAAAAAAAAAAAAAAAA"');
    // The values change there and back again, and the validator is that of before and after.
    const state = ++requests === 3 ? "late" : "early";
    response.end(request.url === "/latest/meta-data/" ? "instance-id\na\n" : state);
  });
  const { snapshot } = await crawled(service.url, false);
  expect(snapshot.metaData).toEqual({ "instance-id": "early", a: "early" });
});

// A server that replaces its files in place has them empty for a moment.
test("an empty listing is no instance without keys", async () => {
  for (const text of ["", "\n\n", "<html>instance-id</html>"]) {
    await rejects((_, response) => void response.end(text), "ENDPOINT_FAILED");
  }
});

test("what never rests is given up, and told", async () => {
  let n = 0;
  await using service = await serve((request, response) => {
    response.end(request.url === "/latest/meta-data/" ? "instance-id\n" : String(n++));
  });
  await expect(crawled(service.url, false)).rejects.toMatchObject({ code: "METADATA_UNSETTLED" });
});

test("a hostile service fills no memory and makes no key that means something else", async () => {
  const listing = (names: string) => (request: IncomingMessage, response: ServerResponse) =>
    response.end(request.url?.endsWith("/") ? names : "value");
  const many = `instance-id\n${Array.from({ length: 2_000 }, (_, i) => `k${i}`).join("\n")}`;
  await rejects(listing(many), "METADATA_LIMIT");
  await rejects(listing("instance-id\ndeeper/\n"), "METADATA_LIMIT");
  await rejects(listing("x".repeat(100_000)), "METADATA_LIMIT");
  const endless = (request: IncomingMessage, response: ServerResponse) => {
    if (request.url?.endsWith("/")) return void response.end("instance-id\n");
    const timer = setInterval(() => response.write("x".repeat(10_000)), 1);
    response.on("close", () => clearInterval(timer));
  };
  await rejects(endless, "METADATA_LIMIT");
  await rejects(
    (_, response) => void response.writeHead(302, { location: "/x" }).end(),
    "ENDPOINT_FAILED",
  );
  await rejects((_, response) => void response.writeHead(500).end("<html>"), "ENDPOINT_FAILED");
  await rejects((_, response) => void response.writeHead(404).end(), "ENDPOINT_FAILED");
  const odd =
    "../../etc\n__proto__\nconstructor\n\u001b[31m\na b\n/abs\n.\n..\n-x\ninstance-id\nx?y\n%2e%2e\n";
  await using service = await serve(listing(odd));
  const { snapshot } = await crawled(service.url, false);
  expect(Object.keys(snapshot.metaData)).toEqual(["constructor", "instance-id"]);
  expect(service.asked.every((line) => /^(GET|PUT) \/latest\/[\w/-]*$/.test(line))).toBe(true);
});

async function rejects(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  code: string,
) {
  await using service = await serve(answer);
  await expect(crawled(service.url, false)).rejects.toMatchObject({ code });
}

/** One crawl, and how many requests it took. */
async function crawled(
  url: string,
  withUserData: boolean,
): Promise<{ snapshot: Snapshot; asked: number }> {
  const client = openClient(parseEndpoint(url));
  let asked = 0;
  const counting = {
    ...client,
    get: (...args: Parameters<typeof client.get>) => {
      asked++;
      return client.get(...args);
    },
  };
  try {
    const snapshot = await crawl(counting, { withUserData }, new AbortController().signal);
    return { snapshot, asked };
  } finally {
    client.close();
  }
}
