/** How a router follows a store. Each limit with its unit and its reason. */

/** A store that cannot be read is opened anew so often; opening one costs some milliseconds. ms. */
export const REOPEN_MS = 500;

/**
 * At a router's first start its store may be about to be made, by a program that was started with
 * it: that takes half a second, and some more where the machine starts too. ms.
 */
export const FIRST_START_PATIENCE_MS = 5000;

/** And is looked for so often meanwhile, because guests wait. ms. */
export const FIRST_START_REOPEN_MS = 100;

/** An acknowledgement that the store did not take is tried again so often. ms. */
export const ACK_RETRY_MS = 1000;

/** Between two acknowledgements, each of which waits for the disk: guests have their turn. ms. */
export const ACK_PAUSE_MS_MIN = 2;

/**
 * A store that was replaced is filled again by its writer. What it lacks is answered as before
 * until nothing has come for so long: a page of the slowest API takes less. ms.
 */
export const REFILLED_AFTER_MS = 30_000;

/** And no longer than so, whatever comes: a zone is read again in this time. ms. */
export const REFILL_MS_MAX = 600_000;

/** User data beyond this is not kept in memory, but on the router's own disk. Bytes. */
export const BODY_IN_MEMORY_MAX: number = 64 * 1024;

/** A payload that could not be had is tried again so often: a disk is seldom freed faster. ms. */
export const PAYLOAD_RETRY_MS = 30_000;

/** A payload whose files were looked at is taken to be there: files stay longer than that. ms. */
export const PAYLOADS_TRUSTED_MS = 1000;

/** Payloads that are known to be on the disk: two kilobytes each, and few are in use at a time. */
export const PAYLOADS_KNOWN_MAX = 256;

/**
 * Elements come no closer than this. Each costs some, whatever is in it, and a store that is being
 * filled would have one every few milliseconds: half of the router's time. ms.
 */
export const ELEMENTS_MS_MIN = 15;

/**
 * After one with more changes than this somebody writes everything: the next comes no sooner than
 * so, because what each element costs by itself is as much as that of ten changes. ms.
 */
export const MANY_CHANGES = 10;
export const MANY_MS_MIN = 40;
