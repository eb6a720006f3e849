import { expect, test } from "bun:test";
import fc from "fast-check";
import { KEY_NAME, type KeyValue } from "../model/binding.ts";
import { PART_BYTES } from "../model/payload.ts";
import { type Document, render, Shapes } from "./document.ts";
import { contentHash } from "./etag.ts";
import type { GuestRequest, Reply } from "./http.ts";
import { KEYS, RESERVED } from "./keys.ts";
import { type Asker, answerMetadata } from "./metadata.ts";
import { route } from "./path.ts";

const RSA = "ssh-rsa AAAAB3NzaC1yc2E= alice@laptop";
const ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1 bob@laptop";
const USER_DATA = new TextEncoder().encode("#cloud-config\n");

const WEB = make(
  [
    ["service-offering", "Small Instance"],
    ["local-hostname", "web-01"],
    ["instance-id", "5d6a"],
    ["vm-id", "5d6a"],
    ["public-keys", `${RSA}\n${ED25519}\n`],
    ["hypervisor-host-name", null],
    ["api", "a key called api"],
  ],
  USER_DATA,
);
const BARE = make([["instance-id", "8c9b"]]);

test("a key is served under three prefixes, without a newline at its end", () => {
  for (const prefix of ["/latest/meta-data", "/latest/metadata", "/latest"]) {
    check(WEB, `${prefix}/instance-id`, "5d6a");
    check(WEB, `${prefix}/instance-id/`, "5d6a");
    check(WEB, `${prefix}/public-keys`, `${RSA}\n${ED25519}`);
    check(WEB, `${prefix}/hypervisor-host-name`, "");
    check(WEB, `${prefix}/no-such-key`, 404);
  }
});

test("a key with a reserved name has no short form", () => {
  check(WEB, "/latest/meta-data/api", "a key called api");
  check(WEB, "/latest/api", 404);
});

test("the listing has every key in order, one a line, with a final newline", () => {
  const names =
    "service-offering\nlocal-hostname\ninstance-id\nvm-id\npublic-keys\nhypervisor-host-name\napi\n";
  check(WEB, "/latest/meta-data/", names);
  check(WEB, "/latest/meta-data", names);
  check(WEB, "/latest/metadata/", names);
  check(WEB, "/latest/", "meta-data/\nmetadata/\nuser-data\n");
  check(WEB, "/latest", "meta-data/\nmetadata/\nuser-data\n");
  check(WEB, "/", "latest/\n");
});

test("public-keys is there even when the source has none, and its EC2 form is not", () => {
  check(BARE, "/latest/meta-data/", "instance-id\npublic-keys\n");
  check(BARE, "/latest/meta-data/public-keys", "");
  check(BARE, "/latest/public-keys/", 404);
  check(BARE, "/latest/public-keys/0", 404);
  check(BARE, "/latest/public-keys/0/openssh-key", 404);
});

test("the EC2 form names keys by their comments", () => {
  check(WEB, "/latest/meta-data/public-keys/", "0=alice@laptop\n1=bob@laptop\n");
  check(WEB, "/latest/public-keys/1", "openssh-key\n");
  check(WEB, "/latest/public-keys/1/openssh-key", ED25519);
  check(WEB, "/latest/public-keys/2/openssh-key", 404);
  names(["ssh-rsa AAAA two words"], "0=key-0\n");
  names(["ssh-rsa AAAA"], "0=key-0\n");
  names(["ssh-rsa AAAA a=b"], "0=key-0\n");
  names(["ssh-rsa AAAA me", "ssh-rsa BBBB me"], "0=me\n1=key-1\n");
  names(['command="x",no-pty ssh-rsa AAAA me'], "0=me\n");
  names(["not a key at all"], "0=key-0\n");
  names(["# a comment", "", "ssh-rsa AAAA me"], "0=me\n");

  function names(keys: string[], expected: string): void {
    check(make([["public-keys", keys.join("\r\n")]]), "/latest/public-keys/", expected);
  }
});

test("values lose one run of line ends, a host name its second line", () => {
  const odd = make([
    ["local-hostname", "web-01\nevil"],
    ["note", "a\nb\r\n\r\n"],
    ["empty-line", "\n"],
    ["percent", "%s {{ x }} \u00e9"],
  ]);
  check(odd, "/latest/local-hostname", "web-01");
  check(odd, "/latest/note", "a\nb");
  check(odd, "/latest/empty-line", "");
  check(odd, "/latest/percent", "%s {{ x }} \u00e9");
  expect(render([["local-hostname", "a\nb"]], undefined, new Shapes()).hostNameCut).toBe(true);
  expect(render([["local-hostname", "a\n"]], undefined, new Shapes()).hostNameCut).toBe(false);
});

