/**
 * The limits of the state directory, each with its unit and its reason.
 */

/** The number in `format`. Readers accept one older and one newer. */
export const FORMAT = 1;

/** A snapshot is written at most so often: it costs a write of everything. ms. */
export const SNAPSHOT_INTERVAL_MS = 30_000;

/** The first snapshot of a run waits this long, so that the first load is in it. ms. */
export const SNAPSHOT_FIRST_MS = 1_000;

/** A journal that grows beyond this forces a snapshot, or a restart would take long. Bytes. */
export const JOURNAL_BYTES_MAX = 64 * 1024 * 1024;

/**
 * A batch of more changes than this goes to the disk as a snapshot, and not through the journal
 * first: all of it would be written twice.
 */
export const JOURNAL_CHANGES_MAX = 1_000;

/** When a large batch must go through the journal, so many changes at a time, guests in between. */
export const BATCH_PART = 200;

/**
 * Content of one frame of a snapshot, as estimated. About a millisecond of work, so that guests
 * are answered in between; larger frames share more strings. Bytes.
 */
export const FRAME_BYTES = 128 * 1024;

/** No frame is longer; more is a length that was never written. Bytes. */
export const FRAME_BYTES_MAX = 32 * 1024 * 1024;

/** User data beyond this is not kept in a frame; sources allow a tenth of it. Bytes. */
export const INLINE_BYTES_MAX = 16 * 1024 * 1024;

/** The longest that a snapshot works without letting guests be answered. ms. */
export const SLICE_MS = 4;

/** So many entries of the journal are encoded at a time: a quarter of a millisecond. */
export const SLICE_ENTRIES = 32;

/** How long after a failed write the next is tried. ms. */
export const RETRY_MS = 1_000;

/**
 * When more than this waits for a slow disk beside the largest append, it counts as one that fails.
 * Estimated bytes.
 */
export const QUEUE_BYTES_MAX = 16 * 1024 * 1024;

/**
 * What could not be written is kept up to this. Beyond it only the next snapshot makes it durable.
 * Estimated bytes; more than a whole queue.
 */
export const BACKLOG_BYTES_MAX = 32 * 1024 * 1024;

/** How many sets of files that could not be opened are kept for the operator. */
export const ASIDE_MAX = 3;

/** Bodies together: enough for 4,000 instances with the most that CloudStack allows. Bytes. */
export const BODIES_BYTES_MAX = 4 * 1024 * 1024 * 1024;

/** One body: the decoded user data that CloudStack allows, with room. Bytes. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024;

/** Content of one frame of a body: small pieces keep memory small when many are read. Bytes. */
export const BODY_FRAME_BYTES = 64 * 1024;

/** A body that nothing names is kept this long, for a binding that is still on its way. ms. */
export const BODY_GRACE_MS = 60_000;
