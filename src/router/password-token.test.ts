import { describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { scratch } from "../../test/state/samples.ts";
import { ConfigError } from "../model/errors.ts";
import { isSameToken, tokenFile } from "./password-token.ts";

const TOKEN = "0123456789abcdef";

describe("the token file", () => {
  test("holds the token, without the line break at its end", () => {
    using folder = scratch();
    const path = join(folder.path, "token");
    writeFileSync(path, `${TOKEN}\n`);
    expect(tokenFile(path)()).toBe(TOKEN);
  });

  test("that was not named gives nobody a token", () => {
    expect(tokenFile(undefined)()).toBeUndefined();
  });

  for (const [what, content] of Object.entries({ missing: undefined, empty: "", blank: " \n" })) {
    test(`that is ${what} gives nobody a token, until it has one`, () => {
      using folder = scratch();
      const path = join(folder.path, "token");
      if (content !== undefined) writeFileSync(path, content);
      const token = tokenFile(path);
      expect(token()).toBeUndefined();
      writeFileSync(path, TOKEN);
      expect(token()).toBe(TOKEN);
    });
  }

  test("is read again when it changes, and forgotten when it goes", () => {
    using folder = scratch();
    const path = join(folder.path, "token");
    writeFileSync(path, TOKEN);
    const token = tokenFile(path);
    writeFileSync(path, "another-token-of-32-characters!!");
    expect(token()).toBe("another-token-of-32-characters!!");
    rmSync(path);
    expect(token()).toBeUndefined();
  });

  for (const [what, content] of Object.entries({
    short: "0123456789abcde",
    long: "x".repeat(1025),
  })) {
    test(`with a token that is too ${what} is refused at the start, naming the file`, () => {
      using folder = scratch();
      const path = join(folder.path, "token");
      writeFileSync(path, content);
      expect(() => tokenFile(path)).toThrow(ConfigError);
      expect(() => tokenFile(path)).toThrow(`${path}: the token is too ${what}`);
      expect(() => tokenFile(path)).not.toThrow(content);
    });

    test(`with a token that is too ${what} later gives nobody one`, () => {
      using folder = scratch();
      const path = join(folder.path, "token");
      writeFileSync(path, TOKEN);
      const token = tokenFile(path);
      writeFileSync(path, content);
      expect(token()).toBeUndefined();
    });
  }
});

test("tokens are compared whole", () => {
  expect(isSameToken(TOKEN, TOKEN)).toBe(true);
  for (const given of ["", TOKEN.slice(1), `${TOKEN}0`, TOKEN.toUpperCase()]) {
    expect(isSameToken(TOKEN, given)).toBe(false);
  }
});