test("user data goes out as the bytes that came in, and its absence is an empty 200", () => {
  const reply = ask(WEB, "/latest/user-data");
  expect(reply).toMatchObject({ status: 200, body: USER_DATA, type: "application/octet-stream" });
  check(BARE, "/latest/user-data", "");
});

const PAYLOADS = ["a", "b", "c"].map((letter, index) => ({
  sha256: letter.repeat(64),
  bytes: PART_BYTES + 1,
  parts: [new Uint8Array(PART_BYTES).fill(index), new Uint8Array([index])],
}));

test("a payload goes out in parts, as bytes with a validator, and is listed nowhere", () => {
  const guest = withPayloads([0]);
  const path = `/latest/payloads/${"a".repeat(64)}`;
  const type = "application/octet-stream" as const;
  for (const part of [0, 1]) {
    const reply = ask(guest, `${path}/${part}`);
    const body = PAYLOADS[0]?.parts[part] as Uint8Array;
    expect(reply).toEqual({ status: 200, body, type, etag: `"${contentHash(body)}"` });
    const header = { "if-none-match": reply.etag as string };
    expect(ask(guest, `${path}/${part}`, header)).toEqual({ status: 304, etag: `${reply.etag}` });
    expect(ask(guest, `${path}/${part}`, { method: "HEAD" }).status).toBe(200);
    expect(ask(guest, `${path}/${part}`, { method: "PUT" }).status).toBe(405);
  }
  for (const rest of ["", "/", "/2", "/00"]) check(guest, path + rest, 404);
  expect([...walk(guest, "/")]).toEqual([...walk(withPayloads([]), "/")]);
  expect(ask(guest, "/latest/meta-data/")).toEqual(ask(withPayloads([]), "/latest/meta-data/"));
});

test("a key called payloads is a key all the same", () => {
  const guest = { ...make([["payloads", "mine"]]), payloads: PAYLOADS };
  check(guest, "/latest/payloads", "mine");
  check(guest, "/latest/meta-data/payloads/", "mine");
  expect(ask(guest, `/latest/payloads/${"b".repeat(64)}/1`).status).toBe(200);
});

// Goal: nobody reaches what another instance was given. Method: each guest names any payload and
// any part in any spelling; what comes back is of its own payloads, whole and the right one.
test("no name and no number reaches another instance's bytes", () => {
  const sha256 = fc.oneof(
    fc.constantFrom(...PAYLOADS.map((payload) => payload.sha256), "d".repeat(64)),
    fc.stringMatching(/^[a-c/.%2fF]{0,70}$/),
  );
  const part = fc.oneof(fc.integer({ min: -1, max: 20 }).map(String), fc.string({ maxLength: 4 }));
  const own = fc.uniqueArray(fc.constantFrom(0, 1, 2), { maxLength: 3 });
  fc.assert(
    fc.property(own, sha256, part, (own, name, part) => {
      const { status, body } = ask(withPayloads(own), `/latest/payloads/${name}/${part}`);
      if (status !== 200) return expect({ status, body }).toEqual({ status: 404, body: undefined });
      const whose = own.find((index) => PAYLOADS[index]?.parts.includes(body as never));
      // What is no part is a listing or a key, which have no bytes of a payload.
      if (typeof body === "string") return;
      expect(PAYLOADS[whose ?? -1]?.sha256).toBe(name);
    }),
    { numRuns: 2000 },
  );
  for (const { sha256 } of PAYLOADS) {
    check(withPayloads([]), `/latest/payloads/${sha256}/0`, 404);
    expect(ask("unknown", `/latest/payloads/${sha256}/0`)).toEqual({ status: 404 });
  }
});

function withPayloads(own: readonly number[]): Document {
  const payloads = PAYLOADS.filter((_, index) => own.includes(index));
  return { ...BARE, payloads: payloads.length === 0 ? undefined : payloads };
}

test("unknown guests get 404 whatever they ask, unsettled ones 503", () => {
  for (const target of ["/", "/latest/meta-data/instance-id", "/nothing", "/latest/user-data"]) {
    for (const method of ["GET", "HEAD", "PUT", "BREW"]) {
      expect(ask("unknown", target, { method })).toEqual({ status: 404 });
      expect(ask("not-yet", target, { method })).toEqual({ status: 503, retryAfter: 1 });
    }
  }
});

