/**
 * SSH keys in the two forms that clients read.
 *
 * CloudStack serves `public-keys` as text, a key a line. EC2 serves `public-keys/` as a directory
 * of `0=name` lines. The slash tells which is meant.
 */

/** Longer lines are no keys that have a name: 16,384-bit RSA is under 3,000. Characters. */
const LINE_MAX = 16 * 1024;

/** `=` would crash cloudbase-init, and a newline would make two keys of one. */
const NAME = /^[A-Za-z0-9._@-]{1,64}$/;

/** At most so many keys have an EC2 form; the text form has them all. */
const KEYS_MAX = 1000;

/** The keys of a `public-keys` value: its lines, without blank ones and comment lines. */
export function parseKeys(text: string): readonly string[] {
  return text
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .slice(0, KEYS_MAX);
}

/**
 * The lines of `public-keys/`: `0=alice@laptop`, newline at the end of each.
 *
 * A key is called by its comment where that is a plain word, else `key-N`; no two have one name,
 * because cloud-init keeps one key for each name.
 */
export function keyNames(keys: readonly string[]): string {
  const taken = new Set<string>();
  return keys
    .map((key, index) => {
      const comment = commentOf(key);
      const name = NAME.test(comment) && !taken.has(comment) ? comment : `key-${index}`;
      taken.add(name);
      return `${index}=${name}\n`;
    })
    .join("");
}

/** Whether it is `type base64`, with options before it or a comment behind it, or neither. */
export function isPublicKey(line: string): boolean {
  return behind(line) !== undefined;
}

function commentOf(key: string): string {
  return behind(key)?.join(" ") ?? "";
}

/** What ssh-keygen writes behind `type base64`; options may stand before. Linear in the line. */
function behind(key: string): readonly string[] | undefined {
  if (key.length > LINE_MAX) return undefined;
  const words = key.split(/[ \t]+/);
  const type = words.findIndex((word) => /^(?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+$/.test(word));
  const isWhole = type !== -1 && /^[A-Za-z0-9+/]+={0,3}$/.test(words[type + 1] ?? "");
  return isWhole ? words.slice(type + 2) : undefined;
}
