/** Limits of the operator API, each with its unit and its reason. */

/** A body: 1 MiB of user data as JSON text, at its worst six characters for one. Bytes. */
export const BODY_BYTES_MAX: number = 8 * 1024 * 1024;

/** Payloads that come in at a time: each is in memory, and once more while it is sealed. */
export const UPLOADS_MAX = 4;

/** The same with one token: who sends slowly keeps nobody else waiting. */
export const UPLOADS_PER_TOKEN_MAX = 2;

/** Records of one page, where nobody says, and at most. */
export const PAGE_DEFAULT = 100;
export const PAGE_MAX = 1000;

/** Records that one request searches: a tenth of a second, before which others have their turn. */
export const SEARCH_RECORDS_MAX = 5000;

/** Characters of a cursor: base64 of the longest name of a record. */
export const CURSOR_CHARS_MAX = 2048;

/** Characters of a message for the client. */
export const MESSAGE_CHARS_MAX = 500;

/** Faults of one body that are named; the rest would say no more. */
export const FAULTS_MAX = 5;

/** Who follows the events at a time: each costs a copy of what it has not read yet. */
export const FOLLOWERS_MAX = 32;

/** Silence on a stream of events: proxies cut it after 30 s and more. ms. */
export const HEARTBEAT_MS = 15_000;

/** A follower that takes nothing for so long is cut. ms. */
export const FOLLOWER_PATIENCE_MS = 30_000;

/** A write that was overtaken by another one is tried again so often. */
export const WRITE_ATTEMPTS_MAX = 5;
