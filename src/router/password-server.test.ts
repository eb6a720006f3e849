import { describe, expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { ledger, NETWORK } from "../../test/state/ledger.ts";
import { parseIp } from "../model/address.ts";
import { CommandError, StateError } from "../model/errors.ts";
import type { Reply } from "../protocol/http.ts";
import type { RimRequest } from "./http/rim.ts";
import {
  ownAddresses,
  type PasswordAnswer,
  type PasswordPorts,
  passwordHandler,
} from "./password-server.ts";

const TOKEN = "0123456789abcdef";
const ROUTER = "10.1.1.1";
const GUEST = "10.1.1.5";

interface Asked {
  readonly peer?: string | undefined;
  readonly method?: string;
  readonly word?: string;
  readonly type?: string;
  readonly body?: string | (() => Promise<Uint8Array>);
}

function server() {
  const desk = ledger();
  const answers: PasswordAnswer[] = [];
  let token: string | undefined = TOKEN;
  const known = new Set([GUEST, "10.1.1.6"]);
  let sealed = false;
  let handIn: PasswordPorts["handIn"];
  const locate = (text: string) => {
    if (!known.has(text)) return undefined;
    return { network: NETWORK, address: parseIp(text), epoch: 1, sealed };
  };
  const handler = passwordHandler({
    identify: async (peer) => locate(peer),
    locate,
    handIn: (...what) => handIn?.(...what),
    get passwords() {
      return desk.passwords;
    },
    ownAddresses: () => new Set(["127.0.0.1", "::1", ROUTER]),
    token: () => token,
    onAnswer: (answer) => answers.push(answer),
  });
  const ask = async (asked: Asked = {}): Promise<Reply> => {
    const { method = "GET", word, type, body = "" } = asked;
    const headers: Readonly<Record<string, string | undefined>> = {
      domu_request: word,
      "content-type": type,
    };
    const request: RimRequest = {
      method,
      target: "/",
      peer: "peer" in asked ? asked.peer : GUEST,
      header: (name) => headers[name],
      body: typeof body === "string" ? async () => Buffer.from(body) : body,
    };
    return handler(request);
  };
  return {
    desk,
    ask,
    outcomes: () => answers.map(({ outcome }) => outcome),
    answers,
    known,
    setSource: (value: PasswordPorts["handIn"]) => {
      handIn = value;
    },
    seal: (closes: boolean) => {
      sealed = closes;
    },
    setToken: (value: string | undefined) => {
      token = value;
    },
  };
}

const form = (fields: Readonly<Record<string, string>> = {}) => ({
  method: "POST",
  peer: ROUTER,
  word: "save_password",
  type: "application/x-www-form-urlencoded",
  body: new URLSearchParams({
    ip: GUEST,
    password: "Pa$s=w0rd",
    token: TOKEN,
    ...fields,
  }).toString(),
});

const POSTED: Reply = { status: 200 };

describe("a guest", () => {
  test("reads its password as often as it likes, acknowledges it, and has none", async () => {
    const { desk, ask, outcomes } = server();
    await desk.offer("Pa$s=w0rd");
    const send = () => ask({ word: "send_my_password" });
    expect((await send()).body).toBe("Pa$s=w0rd");
    expect((await send()).body).toBe("Pa$s=w0rd");
    expect((await ask({ word: "saved_password" })).body).toBe("saved_password");
    expect((await send()).body).toBe("saved_password");
    expect((await ask({ word: "saved_password" })).body).toBe("saved_password");
    const expected = ["password-sent", "password-sent", "acknowledged"] as const;
    expect(outcomes()).toEqual([...expected, "nothing-pending", "nothing-pending"]);
  });

  for (const peer of ["10.1.1.99", undefined, "junk"]) {
    test(`that is unknown (${peer}) has no password, and nothing to acknowledge`, async () => {
      const { desk, ask, outcomes } = server();
      await desk.offer("Pa$s=w0rd");
      expect((await ask({ peer, word: "send_my_password" })).body).toBe("saved_password");
      expect((await ask({ peer, word: "saved_password" })).body).toBe("saved_password");
      expect((await ask({ word: "send_my_password" })).body).toBe("Pa$s=w0rd");
      expect(outcomes()).toEqual(["nothing-pending", "nothing-pending", "password-sent"]);
    });
  }

  test("that is sealed is told that there is none, and takes nothing away", async () => {
    const { desk, ask, outcomes, answers, seal } = server();
    await desk.offer("Pa$s=w0rd");
    seal(true);
    for (const word of ["send_my_password", "saved_password"]) {
      expect((await ask({ word })).body).toBe("saved_password");
    }
    // What comes by another way is kept for it as well.
    expect(await ask(form({ password: "later" }))).toEqual(POSTED);
    expect((await ask({ word: "send_my_password" })).body).toBe("saved_password");
    expect(answers[0]?.recipient).toMatchObject({ address: GUEST });
    seal(false);
    expect((await ask({ word: "send_my_password" })).body).toBe("later");
    const none = "nothing-pending";
    expect(outcomes()).toEqual([none, none, "saved", none, "password-sent"]);
  });

  test("that asks for something else hears bad_request, with status 200", async () => {
    const { ask, outcomes } = server();
    expect(await ask()).toMatchObject({ status: 200, body: "bad_request" });
    expect(outcomes()).toEqual(["bad-request"]);
  });

  test("that uses another method hears nothing, with status 405", async () => {
    const { ask, outcomes } = server();
    for (const method of ["HEAD", "PUT", "DELETE"]) {
      const reply = await ask({ method, word: "send_my_password" });
      expect(reply).toEqual({ status: 405, allow: "GET, POST" });
    }
    expect(outcomes()).toEqual(["method", "method", "method"]);
  });

  test("is told of in the log without its password", async () => {
    const { desk, ask, answers } = server();
    await desk.offer("hunter2");
    await ask({ word: "send_my_password" });
    await ask(form({ password: "hunter3" }));
    expect(JSON.stringify(answers)).not.toMatch(/hunter|0123456789abcdef/);
    expect(answers[0]?.recipient?.address).toBe(parseIp(GUEST));
  });
});

describe("save_password", () => {
  test("from the router itself, with the token, hands a password in", async () => {
    const { desk, ask, outcomes } = server();
    expect(await ask(form())).toEqual(POSTED);
    expect(desk.send()).toBe("Pa$s=w0rd");
    expect(outcomes()).toEqual(["saved"]);
  });

  test("is answered when the password is durable, and not before", async () => {
    const { desk, ask } = server();
    const disk = Promise.withResolvers<void>();
    desk.before = () => disk.promise;
    let isAnswered = false;
    const asked = ask(form()).then(() => {
      isAnswered = true;
    });
    await Bun.sleep(10);
    expect(isAnswered).toBe(false);
    disk.resolve();
    await asked;
  });

  test("on a disk that cannot be written is answered as ever", async () => {
    const { desk, ask, outcomes } = server();
    desk.before = () => Promise.reject(new Error("full"));
    expect(await ask(form())).toEqual(POSTED);
    expect(outcomes()).toEqual(["refused"]);
    expect(desk.send()).toBe("Pa$s=w0rd");
  });

  test("may come over IPv6 from a mapped address", async () => {
    const { desk, ask } = server();
    await ask({ ...form(), peer: `::ffff:${ROUTER}` });
    expect(desk.send()).toBe("Pa$s=w0rd");
  });

  test("clears a password with the word for none", async () => {
    const { desk, ask } = server();
    await ask(form());
    await ask(form({ password: "saved_password" }));
    expect(desk.send()).toBeUndefined();
  });

  test("for an address that is not known yet waits for the guest that has it next", async () => {
    const { desk, ask, known, outcomes } = server();
    const send = { peer: "10.1.1.99", word: "send_my_password" };
    expect(await ask(form({ ip: "10.1.1.99" }))).toEqual(POSTED);
    expect((await ask(send)).body).toBe("saved_password");
    known.add("10.1.1.99");
    expect((await ask(send)).body).toBe("Pa$s=w0rd");
    expect(outcomes()).toEqual(["held", "nothing-pending", "password-sent"]);
    expect(desk.send()).toBeUndefined();
  });

  test("goes to the source, where that takes commands, be the address known or not", async () => {
    const { desk, ask, setSource, outcomes } = server();
    const given: string[] = [];
    setSource(async (address, password) => given.push(`${address} ${password}`));
    for (const ip of [GUEST, "10.1.1.99"]) expect(await ask(form({ ip }))).toEqual(POSTED);
    expect(given).toEqual([`${GUEST} Pa$s=w0rd`, "10.1.1.99 Pa$s=w0rd"]);
    expect(outcomes()).toEqual(["saved", "saved"]);
    expect(desk.writes()).toBe(0);
  });

  const answers: Readonly<Record<string, () => Promise<number>>> = {
    "makes nothing of": async () => 0,
    refuses: () => Promise.reject(new CommandError("is not a text")),
  };
  for (const [does, source] of Object.entries(answers)) {
    test(`that the source ${does} goes to the guest that has the address`, async () => {
      const { desk, ask, setSource, outcomes } = server();
      setSource(source);
      await ask(form());
      expect(desk.send()).toBe("Pa$s=w0rd");
      expect(outcomes()).toEqual(["saved"]);
    });
  }

  test("that the source took, on a disk that cannot be written, is not said to be saved", async () => {
    const { ask, setSource, outcomes } = server();
    setSource(() => Promise.reject(new StateError("STATE_UNWRITABLE", "full")));
    expect(await ask(form())).toEqual(POSTED);
    expect(outcomes()).toEqual(["refused"]);
  });

  const boundary = "----b";
  const without = (name: string) => {
    const params = new URLSearchParams(form().body);
    params.delete(name);
    return { ...form(), body: params.toString() };
  };
  const refused: Readonly<Record<string, Asked>> = {
    "from a guest": { ...form(), peer: GUEST },
    "from a guest, for another": { ...form({ ip: "10.1.1.6" }), peer: GUEST },
    "from nowhere": { ...form(), peer: undefined },
    "with another token": form({ token: "0123456789abcdeF" }),
    "with an empty token": form({ token: "" }),
    "without a token": without("token"),
    "without an address": without("ip"),
    "without a password": without("password"),
    "for an address that is none": form({ ip: "10.1.1.05" }),
    "with another word": { ...form(), word: "other" },
    "without a word": { method: "POST", peer: ROUTER, body: form().body },
    "without a type": { ...form(), type: "text/plain" },
    "with a body that is no form": {
      ...form(),
      type: `multipart/form-data; boundary=${boundary}`,
    },
    "with a body over 16 KiB": form({ more: "x".repeat(16_384) }),
    "with a body that the listener refuses": {
      ...form(),
      body: () => Promise.reject(new RangeError("too long")),
    },
  };
  for (const [what, asked] of Object.entries(refused)) {
    test(`${what} changes nothing, and is answered as ever`, async () => {
      const { desk, ask } = server();
      expect(await ask(asked)).toEqual(POSTED);
      expect(desk.writes()).toBe(0);
      expect(desk.send()).toBeUndefined();
    });
  }

  test("without a token file changes nothing, whatever token is sent", async () => {
    const { desk, ask, setToken, outcomes } = server();
    setToken(undefined);
    for (const token of [TOKEN, "", "undefined"]) {
      expect(await ask(form({ token }))).toEqual(POSTED);
    }
    expect(outcomes()).toEqual(["refused", "refused", "refused"]);
    expect(desk.writes()).toBe(0);
  });

  test("from elsewhere does not even have its body read", async () => {
    const { ask } = server();
    let isRead = false;
    const body = async () => {
      isRead = true;
      return Buffer.from(form().body);
    };
    await ask({ ...form(), peer: GUEST, body });
    expect(isRead).toBe(false);
  });
});

describe("the router's own addresses", () => {
  const mine = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);

  test("are loopback, those of its interfaces, and those that it listens on", () => {
    const own = ownAddresses(
      () => ["192.0.2.7", "2001:DB8::7"],
      () => 0,
    )();
    for (const address of ["127.0.0.1", "::1", "192.0.2.7", "2001:db8::7"]) {
      expect(own.has(address)).toBe(true);
    }
    for (const { address } of mine) expect(own.has(parseIp(address))).toBe(true);
    expect(own.has("127.0.0.2")).toBe(false);
  });

  test("do not come to be every address, when it listens on every one", () => {
    const own = ownAddresses(
      () => ["0.0.0.0", "::"],
      () => 0,
    )();
    expect(own.has("0.0.0.0") || own.has("::")).toBe(false);
  });

  test("are read again after a second, not for each request", () => {
    let now = 0;
    let readings = 0;
    const own = ownAddresses(
      () => {
        readings++;
        return [];
      },
      () => now,
    );
    for (let request = 0; request < 5; request++) own();
    expect(readings).toBe(1);
    now = 1_000;
    own();
    expect(readings).toBe(2);
  });
});
