import { expect, test } from "bun:test";
import fc from "fast-check";
import { canonicalPath, type Route, route } from "./path.ts";

const key = (name: string): Route => ({ kind: "key", name });
const NOTHING: Route = { kind: "nothing" };

test("every form under latest/ is understood", () => {
  check("/", { kind: "root" });
  check("/latest", { kind: "latest" });
  check("/latest/", { kind: "latest" });
  check("/latest/meta-data", { kind: "listing" });
  check("/latest/meta-data/", { kind: "listing" });
  check("/latest/metadata/", { kind: "listing" });
  check("/latest/user-data", { kind: "user-data" });
  check("/latest/user-data/", { kind: "user-data" });
  check("/latest/meta-data/instance-id", key("instance-id"));
  check("/latest/metadata/public-ipv4", key("public-ipv4"));
  check("/latest/instance-id", key("instance-id"));
  check("/latest/my.own_key-2", key("my.own_key-2"));
});

test("a trailing slash on a leaf is the leaf, but for public-keys, where it asks for the EC2 form", () => {
  check("/latest/meta-data/instance-id/", key("instance-id"));
  check("/latest/meta-data/placement/", key("placement"));
  check("/latest/meta-data/public-keys", key("public-keys"));
  check("/latest/public-keys", key("public-keys"));
  for (const prefix of ["/latest/meta-data", "/latest/metadata", "/latest", "/LATEST/Meta-Data"]) {
    check(`${prefix}/public-keys/`, { kind: "key-names" });
    check(`${prefix}/public-keys//`, { kind: "key-names" });
    check(`${prefix}/public-keys/0`, { kind: "key-forms", index: 0 });
    check(`${prefix}/public-keys/12/`, { kind: "key-forms", index: 12 });
    check(`${prefix}/public-keys/0/openssh-key`, { kind: "openssh-key", index: 0 });
    check(`${prefix}/public-keys/7/openssh-key/`, { kind: "openssh-key", index: 7 });
  }
  check("/latest/public-keys/00", NOTHING);
  check("/latest/public-keys/-1", NOTHING);
  check("/latest/public-keys/99999", NOTHING);
  check("/latest/public-keys/0/openssh-key/x", NOTHING);
  check("/latest/public-keys/0/x", NOTHING);
});

test("a payload has one name, and its parts one spelling of their number", () => {
  const sha256 = "0123456789abcdef".repeat(4);
  check(`/latest/payloads/${sha256}/0`, { kind: "payload", sha256, part: 0 });
  check(`/latest/payloads/${sha256}/15/`, { kind: "payload", sha256, part: 15 });
  check(`//LATEST/./Payloads//${sha256}/%31?x`, { kind: "payload", sha256, part: 1 });
  for (const rest of [
    "",
    "/",
    "/00",
    "/01",
    "/-1",
    "/+1",
    "/1.0",
    "/0x1",
    "/10000",
    "/0/0",
    "/a",
  ]) {
    check(`/latest/payloads/${sha256}${rest}`, NOTHING);
  }
  for (const name of [sha256.toUpperCase(), sha256.slice(1), `${sha256}0`, "x", "..%2f"]) {
    check(`/latest/payloads/${name}/0`, NOTHING);
  }
  check(`/latest/meta-data/payloads/${sha256}/0`, NOTHING);
  check(`/payloads/${sha256}/0`, NOTHING);
  // A tenant may call a key so.
  for (const path of ["/latest/payloads", "/latest/payloads/", "/latest/meta-data/payloads"]) {
    check(path, key("payloads"));
  }
});

test("key names are case-sensitive, the rest of the path is not", () => {
  check("/LATEST/META-DATA/instance-id", key("instance-id"));
  check("/latest/meta-data/Instance-ID", key("Instance-ID"));
  check("/Latest/User-Data", { kind: "user-data" });
  check("/latest/PUBLIC-KEYS/", key("PUBLIC-KEYS"));
});

test("odd spellings of one path are that path", () => {
  check("/latest//meta-data/instance-id", key("instance-id"));
  check("//latest/meta-data/instance-id", key("instance-id"));
  check("/latest/meta-data/instance-id?x=1&y=/..", key("instance-id"));
  check("/latest/meta-data/instance-id#x", key("instance-id"));
  check("/latest/./meta-data/./instance-id", key("instance-id"));
  check("/latest/meta-data/../user-data", { kind: "user-data" });
  check("/latest/meta-data/%2e%2e/user-data", { kind: "user-data" });
  check("/latest/meta%2ddata/instance%2Did", key("instance-id"));
  check("/latest\\meta-data\\instance-id", key("instance-id"));
  check("/../../latest/meta-data/", { kind: "listing" });
});

test("what does not exist is nothing", () => {
  for (const target of [
    "/2009-04-04/meta-data/instance-id",
    "/1.0/meta-data/",
    "/openstack/latest/meta_data.json",
    "/metadata/127.0.0.2/instance-id",
    "/userdata/127.0.0.2/user-data",
    "/latest/dynamic/instance-identity/document",
    "/latest/api/token",
    "/latest/api",
    "/latest/dynamic",
    "/latest/user-data/x",
    "/latest/meta-data/instance-id/x",
    "/latest/meta-data/..%2f127.0.0.3%2finstance-id",
    "/latest/meta-data/%252e%252e/user-data",
    "/latest/meta-data/.htaccess",
    "/latest/.htaccess",
    "/latest/meta-data/a;b",
    "/latest/meta-data/a%00",
    `/latest/meta-data/${"x".repeat(65)}`,
    `/${"x".repeat(100_000)}`,
    "*",
  ]) {
    check(target, NOTHING);
  }
});

const fragment = fc.constantFrom(
  "/",
  "//",
  ".",
  "..",
  "%2e",
  "%2E%2e",
  "%",
  "%%",
  "%2",
  "%25",
  "%2f",
  "%5c",
  "\\",
  "?",
  "#",
  ";",
  "latest",
  "LATEST",
  "meta-data",
  "public-keys",
  "0",
  "instance-id",
  "\u00e9",
  "33",
  "%33",
);

test("canonicalising twice changes nothing, and never changes what is meant", () => {
  const target = fc.array(fc.oneof(fragment, fc.string({ maxLength: 6 })), { maxLength: 12 });
  fc.assert(
    fc.property(target, (parts) => {
      const path = `/${parts.join("")}`;
      const once = canonicalPath(path);
      expect(canonicalPath(once)).toBe(once);
      expect(once.startsWith("/") && !once.includes("//") && !once.includes("\\")).toBe(true);
      expect(route(once)).toEqual(route(path));
    }),
    { numRuns: 3000 },
  );
});

function check(target: string, expected: Route): void {
  expect(route(target), target).toEqual(expected);
}

test("a path means the same whether a runtime has resolved its dots already or not", () => {
  check("/latest///../user-data", { kind: "user-data" });
  check("/latest/meta-data///../user-data", key("user-data"));
  check("//latest//..", { kind: "latest" });
  check("/latest/user-data/.", { kind: "user-data" });
});
