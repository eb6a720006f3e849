/**
 * Every limit of the guest's tools. Whoever answers may be a stranger on the same network, so
 * nothing that he sends is read without end.
 */

/** One request, from connecting to the last byte: cloud-init allows 5 s too. ms. */
export const REQUEST_MS = 5_000;

/** Discovery as a whole, unless `--timeout` says otherwise. ms. */
export const DISCOVERY_MS = 5_000;

/**
 * How long those who are preferred may still answer when another one has. On one network a
 * service answers within a few ms; a black hole must not cost more than this. ms.
 */
export const PREFERRED_MS = 40;

/** How long a session token is waited for when the listing came without one. ms. */
export const TOKEN_MS = 50;

/** The life of a session token that is asked for: six hours, EC2's longest. s. */
export const TOKEN_TTL_S = 21_600;

/** EC2's are 56 characters. */
export const TOKEN_CHARS_MAX = 1_024;

/** Of a reply's header. llhttp's own default. */
export const HEADER_BYTES_MAX = 16_384;

/** A listing: 256 names of 255 characters. */
export const LISTING_BYTES_MAX = 65_536;

/** A value. CloudStack has no longer ones than its columns, 64 KiB. */
export const VALUE_BYTES_MAX = 65_536;

/** User data: CloudStack's highest setting is 1 MiB of base64. */
export const USER_DATA_BYTES_MAX = 1 << 20;

/** Keys of one instance, in all folders together. */
export const KEYS_MAX = 1_024;

/** Folders below each other; EC2's deepest tree has 6. */
export const DEPTH_MAX = 8;

/** All values of one instance together. */
export const TREE_BYTES_MAX = 4 << 20;

/** One pass over the tree. ms. */
export const CRAWL_MS = 30_000;

/** Passes until two agree; an instance that changes all the time is given up, and told. */
export const PASSES_MAX = 10;

/** An ETag longer than this is none. */
export const ETAG_CHARS_MAX = 256;

/** A cache file larger than this is not one of ours: the tree, user data in base64, escapes. */
export const CACHE_BYTES_MAX = 32 << 20;

/** How often an unchanged instance is asked for, where one request tells. s. */
export const INTERVAL_S = 10;

/** The same where only a whole pass over the tree tells, as with CloudStack's own router. s. */
export const CRAWL_INTERVAL_S = 60;

/** Shorter intervals are refused: a thousand guests have one router. s. */
export const INTERVAL_S_MIN = 0.1;

/** The longest wait between tries of a service that fails. s. */
export const RETRY_S_MAX = 60;

/** How long a server is asked to hold a poll until something changes. s. */
export const HOLD_S = 60;

/** The same, the first time: whoever held a poll for half of this will hold it for longer. s. */
export const HOLD_TRY_S = 2;

/** Between two polls that are held: a server whose validator never rests is not hammered. ms. */
export const HELD_PAUSE_MS = 100;

/** However often an unchanged instance says so, after this long it is read as a whole. s. */
export const WHOLE_READ_S = 600;

/** A command that is run on a change. ms. */
export const HOOK_MS = 60_000;
