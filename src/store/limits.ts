/** What a store holds at most, and how long it waits. Each limit with its unit and its reason. */

/** Records of one page of a listing: what one look at the API asks for. */
export const PAGE_RECORDS_MAX = 1000;

/** Records that are read before others have their turn: a fifth of a millisecond. */
export const SLICE_RECORDS = 4;

/**
 * Revisions for which a store remembers what was deleted. A follower that is further behind gets a
 * snapshot, which costs less by then.
 */
export const REMEMBERED_REVISIONS = 100_000;

/**
 * Acknowledged passwords of a record that are remembered, by their ids: as many as no writer has
 * missed.
 */
export const ACKNOWLEDGED_MAX = 16;

/** User data up to here stands in its record; beyond, in a row of its own. Bytes. */
export const USER_DATA_INLINE_MAX = 2048;

/**
 * What is asked for together is one transaction, until that has taken so long: then others have
 * their turn, and another program may write. ms.
 */
export const COMMIT_MS = 3;

/** A write waits so long for another program's, which takes a few milliseconds at most. ms. */
export const BUSY_PATIENCE_MS = 5000;

/** SQLite itself waits so long and stops everything meanwhile; then others have their turn. ms. */
export const BUSY_TIMEOUT_MS = 20;

/** Files that are set aside are numbered up to here: more would fill the disk unseen. */
export const ASIDE_MAX = 100;

/** All payloads of a store: a gibibyte, which a backup of the file still carries. Bytes. */
export const PAYLOADS_BYTES_MAX: number = 1024 * 1024 * 1024;

/** How many there are: a listing names all of them at once. */
export const PAYLOADS_MAX = 1000;

/**
 * After an event, when followers look again: a disk takes as long to have a write, which is in
 * force only then. Later looks are `LOOK_MS` apart, whatever the disk does. ms.
 */
export const LOOK_AGAIN_MS: readonly number[] = [10, 40, 150, 400];
export const LOOK_MS = 1000;
