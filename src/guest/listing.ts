/**
 * Listings of the metadata tree, read as text from a stranger: one name a line, a slash at the end
 * of a folder, `0=name` for EC2's public keys. A name that cannot be meant is left out.
 */

/** In a path, in JSON and on a terminal such a name means nothing but itself. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._:@+,=~-]{0,254}$/;
const HIDDEN: ReadonlySet<string> = new Set(["__proto__"]);

/** What every service of this kind lists. */
const KNOWN = ["instance-id", "vm-id", "local-hostname", "hostname", "local-ipv4", "ami-id"];

export interface Listing {
  /** In the order of the server; folders end in a slash. */
  readonly names: readonly string[];
  /** How many lines were left out. */
  readonly refused: number;
}

export function parseListing(body: Buffer): Listing {
  const lines = body
    .toString("utf8")
    .split(/\r?\n/)
    .filter((line) => line !== "");
  const names = lines.filter((line) => {
    const name = line.endsWith("/") ? line.slice(0, -1) : line;
    return NAME.test(name) && !HIDDEN.has(name);
  });
  return { names: [...new Set(names)], refused: lines.length - names.length };
}

/**
 * Whether this is the listing of an instance's metadata, and not somebody's page, nor a file that
 * is just being written. A key with an odd name among others does not matter: users choose some.
 */
export function isMetadataListing(body: Buffer): boolean {
  const { names } = parseListing(body);
  return !/^\s*</.test(body.toString("utf8", 0, 64)) && KNOWN.some((name) => names.includes(name));
}
