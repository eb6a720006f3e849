/** Limits of the CloudStack client and its mapping, each with its unit and its reason. */

/** Items of one page. CloudStack's own default and, unless it is raised, its most. */
export const PAGE_SIZE = 500;

/** Smaller pages are not tried where answers are too large: one instance has 1 MiB at most. */
export const PAGE_SIZE_MIN = 10;

/** Items of one listing: ten times the largest cloud that we measure. */
export const ITEMS_MAX = 200_000;

/**
 * What one look keeps: 100,000 instances with 3 KiB of user data each. Without it they are 170 MiB
 * of names, NICs and SSH keys. Bytes.
 */
export const LOOK_BYTES_MAX: number = 512 * 1024 * 1024;

/** A listing that changes while it is read is read again so often. */
export const PASSES_MAX = 4;

/** Bytes of one answer: 500 instances with the user data that CloudStack allows by default. */
export const ANSWER_BYTES_MAX: number = 32 * 1024 * 1024;

/** A GET with a longer query is sent as a POST: proxies cut at 8 KiB. Characters. */
export const QUERY_CHARS_MAX = 2048;

/** One request, from connecting to the last byte. A page of 500 takes a large cloud seconds. ms. */
export const REQUEST_MS_MAX = 60_000;

/** One call with all its repetitions. ms. */
export const CALL_MS_MAX = 300_000;

/** So often a read is tried; refusals for its rate do not count. */
export const ATTEMPTS_MAX = 4;

/** Waits between repetitions double from the first to the second. ms. */
export const RETRY_MS_MIN = 250;
export const RETRY_MS_MAX = 10_000;

/** The longest wait that an answer of 429 can ask for. ms. */
export const BUSY_MS_MAX = 60_000;

/** Requests under way at once: people use the same API. */
export const REQUESTS_AT_ONCE = 4;

/** A signature is good for so long, of the 15 min that CloudStack can be set to allow. ms. */
export const EXPIRES_MS = 600_000;

/** How far ahead the expiry lies where it is tried whether a clock explains a refusal. ms. */
export const EXPIRES_FAR_MS = 86_400_000;

/**
 * An API whose clock is so far ahead takes our signatures for expired; one so far behind may take
 * them for good for too long. Less does not explain a refusal. ms.
 */
export const SKEW_AHEAD_MS_MIN: number = EXPIRES_MS - 1000;
export const SKEW_BEHIND_MS_MIN: number = 900_000 - EXPIRES_MS;

/** Of an error text so much is kept. Characters. */
export const ERROR_CHARS_MAX = 300;

/** API keys and secret keys are 86 characters. */
export const KEY_CHARS_MAX = 512;

/** Characters of user data as base64: the most that CloudStack can be set to accept. */
export const USER_DATA_CHARS_MAX: number = 1024 * 1024;

/** Zones, domains and accounts whose settings are asked for one by one. */
export const SCOPES_MAX = 1000;

/** So many subjects of one finding are named; the others are counted. */
export const NAMED_MAX = 5;

/** Of a subject so much is said: ids are UUIDs, and a conflict names an address and two. */
export const SUBJECT_CHARS_MAX = 120;
