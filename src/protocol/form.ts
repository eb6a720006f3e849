/**
 * Form fields of a small POST body: `application/x-www-form-urlencoded`, as `wget --post-data` and
 * `curl --data` send it, and `multipart/form-data`, as `curl -F` does.
 *
 * Strict: what two parsers could read in two ways is refused. Pure and bounded; the caller bounds
 * the body.
 */

/** Fields beyond this are no form of ours. */
const FIELDS_MAX = 16;
/** Headers of one part: a name and, from some clients, a content type. Bytes. */
const PART_HEADER_BYTES_MAX = 1024;

/** Fields by name. Each name is there once. */
export type Form = ReadonlyMap<string, string>;

/** `undefined` if the body is not a form of one of the two kinds, or not a clear one. */
export function parseForm(contentType: string | undefined, body: Uint8Array): Form | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const fields = parseFields(contentType ?? "", bytes);
  if (fields === undefined || fields.length > FIELDS_MAX) return undefined;
  const form = new Map(fields);
  return form.size === fields.length ? form : undefined;
}

type Fields = (readonly [name: string, value: string])[];

function parseFields(contentType: string, bytes: Buffer): Fields | undefined {
  const [type = ""] = contentType.split(";", 1);
  const kind = type.trim().toLowerCase();
  if (kind === "application/x-www-form-urlencoded") return parseUrlencoded(bytes);
  if (kind !== "multipart/form-data") return undefined;
  const boundary = boundaryOf(contentType.slice(type.length));
  return boundary === undefined ? undefined : parseMultipart(bytes, boundary);
}

function parseUrlencoded(bytes: Buffer): Fields | undefined {
  const fields: Fields = [];
  // All of it is ASCII: what is not is escaped.
  for (const pair of bytes.toString("latin1").split("&", FIELDS_MAX + 1)) {
    if (pair === "") continue;
    const split = pair.indexOf("=");
    if (split === -1) return undefined;
    const name = unescaped(pair.slice(0, split));
    const value = unescaped(pair.slice(split + 1));
    if (name === undefined || value === undefined) return undefined;
    fields.push([name, value]);
  }
  return fields;
}

function unescaped(text: string): string | undefined {
  // Characters outside ASCII are sent raw by some clients: those are UTF-8 too.
  const escaped = text.replaceAll("+", " ").replace(/[\x80-\xff]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16)}`;
  });
  try {
    return decodeURIComponent(escaped);
  } catch {
    return undefined; // A stray percent sign, or bytes that are not UTF-8.
  }
}

/** The one `boundary` among a content type's parameters, quoted or not (RFC 2046 section 5.1.1). */
function boundaryOf(parameters: string): string | undefined {
  const found = [...parameters.matchAll(/;[ \t]*boundary=(?:"([^"]*)"|([^;" \t]*))/gi)];
  const [, quoted, plain] = found.length === 1 ? (found[0] ?? []) : [];
  const boundary = quoted ?? plain ?? "";
  const isValid = /^[A-Za-z0-9'()+_,./:=? -]{0,69}[A-Za-z0-9'()+_,./:=?-]$/.test(boundary);
  return isValid ? boundary : undefined;
}

function parseMultipart(bytes: Buffer, boundary: string): Fields | undefined {
  const delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  // The first delimiter is the body's beginning: nothing we serve sends a preamble.
  if (!bytes.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2))) return undefined;
  const fields: Fields = [];
  let at = delimiter.length - 2;
  while (!startsWith(bytes, at, "--")) {
    if (!startsWith(bytes, at, "\r\n") || fields.length >= FIELDS_MAX) return undefined;
    const end = bytes.indexOf(delimiter, at + 2);
    const field = end === -1 ? undefined : parsePart(bytes.subarray(at + 2, end));
    if (field === undefined) return undefined;
    fields.push(field);
    at = end + delimiter.length;
  }
  const rest = bytes.toString("latin1", at + 2);
  return rest === "" || rest === "\r\n" ? fields : undefined;
}

function parsePart(part: Buffer): readonly [string, string] | undefined {
  const split = part.indexOf("\r\n\r\n");
  if (split === -1 || split > PART_HEADER_BYTES_MAX) return undefined;
  const name = nameOf(part.toString("latin1", 0, split).split("\r\n"));
  const value = name === undefined ? undefined : utf8(part.subarray(split + 4));
  return name === undefined || value === undefined ? undefined : [name, value];
}

function nameOf(headers: readonly string[]): string | undefined {
  let name: string | undefined;
  for (const header of headers) {
    if (/^content-type:/i.test(header)) continue;
    const found = /^content-disposition:[ \t]*form-data;[ \t]*name="([A-Za-z0-9_-]+)"$/i.exec(
      header,
    );
    // A file, a transfer encoding, a second name: not what was asked for.
    if (found === null || name !== undefined) return undefined;
    name = found[1];
  }
  return name;
}

function utf8(bytes: Buffer): string | undefined {
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? text : undefined;
}

function startsWith(bytes: Buffer, at: number, text: string): boolean {
  return bytes.toString("latin1", at, at + text.length) === text;
}
