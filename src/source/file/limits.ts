/** What the file source refuses, and how long it waits. Each limit with its unit and its reason. */

/** Bytes of the file. The largest that loads in some ten seconds and fits a small router. */
export const FILE_BYTES_MAX: number = 64 * 1024 * 1024;

/** Bytes of one instance's user data, decoded: the most that CloudStack can be set to accept. */
export const USER_DATA_BYTES_MAX: number = 1024 * 1024;

/** Characters of one key's value. A dozen RSA keys fit; beyond that it is user data. */
export const VALUE_CHARS_MAX: number = 64 * 1024;

/** Characters of a password. The password server answers in one packet. */
export const PASSWORD_CHARS_MAX: number = 255;

/** Keys of one instance: CloudStack sends some fifteen, and the operator's own beside them. */
export const KEYS_MAX: number = 256;

/** Public keys of one instance. */
export const PUBLIC_KEYS_MAX: number = 100;

/** NICs of one instance in one network, and addresses of one NIC. */
export const NICS_MAX: number = 64;
export const ADDRESSES_MAX: number = 256;

/** Records in one file: ten times the largest network that we measure. */
export const RECORDS_MAX: number = 100_000;

/** Networks in one file. A router has a dozen at most. */
export const NETWORKS_MAX: number = 1000;

/** Address ranges of one network. */
export const CIDRS_MAX: number = 100;

/** Addresses that are gone and whose epoch is remembered one by one. */
export const EPOCHS_REMEMBERED_MAX: number = 100_000;

/** A file may be bad for so long before it is a condition: editors truncate, then write. */
export const BAD_GRACE_MS = 200;

/** A file that was just written is read again after so long, because it may still grow. */
export const SETTLE_MS = 20;

/** A file that was last written longer ago than this is complete. */
export const SETTLED_MS = 1000;

/** So often a file that keeps growing is looked at before it is taken as it is. */
export const SETTLE_ROUNDS_MAX = 50;
