/** What a record may hold at most. Each limit with its unit and its reason. */

/** Characters of an id or a name: one line that people read. CloudStack's columns have 255. */
export const LINE_CHARS_MAX = 255;

/** Bytes of one instance's user data, decoded: the most that CloudStack can be set to accept. */
export const USER_DATA_BYTES_MAX: number = 1024 * 1024;

/** Characters of one key's value. A dozen RSA keys fit; beyond that it is user data. */
export const VALUE_CHARS_MAX: number = 64 * 1024;

/** Keys of a record, and of one of its NICs: CloudStack sends fifteen, people add their own. */
export const KEYS_MAX = 256;

/** Public keys of one instance. */
export const PUBLIC_KEYS_MAX = 100;

/** NICs of one instance in one network. */
export const NICS_MAX = 64;

/** Addresses of one NIC. */
export const ADDRESSES_MAX = 256;

/** Addresses of one record, of all its NICs: each is parsed, and a row of its own in a store. */
export const RECORD_ADDRESSES_MAX = 1024;

/** Networks of a store: a zone's worth. */
export const NETWORKS_MAX = 10_000;

/** Address ranges of one network. */
export const CIDRS_MAX = 100;

/**
 * The highest epoch and incarnation. Both rise by one, epochs from the seconds since 2026: this is
 * out of reach, and far below what a number of JavaScript holds.
 */
export const COUNT_MAX: number = 2 ** 48;

/** Characters of a password. The password server answers in one packet. */
export const PASSWORD_CHARS_MAX = 255;

/** Characters of a secret's id: a UUID or a digest fits. */
export const SECRET_ID_CHARS_MAX = 64;
