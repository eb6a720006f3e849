/** What a guest, and an upstream, may cost the bridge. */

/** Requests of one MAC address under way on one port; real clients have one or two. */
export const UNDER_WAY_PER_GUEST_MAX = 8;
/** Requests under way on one port. With the largest unframed body each: 64 MiB. */
export const UNDER_WAY_MAX = 256;

/** From asking the upstream to its headers. cloud-init gives up after 5 s. ms. */
export const HEADERS_MS_MAX = 4_000;
/** From the headers to the end of a body that waits for its turn. ms. */
export const EXCHANGE_MS_MAX = 20_000;

/** The largest user data that CloudStack can be told to take is 1 MiB. Bytes. */
export const BODY_BYTES_MAX = 2 << 20;
/** Longer bodies wait for room in the rim before they are fetched, as there. Bytes. */
export const AT_ONCE_BYTES_MAX = 64 * 1024;
/** A body whose length the upstream does not say is kept whole, so it may be this long. Bytes. */
export const UNFRAMED_BYTES_MAX = 256 * 1024;
/** A password and a line's end. Bytes. */
export const PASSWORD_BYTES_MAX = 2048;

/** Longer validators are none that an upstream of ours has made. Characters. */
export const VALIDATOR_MAX = 256;

/** Bytes of a lease file. 50,000 entries of dhcpentry.json are 25 MiB. */
export const LEASE_FILE_BYTES_MAX = 64 << 20;

/** A request's body is read by nobody here. Bytes. */
export const REQUEST_BODY_BYTES_MAX = 16 * 1024;
