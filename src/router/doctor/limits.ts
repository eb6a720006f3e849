/** How long the router's doctor waits, and from where on a number is worth a finding. */

/** A connection within a machine takes less than a ms; a lost SYN is sent again after 1 s. ms. */
export const CONNECT_MS = 2_500;

/** A file system that hangs must not hide the rest. ms. */
export const READ_MS = 5_000;

/** Larger files are not read by the doctor; 10,000 instances have 40 MB. Bytes. */
export const SOURCE_BYTES_MAX = 256 << 20;

/** A first reading of 10,000 instances takes seconds; what takes so long hangs. ms. */
export const LOADING_MS = 60_000;

/** A snapshot is written beside the old one, and a journal grows between two. Bytes. */
export const FREE_BYTES_LOW = 64 << 20;

/** With less than this the next write may fail. Bytes. */
export const FREE_BYTES_NONE = 1 << 20;

/** A snapshot, a journal, a key, and bodies of large user data. */
export const FREE_INODES_LOW = 64;
export const FREE_INODES_NONE = 4;

/** The kernel drops guests at gc_thresh3; it should not be reached by twice the guests of now. */
export const NEIGHBOURS_SHARE = 0.8;

/** What a router has open beside its guests' connections. Descriptors. */
export const FILES_OWN = 256;

/** A guest that boots may have so many connections at a time: metadata and password. */
export const FILES_EACH = 2;

/** What our unit grants; more is never asked for. Descriptors. */
export const FILES_MAX = 65_536;

/** With this share in use the next storm of boots does not fit. */
export const FILES_SHARE = 0.9;

/** A clock before this year was not set: the program is younger. */
export const YEAR_MIN = 2025;
/** And after this one it was set wrongly: certificates end before. */
export const YEAR_MAX = 2100;
