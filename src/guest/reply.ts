/**
 * Reads one HTTP/1.1 reply out of the bytes of a connection (RFC 9112), a piece at a time.
 *
 * Whoever answers may be a stranger: everything is bounded, and what could be understood in two
 * ways is no reply. Bytes come out as they are; an encoding that needs undoing is refused.
 */

import { HEADER_BYTES_MAX } from "./limits.ts";

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** What came of it, once nothing more can change it. */
export type Outcome =
  | {
      readonly kind: "reply";
      readonly status: number;
      /** By lower-case name; a list where one came more than once. */
      readonly headers: Headers;
      readonly body: Buffer;
      /** Whether another request may follow on this connection. */
      readonly keeps: boolean;
    }
  | { readonly kind: "malformed" | "too-large"; readonly code: string };

export interface ReplyReader {
  /** More bytes; `undefined` while the reply is not whole. */
  push(bytes: Buffer): Outcome | undefined;
  /** The server has closed: an outcome always, good only where that is how a body ends. */
  end(): Outcome;
}

/** A line before a chunk: its size, and extensions that nobody sends. Bytes. */
const CHUNK_LINE_BYTES_MAX = 256;
const MALFORMED: Outcome = { kind: "malformed", code: "EPROTO" };
const CUT: Outcome = { kind: "malformed", code: "EPIPE" };
const TOO_LARGE: Outcome = { kind: "too-large", code: "EMSGSIZE" };

interface Head {
  readonly status: number;
  readonly headers: Headers;
  readonly keeps: boolean;
  /** How the body's end is known: by its length, by chunks, or by the connection's end. */
  readonly length: number | "chunked" | "close";
}

/** A reader of a reply to GET or PUT whose body has so many bytes at most. */
export function openReply(bytesMax: number): ReplyReader {
  const incoming = new Incoming();
  let body: Body | undefined;
  return {
    push(more) {
      incoming.add(more);
      if (body === undefined) {
        const head = readHead(incoming);
        if (head === undefined || "kind" in head) return head;
        body = new Body(head, { incoming, bytesMax });
      }
      return body.read();
    },
    end: () => body?.end() ?? CUT,
  };
}

/** What has come and is not understood yet. */
class Incoming {
  #rest: Buffer = Buffer.alloc(0);

  get length(): number {
    return this.#rest.length;
  }

  add(more: Buffer): void {
    this.#rest = this.length === 0 ? more : Buffer.concat([this.#rest, more]);
  }

