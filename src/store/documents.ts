/** What a store keeps beside the records: JSON under an id. Pure. */

import { RecordError } from "../model/errors.ts";

/** A kind is a word of ours, an id mostly a UUID. Characters. */
const NAME_CHARS_MAX = 255;

/** More than the longest user data, and its name. Characters of JSON. */
const DOCUMENT_CHARS_MAX = 2 * 1024 * 1024;

/**
 * The text of each, before any is kept; `undefined` for one that goes.
 *
 * @throws {RecordError} if an id is empty or too long, or a document is too large.
 */
export function written(
  documents: Iterable<readonly [string, unknown]>,
): readonly (readonly [string, string | undefined])[] {
  return [...documents].map(([id, value]) => {
    if (id === "" || id.length > NAME_CHARS_MAX) {
      throw new RecordError("id", `must have 1 to ${NAME_CHARS_MAX} characters`);
    }
    const text = JSON.stringify(value);
    if (text !== undefined && text.length > DOCUMENT_CHARS_MAX) {
      throw new RecordError("document", `must have ${DOCUMENT_CHARS_MAX} characters at most`);
    }
    return [id, text];
  });
}
