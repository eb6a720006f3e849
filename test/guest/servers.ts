/**
 * Metadata services to ask, on loopback: an imitation of CloudStack's own router as recorded in
 * fixtures/cloudstack/http-golden.txt, and one in EC2's style with session tokens.
 *
 * The third, Frontdesk's own router, is the real one: see `frontdesk.ts`.
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Service extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What was asked, `GET /latest/user-data`, in order. */
  readonly asked: string[];
}

export type Answerer = (request: IncomingMessage, response: ServerResponse) => void;

/** Any service, for what no real one does. */
export async function serve(answer: Answerer, port = 0): Promise<Service> {
  const host = "127.0.0.1";
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  server.listen(port, host);
  await once(server, "listening");
  const { port: at } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${at}`,
    port: at,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** A file of CloudStack's router: Apache makes its validator of size and time. */
export interface VrFiles {
  readonly userData?: string;
  readonly keys: Readonly<Record<string, string>>;
}

export interface VirtualRouter extends Service {
  /** What it serves; the files are replaced one by one, as it does. */
  files: VrFiles;
}

const NOT_FOUND_PAGE = page("404 Not Found", "The requested URL was not found on this server.");
const FORBIDDEN_PAGE = page("403 Forbidden", "You don't have permission to access this resource.");
const METHOD_PAGE = page("405 Method Not Allowed", "The requested method PUT is not allowed.");

/** CloudStack's own router, untouched: HTML for errors, no word of its own for "unchanged". */
export async function virtualRouter(files: VrFiles, port = 0): Promise<VirtualRouter> {
  const service = await serve((request, response) => {
    const path = (request.url ?? "").replace(/\?.*/, "").replace(/(.)\/$/, "$1");
    response.setHeader("Server", "Apache");
    const html = (status: number, body: string): void => {
      response.setHeader("Content-Type", "text/html; charset=iso-8859-1");
      response.writeHead(status).end(body);
    };
    if (request.method !== "GET") return html(405, METHOD_PAGE);
    if (path === "/" || path === "/latest") return html(403, FORBIDDEN_PAGE);
    const body = fileAt(router.files, path);
    if (body === undefined) return html(404, NOT_FOUND_PAGE);
    // The suffix and the missing quote are what Apache sends for a file behind a rewrite.
    const length = Buffer.byteLength(body);
    response.setHeader("ETag", `"${length.toString(16)}-660e5de7b930f;660e5de723dda`);
    response.setHeader("Last-Modified", "Sun, 22 Nov 2026 23:30:56 GMT");
    response.setHeader("Content-Length", length);
    response.writeHead(200).end(body);
  }, port);
  const router: VirtualRouter = Object.assign(service, { files });
  return router;
}

/** `latest/NAME` and `latest/meta-data/NAME`, and the listing with its two newlines. */
function fileAt({ keys, userData = "" }: VrFiles, path: string): string | undefined {
  if (path === "/latest/meta-data") return `${Object.keys(keys).join("\n")}\n\n`;
  if (path === "/latest/user-data") return userData;
  const [, name = ""] = /^\/latest\/(?:meta-data\/)?([^/]+)$/.exec(path) ?? [];
  return Object.hasOwn(keys, name) ? keys[name] : undefined;
}

function page(title: string, text: string): string {
  return `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN" "http://www.w3.org/TR/html4/strict.dtd">
<html><head>
<title>${title}</title>
</head><body>
<h1>${title.slice(4)}</h1>
<p>${text}</p>
</body></html>
`;
}

/** A tree as EC2 has it; a key that ends in a slash is a folder. */
export type Ec2Tree = { readonly [name: string]: string | Ec2Tree };

export interface Ec2Options {
  readonly tree: Ec2Tree;
  readonly userData?: string;
  /** IMDSv2 only: without a token nothing is answered. */
  readonly tokensRequired: boolean;
}

export interface Ec2 extends Service {
  /** Tokens that were given out; emptied, all of them have ended. */
  readonly tokens: Set<string>;
}

/** A service in EC2's style, IMDSv2. */
export async function ec2(options: Ec2Options): Promise<Ec2> {
  const tokens = new Set<string>();
  const service = await serve((request, response) => {
    const path = request.url ?? "";
    response.setHeader("Server", "EC2ws");
    if (request.method === "PUT" && path === "/latest/api/token") {
      const ttl = Number(request.headers["x-aws-ec2-metadata-token-ttl-seconds"]);
      if (!(ttl >= 1 && ttl <= 21_600)) return void response.writeHead(400).end();
      const token = `AQAEA${tokens.size}-token-NAqp==`;
      tokens.add(token);
      response.setHeader("Content-Type", "text/plain");
      return void response.writeHead(200).end(token);
    }
    const token = request.headers["x-aws-ec2-metadata-token"];
    const known = typeof token === "string" && tokens.has(token);
    if (token === undefined ? options.tokensRequired : !known) {
      return void response.writeHead(401).end();
    }
    const body =
      path === "/latest/user-data" ? options.userData : at(options.tree, path.split("/").slice(3));
    if (body === undefined || !/^\/latest\/(meta|user)-data/.test(path)) {
      return void response.writeHead(404).end();
    }
    response.setHeader("Content-Type", "text/plain");
    response.writeHead(200).end(body);
  });
  return Object.assign(service, { tokens });
}

/** A value, or the listing of a folder, with or without the slash at its end. */
function at(tree: Ec2Tree, path: readonly string[]): string | undefined {
  let here: string | Ec2Tree | undefined = tree;
  for (const name of path.filter((part) => part !== "")) {
    if (typeof here !== "object") return undefined;
    here = here[name] ?? here[`${name}/`];
  }
  if (typeof here !== "object") return here;
  const isKeys = path.includes("public-keys") && path.filter((part) => part !== "").length === 1;
  const names = Object.keys(here);
  return isKeys ? names.map((name) => name.replace(/\/$/, "=my-key")).join("\n") : names.join("\n");
}