  /** So many bytes, or what there is of them. */
  take(count: number): Buffer {
    const part = this.#rest.subarray(0, count);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  /** What comes before this mark, which goes too; nothing while it has not come. */
  takeUntil(mark: string, countMax: number): string | Outcome | undefined {
    const at = this.#rest.indexOf(mark);
    if (at > countMax || (at === -1 && this.length > countMax)) return MALFORMED;
    if (at === -1) return undefined;
    const text = this.take(at).toString("latin1");
    this.take(mark.length);
    return text;
  }

  startsLike(text: string): boolean {
    return text.startsWith(this.#rest.toString("latin1", 0, text.length));
  }
}

function readHead(incoming: Incoming): Head | Outcome | undefined {
  for (;;) {
    // Who does not begin as HTTP does is not waited for.
    if (!incoming.startsLike("HTTP/1.")) return MALFORMED;
    const text = incoming.takeUntil("\r\n\r\n", HEADER_BYTES_MAX);
    if (typeof text !== "string") return text;
    const head = headOf(text);
    if (head === undefined || head.status === 101) return MALFORMED;
    // 100 to 199 come before the reply (RFC 9110, section 15.2).
    if (head.status >= 200) return head;
  }
}

/** Where a chunked body is: in none, at the end of one, behind the last. More is in one. */
const BETWEEN = -1;
const ENDING = -2;
const TRAILER = -3;

class Body {
  readonly #head: Head;
  readonly #incoming: Incoming;
  readonly #bytesMax: number;
  readonly #parts: Buffer[] = [];
  #bytes = 0;
  /** Bytes of the chunk that is being read, or where else it is. */
  #chunk = BETWEEN;

  constructor(
    head: Head,
    { incoming, bytesMax }: { readonly incoming: Incoming; readonly bytesMax: number },
  ) {
    this.#head = head;
    this.#incoming = incoming;
    this.#bytesMax = bytesMax;
  }

  read(): Outcome | undefined {
    const { length } = this.#head;
    if (length === "chunked") return this.#readChunks();
    if (length === "close") return this.#keep(this.#incoming.length).fits ? undefined : TOO_LARGE;
    if (length > this.#bytesMax) return TOO_LARGE;
    this.#keep(length - this.#bytes);
    return this.#bytes === length ? this.#whole() : undefined;
  }

  end(): Outcome {
    return this.#head.length === "close" ? this.#whole() : CUT;
  }

  #keep(count: number): { readonly taken: number; readonly fits: boolean } {
    const part = this.#incoming.take(count);
    this.#bytes += part.length;
    if (part.length > 0) this.#parts.push(part);
    return { taken: part.length, fits: this.#bytes <= this.#bytesMax };
  }

  #whole(): Outcome {
    const { status, headers, keeps } = this.#head;
    // Bytes behind the end belong to nothing that was asked for.
    const clean = keeps && this.#incoming.length === 0;
    return { kind: "reply", status, headers, body: Buffer.concat(this.#parts), keeps: clean };
  }

  #readChunks(): Outcome | undefined {
    for (;;) {
      if (this.#chunk > 0) {
        const { taken, fits } = this.#keep(this.#chunk);
        if (!fits) return TOO_LARGE;
        this.#chunk -= taken;
        if (this.#chunk > 0) return undefined;
        this.#chunk = ENDING;
      }
      const inTrailer = this.#chunk === TRAILER;
      const countMax = inTrailer ? HEADER_BYTES_MAX : CHUNK_LINE_BYTES_MAX;
      const line = this.#incoming.takeUntil("\r\n", countMax);
      if (typeof line !== "string") return line;
      if (inTrailer) {
        // Trailers say nothing that is needed; they end with an empty line.
        if (line === "") return this.#whole();
      } else if (this.#chunk === ENDING) {
        if (line !== "") return MALFORMED;
        this.#chunk = BETWEEN;
      } else {
        const size = sizeOf(line);
        if (size === undefined) return MALFORMED;
        this.#chunk = size === 0 ? TRAILER : size;
      }
    }
  }
}

/** The size before a chunk; extensions behind it mean nothing here. `ffffffff` is the largest. */
function sizeOf(line: string): number | undefined {
  return /^[\da-f]{1,8}[\t ]*(?:;|$)/i.test(line) ? Number.parseInt(line, 16) : undefined;
}

/**
 * The head without its empty line; `undefined` if any of it is not as it must be.
 *
 * Characters are looked at one by one: a program that asks once and ends would spend more on
 * compiling expressions for them than on all the rest of the reply.
 */
function headOf(text: string): Head | undefined {
  if (!isClean(text)) return undefined;
  const [first = "", ...lines] = text.split("\r\n");
  const minor = first.charAt("HTTP/1.".length);
  const code = first.slice(9, 12);
  const status = /^\d{3}$/.test(code) ? Number(code) : 0;
  const isStatus = (minor === "0" || minor === "1") && first.charAt(8) === " ";
  if (!isStatus || !(status >= 100 && status <= 599) || (first.charAt(12) || " ") !== " ") {
    return undefined;
  }
  // A name may be `__proto__`, which means nothing here.
  const headers: Record<string, string | string[]> = Object.create(null);
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    if (!isToken(name)) return undefined;
    const value = line.slice(colon + 1).trim();
    const known = headers[name];
    headers[name] = known === undefined ? value : [known, value].flat();
  }
  const isNew = minor === "1";
  const length = lengthOf(status, headers, isNew);
  if (length === undefined) return undefined;
  // Bytes are taken as they are: a small body that unpacks into a large one is no answer.
  if ((headers["content-encoding"] ?? "identity") !== "identity") return undefined;
  const options = String(headers.connection ?? "")
    .toLowerCase()
    .split(",");
  const closes = options.some((option) => option.trim() === "close");
  return { status, headers, keeps: isNew && !closes && length !== "close", length };
}

/** No control characters but tabs and whole line ends. */
function isClean(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x20 && code !== 0x7f) continue;
    if (code === CR && text.charCodeAt(i + 1) === LF) i++;
    else if (code !== TAB) return false;
  }
  return true;
}

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
/** What a header's name has beside letters and digits (RFC 9110, section 5.6.2). */
const TOKEN_MARKS = "!#$%&'*+-.^_`|~";

/** In small letters. */
function isToken(name: string): boolean {
  for (const letter of name) {
    const isLetter = letter >= "a" && letter <= "z";
    const isDigit = letter >= "0" && letter <= "9";
    if (!isLetter && !isDigit && !TOKEN_MARKS.includes(letter)) return false;
  }
  return name !== "";
}

/** RFC 9112, section 6.3, but for what it lets a client mend: that is refused. */
function lengthOf(
  status: number,
  headers: Readonly<Record<string, string | string[]>>,
  isNew: boolean,
): Head["length"] | undefined {
  const coding = headers["transfer-encoding"];
  const length = headers["content-length"];
  if (coding !== undefined) {
    const isChunked = typeof coding === "string" && coding.toLowerCase() === "chunked";
    if (!isChunked || length !== undefined || !isNew) return undefined;
  }
  if (length !== undefined && (typeof length !== "string" || !/^\d{1,15}$/.test(length))) {
    return undefined;
  }
  if (status < 200 || status === 204 || status === 304) return 0;
  if (coding !== undefined) return "chunked";
  return length === undefined ? "close" : Number(length);
}
