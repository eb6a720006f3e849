/**
 * Where the API is and how it is known to be the right one, and the keys to ask it with.
 *
 * Secrets come from a file or the environment, never from the URL: that stands in `ps` and in logs.
 */

import { ConfigError, UsageError } from "../../model/errors.ts";
import { KEY_CHARS_MAX } from "./limits.ts";
import type { Credentials } from "./sign.ts";

/** Where CloudStack has its API unless the URL says another path. */
const API_PATH = "/client/api";

/** The two settings, in the environment or in a file. */
const API_KEY = "FRONTDESK_API_KEY";
const SECRET_KEY = "FRONTDESK_SECRET_KEY";

/**
 * What follows `cloudstack:`, `https://cloud.example.org` for instance.
 *
 * @throws {UsageError} if it is not such a URL, or holds a user, a query or a fragment: keys have
 *   no place in it. The message repeats nothing of those.
 */
export function parseEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new UsageError("not the API's address: write cloudstack:https://HOST[:PORT][/PATH]");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new UsageError(
      `the API's address has a user, a query or a fragment: keys are read from ${API_KEY} and ` +
        `${SECRET_KEY}, or a file of them`,
    );
  }
  if (url.pathname === "/") url.pathname = API_PATH;
  return url;
}

/**
 * The keys, of the environment or of a file's variables.
 *
 * @param file where they are not the environment's
 * @throws {UsageError} if the environment lacks one.
 * @throws {ConfigError} if the file lacks one, or they cannot be keys. It never says what they are.
 */
export function readCredentials(
  settings: Readonly<Record<string, string | undefined>>,
  file?: string,
): Credentials {
  const take = (name: string): string => {
    const value = settings[name]?.trim() ?? "";
    const place = file === undefined ? undefined : { file, field: name };
    const subject = file === undefined ? `${name} in the environment` : "the key";
    if (value === "") {
      if (file !== undefined) throw new ConfigError(`${subject} is missing or empty`, place);
      const how = "set it, or name a file with --credentials-file FILE";
      throw new UsageError(`${subject} is missing or empty: ${how}`);
    }
    if (value.length > KEY_CHARS_MAX || !/^[\x21-\x7e]+$/.test(value)) {
      throw new ConfigError(`${subject} is too long, or has characters that no key has`, place);
    }
    return value;
  };
  return { apiKey: take(API_KEY), secretKey: take(SECRET_KEY) };
}