test("writes are refused with Allow, and browsers are refused whatever they ask", () => {
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"]) {
    const refused = { status: 405, allow: "GET, HEAD" };
    expect(ask(WEB, "/latest/api/token", { method })).toEqual(refused);
    expect(ask(WEB, "/latest/user-data", { method })).toEqual(refused);
  }
  for (const header of ["origin", "sec-fetch-site"]) {
    expect(ask(WEB, "/latest/user-data", { [header]: "x" })).toEqual({ status: 403 });
    expect(ask("unknown", "/latest/user-data", { [header]: "" })).toEqual({ status: 403 });
  }
});

test("a validator that still holds is answered with 304", () => {
  for (const target of ["/latest/meta-data/", "/latest/instance-id", "/latest/user-data"]) {
    const { etag = "" } = ask(WEB, target);
    expect(etag).toMatch(/^"[A-Za-z0-9_-]{22}"$/);
    for (const header of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      expect(ask(WEB, target, { "if-none-match": header })).toEqual({ status: 304, etag });
    }
    for (const header of ['"x"', etag.slice(1, -1), "", "x".repeat(100_000)]) {
      expect(ask(WEB, target, { "if-none-match": header }).status).toBe(200);
    }
  }
});

test("the validator of a key is of its value only", () => {
  const etag = (...keys: KeyValue[]) => ask(make(keys), "/latest/meta-data/a").etag;
  expect(etag(["a", "1"], ["b", "2"])).toBe(etag(["a", "1"], ["b", "3"]));
  expect(etag(["a", "1"])).not.toBe(etag(["a", "2"]));
});

test("the listing's validator covers the whole instance", () => {
  const etag = (keys: KeyValue[], userData?: Uint8Array) =>
    ask(make(keys, userData), "/latest/meta-data/").etag;
  const base = etag([["a", "1"]]);
  expect(etag([["a", "1"]])).toBe(base);
  for (const other of [
    etag([["a", "2"]]),
    etag([["b", "1"]]),
    etag([["a", null]]),
    etag([["a", "1"]], USER_DATA),
  ]) {
    expect(other).not.toBe(base);
  }
});

// Goal: a guest that walks the tree finds every key, and nothing that is not there.
// Method: make random keys, follow every name of every listing, compare.
test("a walk over the listings finds exactly the keys", () => {
  const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/);
  const key = fc.oneof(name, fc.constantFrom(...Object.keys(KEYS), ...RESERVED));
  const value = fc.option(fc.string(), { nil: null });
  const keys = fc.uniqueArray(fc.tuple(key, value), { selector: ([name]) => name });
  fc.assert(
    fc.property(keys, (pairs) => {
      const document = make(pairs);
      const found = [...walk(document, "/")];
      const expected = new Set([...pairs.map(([name]) => name), "public-keys"]);
      for (const folder of ["meta-data", "metadata"]) {
        const here = found.filter((path) => path.startsWith(`/latest/${folder}/`));
        expect(new Set(here.map((path) => path.split("/")[3]))).toEqual(expected);
      }
      expect(found.filter((path) => path.split("/").length === 3)).toEqual(["/latest/user-data"]);
      for (const name of expected) {
        expect(KEY_NAME.test(name)).toBe(true);
        const short = ask(document, `/latest/${name}`);
        if (!RESERVED.has(name)) expect(short).toEqual(ask(document, `/latest/metadata/${name}`));
      }
    }),
  );
});

function* walk(document: Document, directory: string): Generator<string> {
  const { status, body } = ask(document, directory);
  expect(status).toBe(200);
  for (const name of String(body).split("\n").filter(Boolean)) {
    if (name.endsWith("/")) yield* walk(document, directory + name);
    else {
      expect(ask(document, directory + name).status).toBe(200);
      yield directory + name;
    }
  }
}

function make(keys: KeyValue[], userData?: Uint8Array): Document {
  return render(keys, userData, new Shapes()).document;
}

function ask(
  asker: Asker,
  target: string,
  { method = "GET", ...headers }: { method?: string; [header: string]: string } = {},
): Reply {
  const request: GuestRequest = { method, target, header: (name) => headers[name] };
  return answerMetadata(asker, route(target), request);
}

function check(document: Document, target: string, expected: string | number): void {
  const { status, body, type } = ask(document, target);
  if (typeof expected === "number")
    expect({ target, status, body }).toEqual({ target, status: expected, body: undefined });
  else expect({ target, status, body }).toEqual({ target, status: 200, body: expected });
  if (expected !== 404) expect(type).toBeDefined();
}

test("a key line of any shape costs its length, and has at worst no name of its own", () => {
  for (const line of [`${"ssh-a a x ".repeat(6000)}\u2028x`, "x".repeat(60_000), "ssh-rsa "]) {
    check(make([["public-keys", line]]), "/latest/public-keys/", "0=key-0\n");
  }
});
