/**
 * What an event of CloudStack's says to us: look again, at one instance if it names one. Pure.
 *
 * Events carry no metadata and may come twice, late or not at all; nothing in them is believed but
 * that something has changed. The same bodies come by webhook and over the event bus.
 */

/** Where an event of these kinds is about no instance, it may change what guests are told. */
const CHANGES =
  /^(VM|VNF|NIC|NET|NETWORK|STATICNAT|VPC|SERVICE\.OFFERING|CONFIGURATION|DOMAIN|ACCOUNT|ZONE)\./;

/** What stands for an instance in an event. */
const INSTANCE = "VirtualMachine";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export type Hint =
  /** Look at this instance, or at everything if none is named. */
  | { readonly kind: "look"; readonly id?: string }
  /** It is about something that guests are told nothing of. */
  | { readonly kind: "nothing" };

type Fields = Readonly<Record<string, unknown>>;

/** @param body what was sent, parsed; anything at all */
export function hintOf(body: unknown): Hint {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return { kind: "look" };
  const fields = body as Fields;
  const { entity, entityuuid, resource, id, instanceType, instanceUuid } = fields;
  for (const [kind, name] of [
    [entity, entityuuid],
    [resource, id],
    [instanceType, instanceUuid],
  ]) {
    // Of a name that is none of CloudStack's, only a look at everything is sure to find it.
    if (kind === INSTANCE) return isUuid(name) ? { kind: "look", id: name } : { kind: "look" };
  }
  const event = fields.event ?? fields.commandEventType;
  if (typeof event === "string") return { kind: CHANGES.test(event) ? "look" : "nothing" };
  // The state of a disk or a snapshot: an event of its own tells what comes of it.
  return { kind: typeof resource === "string" ? "nothing" : "look" };
}

function isUuid(value: unknown): value is string {
  return typeof value === "string" && UUID.test(value);
}

/** What came of hints, for the metrics. */
export type Outcome = "looked" | "ignored" | "refused";

export class HintCounts {
  readonly #counts = new Map<string, number>();

  add(via: "webhook" | "rabbitmq", outcome: Outcome): void {
    const name = `${via} ${outcome}`;
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  /** `[via, outcome]` and how often. */
  list(): (readonly [labels: readonly string[], count: number])[] {
    return [...this.#counts].map(([name, count]) => [name.split(" "), count]);
  }
}
