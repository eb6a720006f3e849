/** Limits of the CloudStack-compatible API, each with its unit and its reason. */

/** Bytes of a form: CloudStack's own limit, which counts the encoding too. */
export const FORM_BYTES_MAX: number = 1024 * 1024;

/** Characters of a query. More than any listener takes in one line; the rest is a form. */
export const QUERY_CHARS_MAX: number = 64 * 1024;

/** Parameters of one request: a deployment has some thirty, and its details. */
export const PARAMS_MAX = 500;

/** Characters of a parameter's name. The longest is `userdatadetails[0].` with a key. */
export const PARAM_NAME_CHARS_MAX = 200;

/** Characters of a value where its kind sets no other limit: CloudStack's columns have 255. */
export const TEXT_CHARS_MAX = 255;

/** Characters of an SSH key: RSA with 16,384 bits has 2,800, and a comment. */
export const PUBLIC_KEY_CHARS_MAX = 8192;

/** Names or ids in one parameter, and pairs in one map. */
export const LIST_MAX = 100;

/** Items of one page, and of an answer without pages: CloudStack's default and its most. */
export const PAGE_SIZE_MAX = 500;

/** Bytes of user data of one page: with it, 500 instances could have 500 MiB. */
export const PAGE_USER_DATA_BYTES_MAX: number = 16 * 1024 * 1024;

/** Jobs that are remembered. A client asks for its own within seconds. */
export const JOBS_MAX = 1000;

/** A job that has ended is forgotten after so long: its result may hold a password. ms. */
export const JOB_MS_MAX = 3_600_000;

/** Key pairs, and registered user data, of a lab. All of them are kept in memory. */
export const KEY_PAIRS_MAX = 10_000;
export const REGISTERED_MAX = 1000;

/** Characters of a password that we make: 62 ** 12 cannot be guessed, and 12 can be typed. */
export const PASSWORD_CHARS = 12;

/** A write is tried so often when an acknowledgement changes the record meanwhile. */
export const WRITE_ATTEMPTS_MAX = 5;

/** Bits of an RSA key that is made for somebody, as CloudStack makes them. */
export const RSA_BITS = 2048;
