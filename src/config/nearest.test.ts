import { expect, test } from "bun:test";
import { nearest } from "./nearest.ts";

const KNOWN = ["userData", "publicKeys", "password", "name", "network", "nics"];

test("nearest() finds the name that was meant", () => {
  check("user-data", "userData");
  check("public_keys", "publicKeys");
  check("pasword", "password");
  check("passwrod", "password");
  check("nmae", "name");
  check("networks", "network");
  check("Name", "name");
});

test("nearest() suggests nothing where nothing is near", () => {
  check("colour", undefined);
  check("x", undefined);
  check("", undefined);
  check("n".repeat(1000), undefined);
});

function check(word: string, expected: string | undefined): void {
  expect(nearest(word, KNOWN)).toBe(expected);
}
