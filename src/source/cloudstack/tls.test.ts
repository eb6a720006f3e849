import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CloudStackError } from "../../model/errors.ts";
import { isPlainAnswer } from "../../platform/plain-answer.ts";
import { connectionError, openConnections, type Tls } from "./http.ts";
import { SIGNAL } from "./testing.ts";

const hasOpenssl = (() => {
  try {
    return execFileSync("openssl", ["version"], { stdio: "pipe" }).length > 0;
  } catch {
    return false;
  }
})();

// Goal: keys go to nobody whose certificate is not trusted, unless that was asked for by name.
// Method: a server with a certificate made for the test, asked with each setting.
test.skipIf(!hasOpenssl)("only an API whose certificate is trusted is asked", async () => {
  const dir = mkdtempSync(join(tmpdir(), "frontdesk-tls-"));
  try {
    const own = certificate(dir, "own");
    const other = certificate(dir, "other");
    let asked = 0;
    const server = createServer(own, (_, response) => {
      asked++;
      response.end('{"answer":{}}');
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const ofServer = (tls: Tls): Promise<string> => outcome(port, tls);
    try {
      expect(await ofServer({})).toBe("CLOUDSTACK_TLS");
      expect(await ofServer({ ca: other.cert })).toBe("CLOUDSTACK_TLS");
      expect(asked).toBe(0);
      expect(await ofServer({ ca: own.cert })).toBe("200");
      expect(await ofServer({ insecure: true })).toBe("200");
      expect(asked).toBe(2);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("an address that speaks no TLS is a wrong address, and no certificate's trouble", async () => {
  const server = createPlain((_, response) => response.end("{}"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const url = new URL(`https://127.0.0.1:${port}/client/api`);
    const error = await ask(url, {}).catch((error: unknown) => error as CloudStackError);
    expect(error).toMatchObject({ code: "CLOUDSTACK_ADDRESS" });
    expect(String(error)).toContain("listZones: what answers speaks http, not https (");
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("what the runtime says of a connection that failed becomes what to mend", () => {
  const cases: readonly (readonly [code: string, ours: string, said: string])[] = [
    ["ENOTFOUND", "CLOUDSTACK_ADDRESS", "the API's host name is not known (ENOTFOUND)"],
    // Nobody could be asked for the name: that passes.
    ["EAI_AGAIN", "CLOUDSTACK_UNREACHABLE", "the API cannot be reached (EAI_AGAIN)"],
    ["ECONNREFUSED", "CLOUDSTACK_UNREACHABLE", "the API cannot be reached (ECONNREFUSED)"],
    ["CERT_HAS_EXPIRED", "CLOUDSTACK_TLS", "the API's certificate is not trusted"],
  ];
  for (const [code, ours, said] of cases) {
    const error = connectionError("listZones", Object.assign(new Error("x"), { code }));
    expect(error.code).toBe(ours as CloudStackError["code"]);
    expect(error.message).toStartWith(`listZones: ${said}`);
  }
});

test("a handshake that fails for another reason is none of these", () => {
  const cases: readonly (readonly [code: string, message: string, isPlain: boolean])[] = [
    ["ERR_SSL_WRONG_VERSION_NUMBER", "", true],
    ["ERR_SSL_PACKET_LENGTH_TOO_LONG", "", true],
    ["EPROTO", "write EPROTO C:error:0A00010B:SSL routines::wrong version number:s.c:350", true],
    ["EPROTO", "write EPROTO C:error:0A000410:SSL routines::sslv3 alert handshake failure", false],
    ["ECONNRESET", "wrong version number", false],
  ];
  for (const [code, message, isPlain] of cases) {
    const error = Object.assign(new Error(message), { code });
    expect([code, message, isPlainAnswer(error)]).toEqual([code, message, isPlain]);
  }
});

async function outcome(port: number, tls: Tls): Promise<string> {
  const url = new URL(`https://127.0.0.1:${port}/client/api`);
  try {
    return await ask(url, tls);
  } catch (error) {
    if (error instanceof CloudStackError) return error.code;
    throw error;
  }
}

async function ask(url: URL, tls: Tls): Promise<string> {
  using connections = openConnections(url, tls, 1);
  const exchange = { url, command: "listZones", timeoutMs: 3000, bytesMax: 1000 };
  return String((await connections.send(exchange, SIGNAL)).status);
}

function certificate(dir: string, name: string): { key: string; cert: string } {
  const key = join(dir, `${name}.key`);
  const cert = join(dir, `${name}.pem`);
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  execFileSync("openssl", [...made, "-keyout", key, "-out", cert, ...subject], { stdio: "pipe" });
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
}
