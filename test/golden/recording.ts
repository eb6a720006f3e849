/**
 * Recordings of CloudStack's own router: what was asked with curl, and the raw reply.
 *
 * A block is a line `### from ADDRESS: CURL-ARGUMENTS`, the reply, and two newlines.
 */

export interface Recorded {
  /** The guest that asked. */
  readonly from: string;
  /** What curl was given, split into words; the URL is the last. */
  readonly args: readonly string[];
  /** How the documentation names it: `127.0.0.2 GET /latest/user-data`, `127.0.0.2 GET :8080/`. */
  readonly name: string;
  readonly reply: RawReply;
}

export interface RawReply {
  readonly protocol: string;
  readonly status: number;
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

const HEADING = /^### from (\S+): (.*)$/;
/** curl's options that take a value; the recording does not quote it. */
const WITH_VALUE = ["-H", "-X", "-d", "-F", "--data-urlencode"];
const OPTION = /^--?[A-Za-z0]/;

/**
 * Reads a file of recordings. `\r` at the end of a line may be written as those two letters.
 *
 * @param port what stands before the path in names: `:8080` for the password server
 */
export function parseRecordings(text: string, port: "" | ":8080"): readonly Recorded[] {
  const blocks = text.split(/^(?=### )/m).slice(1);
  return blocks.map((block, index) => {
    const [heading = ""] = block.split("\n", 1);
    const [, from = "", line = ""] = HEADING.exec(heading) ?? [];
    if (from === "") throw new Error(`not a heading: ${heading}`);
    const args = splitArguments(line);
    // The last block ends with the file, which may spare the blank line.
    const rest = block.slice(heading.length + 1);
    const end = index === blocks.length - 1 ? /\n{1,2}$/ : /\n\n$/;
    const raw = rest.replace(end, "").replace(/\\r$/gm, "");
    return { from, args, name: `${from} ${nameOf(args, port)}`, reply: parseReply(raw) };
  });
}

/** Splits a raw reply; lines may end in `\r\n` or `\n`. */
export function parseReply(raw: string): RawReply {
  const text = raw.replace(/^[\s\S]*?\r?\n\r?\n/, (head) => head.replaceAll("\r\n", "\n"));
  const end = text.indexOf("\n\n");
  const head = end === -1 ? text : text.slice(0, end);
  const [status = "", ...lines] = head.split("\n").filter((line) => line !== "");
  const [, protocol = "", code = ""] = /^(HTTP\/[0-9.]+) (\d{3})/.exec(status) ?? [];
  if (code === "") throw new Error(`not a status line: ${JSON.stringify(status)}`);
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { protocol, status: Number(code), headers, body: end === -1 ? "" : text.slice(end + 2) };
}

/** An option's value goes on until the next option or the URL. */
function splitArguments(line: string): readonly string[] {
  const args: string[] = [];
  let open = false;
  for (const word of line.split(" ")) {
    const starts = OPTION.test(word) || word.startsWith("http://");
    if (starts || (open && WITH_VALUE.includes(args.at(-1) ?? ""))) args.push(word);
    else args.push(`${args.pop()} ${word}`);
    open = open || starts;
  }
  return args;
}

function nameOf(args: readonly string[], port: string): string {
  const after = (option: string): readonly string[] =>
    args.filter((_, index) => args[index - 1] === option);
  const body = ["-d", "-F", "--data-urlencode"].some((option) => args.includes(option));
  const implied = args.includes("-I") ? "HEAD" : body ? "POST" : "GET";
  const url = /^http:\/\/[^/]+(\/.*)$/.exec(args.at(-1) ?? "");
  const notes = [...after("-H"), ...(args.includes("-0") ? ["HTTP/1.0"] : [])];
  const method = after("-X")[0] ?? implied;
  return [method, `${port}${url?.[1]}`, ...notes.map((note) => `(${note})`)].join(" ");
}
