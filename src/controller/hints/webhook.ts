/**
 * CloudStack's webhooks: each delivery is signed with the webhook's secret key, and says only that
 * something has changed. One without a good signature is refused, counted and does nothing.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { Conditions } from "../../observe/conditions.ts";
import { type HintCounts, hintOf } from "./event.ts";

/** The longest delivery that is read. Action events have less than 2 KiB. Bytes. */
export const DELIVERY_BYTES_MAX: number = 64 * 1024;

/** So long after a refusal it is still said that there was one. ms. */
const REFUSED_MS = 600_000;

const SUBJECT = "webhook";

export interface WebhookPorts {
  /** Read anew for each delivery, so that it may be replaced. */
  readonly secret: () => string;
  readonly hint: (id?: string) => void;
  readonly counts: HintCounts;
  readonly conditions: Conditions;
}

/** What answers at `POST /cloudstack`. */
export function webhookApp({ secret, hint, counts, conditions }: WebhookPorts): Hono {
  const app = new Hono();
  let isOver: NodeJS.Timeout | undefined;
  const refuse = (): void => {
    counts.add("webhook", "refused");
    conditions.raise("WEBHOOK_REFUSED", SUBJECT);
    clearTimeout(isOver);
    isOver = setTimeout(() => conditions.clear("WEBHOOK_REFUSED", SUBJECT), REFUSED_MS);
    isOver.unref();
  };
  app.use(bodyLimit({ maxSize: DELIVERY_BYTES_MAX, onError: (c) => c.body(null, 413) }));
  app.post("/cloudstack", async (c) => {
    const body = Buffer.from(await c.req.arrayBuffer());
    if (!isSigned(body, c.req.header("x-cs-signature"), secret())) {
      refuse();
      return c.body(null, 401);
    }
    const said = hintOf(parse(body));
    counts.add("webhook", said.kind === "look" ? "looked" : "ignored");
    if (said.kind === "look") hint(said.id);
    // CloudStack takes nothing but 200 for delivered.
    return c.body(null, 200);
  });
  return app;
}

/** Whether the signature is HMAC-SHA256 of the body, in base64. Takes as long for any wrong one. */
function isSigned(body: Uint8Array, signature: string | undefined, secret: string): boolean {
  const right = createHmac("sha256", secret).update(body).digest();
  const given = Buffer.from(signature ?? "", "base64");
  return given.length === right.length && timingSafeEqual(given, right);
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}
