import { expect, test } from "bun:test";
import { EventEmitter } from "node:events";
import { pino } from "pino";
import { ConfigError } from "../../model/errors.ts";
import { Conditions } from "../../observe/conditions.ts";
import { HintCounts } from "./event.ts";
import { followRabbit, type RabbitPorts, type RabbitUser } from "./rabbit.ts";

const FILE = "/etc/bus.env";
const REFUSED = { code: "ACCESS_REFUSED", message: "for EXAMPLE-b" };
const LATE = { code: "ECONNREFUSED", message: "connect to EXAMPLE" };

/** A connection that does what the test says. */
class FakeBus extends EventEmitter {
  readonly user: string;
  readonly consumer = new EventEmitter();
  ready = false;
  isEnded = false;

  constructor(user: string) {
    super();
    this.user = user;
  }

  createConsumer = () => this.consumer as never;

  unsafeDestroy(): void {
    this.isEnded = true;
    this.ready = false;
  }

  follow(): void {
    this.ready = true;
    this.consumer.emit("ready");
  }
}

/** Of users a, b, … with passwords of their own. */
async function openBus() {
  const lines: FakeBus[] = [];
  const conditions = new Conditions(() => 0);
  const given: { user: RabbitUser | Error } = { user: userOf("a") };
  const connect = ({ username }: { username?: string }) => {
    const line = new FakeBus(String(username));
    lines.push(line);
    return line;
  };
  const rabbit = await followRabbit(
    {
      ...{ url: new URL("amqp://bus.example"), exchange: "x" },
      user: {
        file: FILE,
        async read() {
          if (given.user instanceof Error) throw given.user;
          return given.user;
        },
      },
    },
    {
      ...{ conditions, counts: new HintCounts(), log: pino({ level: "silent" }) },
      hint: () => {},
      connect: connect as unknown as NonNullable<RabbitPorts["connect"]>,
    },
  );
  return {
    rabbit,
    conditions,
    give: (name: string | Error) => {
      given.user = typeof name === "string" ? userOf(name) : name;
      return rabbit.reload();
    },
    line: (at: number): FakeBus => lines[at] as FakeBus,
    /** The users whose connections are open. */
    open: () => lines.filter(({ isEnded }) => !isEnded).map(({ user }) => user),
    raised: () => conditions.list().map(({ code, subject }) => `${code} ${subject}`),
  };
}

function userOf(username: string): RabbitUser {
  return { username, password: `EXAMPLE-${username}` };
}

test("another user follows as soon as the bus takes it, and the former one until then", async () => {
  const { rabbit, give, line, open, raised } = await openBus();
  line(0).follow();
  await give("b");
  expect([open(), rabbit.isFollowing]).toEqual([["a", "b"], true]);
  line(1).follow();
  expect([open(), rabbit.isFollowing, raised()]).toEqual([["b"], true, []]);
  // The end of the former one is no news.
  line(0).emit("error", LATE);
  expect(raised()).toEqual([]);
});

test("a user that the bus refuses leaves the former one, and a condition that says so", async () => {
  const { rabbit, conditions, give, line, open, raised } = await openBus();
  line(0).follow();
  await give("b");
  line(1).emit("error", REFUSED);
  expect([open(), rabbit.isFollowing]).toEqual([["a"], true]);
  expect(raised()).toEqual([`CREDENTIALS_UNREADABLE ${FILE}`]);
  expect(JSON.stringify(conditions.list())).not.toContain("EXAMPLE");
  // Taken, but it may not use the bus's own host, or the queue.
  await give("c");
  line(2).consumer.emit("error", { code: "NOT_ALLOWED" });
  expect(open()).toEqual(["a"]);
  await give("d");
  line(3).follow();
  expect([open(), raised()]).toEqual([["d"], []]);
});

test("while the bus is away both users are tried, and the last one read replaces the one before", async () => {
  const { rabbit, give, line, open, raised } = await openBus();
  line(0).emit("error", LATE);
  await give("b");
  line(1).emit("error", LATE);
  expect([open(), raised()]).toEqual([["a", "b"], ["HINTS_DOWN bus.example"]]);
  await give("c");
  expect(open()).toEqual(["a", "c"]);
  await give("a");
  expect(open()).toEqual(["a"]);
  await give("b");
  line(0).emit("error", REFUSED);
  expect(rabbit.isFollowing).toBe(false);
  line(3).follow();
  expect([open(), rabbit.isFollowing, raised()]).toEqual([["b"], true, []]);
});

test("the same user again, or one that cannot be read, changes nothing", async () => {
  const { rabbit, give, line, open, raised } = await openBus();
  line(0).follow();
  await give("a");
  await expect(give(new ConfigError("is empty", { file: FILE }))).rejects.toThrow("is empty");
  expect([open(), rabbit.isFollowing, raised()]).toEqual([["a"], true, []]);
  await give("b");
  await rabbit[Symbol.asyncDispose]();
  expect(open()).toEqual([]);
  await give("c");
  expect(open()).toEqual([]);
});
