/**
 * Text from outside, made harmless for a terminal: nobody's name for an instance moves a cursor,
 * breaks a line or turns the direction.
 */

/** Control and formatting characters, bidirectional ones among them, become `\u{...}`. */
export function clean(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, escaped);
}

/** The same, but for newlines and tabs. */
export function cleanLines(text: string): string {
  return text
    .replace(/\r\n/g, "\n")
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
      character === "\n" || character === "\t" ? character : escaped(character),
    );
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
