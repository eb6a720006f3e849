/**
 * Every limit of the databag source, with its unit and its reason.
 */

/** CloudStack rewrites a bag in place; a large one takes it seconds, a small one a moment. ms. */
export const BAD_GRACE_MS = 1000;

/** A bag that does not parse is looked at again soon, then less and less often. ms. */
export const RETRY_MS_MIN = 5;
export const RETRY_MS_MAX = 250;

/** At the start, a bag that is being written gets so long to become whole. ms. */
export const FIRST_READ_MS = 500;

/**
 * The clock by which files are stamped ticks every 4 or 10 ms. A file that is younger than two
 * ticks when it is read may have changed since without a new stamp: it is read once more. ms.
 */
export const STAMP_MS = 20;

/** 100,000 instances with 5 KB each; a larger file is none of CloudStack's. Bytes. */
export const FILE_BYTES_MAX = 512 * 1024 * 1024;

/** How often a file that changes while it is read is read again at once. */
export const TORN_READS_MAX = 3;

/** Keys of one instance: CloudStack sends 15, the rest is the user's own. */
export const KEYS_MAX = 128;

/** One value; the largest that CloudStack sends are SSH keys. Characters. */
export const VALUE_LENGTH_MAX = 64 * 1024;

/** A password; CloudStack's own have 6 to 128 characters. Characters. */
export const PASSWORD_LENGTH_MAX = 1024;

/** One command: 1 MiB of user data as base64, thrice. Bytes. */
export const COMMAND_BYTES_MAX = 4 * 1024 * 1024;

/** Metadata follows a new MAC within seconds; after so long a person should know. ms. */
export const METADATA_LATE_MS = 30_000;

/** CloudStack sends an instance's password just before its metadata. ms. */
export const PASSWORD_LEAD_MS = 10_000;

/** A router has guests in a few networks of 65,536 addresses at most. */
export const ADDRESSES_MAX = 262_144;

/** Values that are kept once because many instances have them: for each key, and in all. */
export const SHARED_VALUES_MAX = 256;
export const SHARED_PAIRS_MAX = 4096;

/** Longer values are seldom shared. Characters. */
export const SHARED_LENGTH_MAX = 512;

/** A file of passwords in CloudStack's cache folder; it holds a line for each guest. Bytes. */
export const PASSWORDS_FILE_BYTES_MAX = 16 * 1024 * 1024;

/** One such file for each address that the router listens on. */
export const PASSWORDS_FILES_MAX = 256;

/** Command files that wait there; more are not a backlog but a leak. */
export const WAITING_COMMANDS_MAX = 4096;

/** So long a command file that does not parse is taken for one that is being written. ms. */
export const WAITING_COMMAND_GRACE_MS = 5000;
