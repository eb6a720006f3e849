/** What `--store` may say. */

import { expect, test } from "bun:test";
import { UsageError } from "../model/errors.ts";
import { parseStore } from "./index.ts";

test("a store is its scheme and its place", () => {
  const check = (text: string, scheme: string, location: string) =>
    expect(parseStore(text)).toEqual({ scheme, location });
  check("sqlite:/srv/store.sqlite", "sqlite", "/srv/store.sqlite");
  check("sqlite:a:b", "sqlite", "a:b");
});

test("a store that is not there, or lacks its place, is wrong usage", () => {
  const check = (text: string, message: string) => {
    expect(() => parseStore(text)).toThrow(UsageError);
    expect(() => parseStore(text)).toThrow(message);
  };
  check("sqlite", "write sqlite:PATH");
  check("sqlite:", "write sqlite:PATH");
  check("memory", "no such store");
  check("sqlit:x", 'did you mean "sqlite"?');
  check("toString:x", "no such store");
  check("", "no such store");
});
