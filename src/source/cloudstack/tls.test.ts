import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CloudStackError } from "../../model/errors.ts";
import { openConnections, type Tls } from "./http.ts";
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
    const ask = (tls: Tls): Promise<string> => outcome(port, tls);
    try {
      expect(await ask({})).toBe("CLOUDSTACK_TLS");
      expect(await ask({ ca: other.cert })).toBe("CLOUDSTACK_TLS");
      expect(asked).toBe(0);
      expect(await ask({ ca: own.cert })).toBe("200");
      expect(await ask({ insecure: true })).toBe("200");
      expect(asked).toBe(2);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});

async function outcome(port: number, tls: Tls): Promise<string> {
  const url = new URL(`https://127.0.0.1:${port}/client/api`);
  using connections = openConnections(url, tls, 1);
  const exchange = { url, command: "listZones", timeoutMs: 3000, bytesMax: 1000 };
  try {
    return String((await connections.send(exchange, SIGNAL)).status);
  } catch (error) {
    if (error instanceof CloudStackError) return error.code;
    throw error;
  }
}

function certificate(dir: string, name: string): { key: string; cert: string } {
  const key = join(dir, `${name}.key`);
  const cert = join(dir, `${name}.pem`);
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  execFileSync("openssl", [...made, "-keyout", key, "-out", cert, ...subject], { stdio: "pipe" });
  return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
}
