/** What the machine must have for a router: neighbours, files, a clock, a CPU, and one router. */

import { tryParseListen } from "../../../model/address.ts";
import { fine, skipped } from "../../../observe/doctor/check.ts";
import type { Check } from "../check.ts";
import type { Facts } from "../facts.ts";
import {
  FILES_EACH,
  FILES_MAX,
  FILES_OWN,
  FILES_SHARE,
  NEIGHBOURS_SHARE,
  YEAR_MAX,
  YEAR_MIN,
} from "../limits.ts";

export const neighbours: Check<"NEIGHBOURS_FULL"> = {
  name: "neighbours",
  title: "the kernel has room for all guests' MAC addresses",
  kinds: {
    NEIGHBOURS_FULL: {
      title: "the kernel's neighbour table is nearly full; guests beyond it get no answer at all",
      severity: "warning",
      advice: "raise gc_thresh3, and write the same into a file of /etc/sysctl.d",
      where: "router",
    },
  },
  judge(facts) {
    if (facts.neighbours === undefined) return skipped("the kernel does not say here");
    const { entries, max } = facts.neighbours;
    const guests = bindingsOf(facts);
    const seen = `${entries} of ${max} entries, ${guests} guests`;
    if (Math.max(entries, guests) < max * NEIGHBOURS_SHARE) return fine(seen);
    const wanted = 2 ** Math.ceil(Math.log2(Math.max(entries, guests, 1) * 4));
    const set = (number: number, value: number): string =>
      `net.ipv4.neigh.default.gc_thresh${number}=${value}`;
    return {
      seen,
      found: [
        {
          code: "NEIGHBOURS_FULL",
          seen,
          cause: "the network has more hosts than the limit was made for",
          certainty: "likely",
          remedy: [`sysctl -w ${set(3, wanted)} ${set(2, wanted / 2)}`],
        },
      ],
    };
  },
};

export const files: Check<"FILES_FEW"> = {
  name: "files",
  title: "the router may open as many files as its guests need",
  kinds: {
    FILES_FEW: {
      title: "the router may open too few files for all of its guests at once",
      severity: "warning",
      advice: "raise the limit: LimitNOFILE=65536 in the unit, or ulimit -n before the start",
      where: "router",
    },
  },
  judge(facts) {
    const { files } = facts;
    if (files === undefined) return skipped("no router runs, or it is another user's");
    const needed = Math.min(FILES_MAX, FILES_OWN + FILES_EACH * bindingsOf(facts));
    const seen = `${files.open} of ${files.max} files open, ${needed} may be needed`;
    const isFull = files.open >= files.max * FILES_SHARE;
    if (files.max >= needed && !isFull) return fine(seen);
    const cause = isFull
      ? "nearly all are in use: connections are refused soon"
      : "the limit of the process is lower than its guests' connections when all boot at once";
    // Up to the hard limit no right is needed; beyond it, all of root's.
    const limits =
      files.hard >= needed * 2
        ? `${Math.min(files.hard, FILES_MAX)}:`
        : `${FILES_MAX}:${FILES_MAX}`;
    const remedy = [`prlimit --pid ${files.pid} --nofile=${limits}`];
    return {
      seen,
      found: [
        {
          ...{ code: "FILES_FEW", seen, cause, certainty: "certain", remedy },
          ...(isFull ? { severity: "error" } : {}),
        },
      ],
    };
  },
};

export const clock: Check<"CLOCK_WRONG" | "CLOCK_FREE"> = {
  name: "clock",
  title: "the clock is right",
  kinds: {
    CLOCK_WRONG: {
      title: "this machine's clock cannot be right; logs and ages of passwords are wrong",
      severity: "warning",
      advice: "set the clock, and have it kept by NTP",
      where: "router",
    },
    CLOCK_FREE: {
      title: "nothing keeps this machine's clock",
      severity: "info",
      advice: "have it kept by NTP",
      where: "router",
    },
  },
  judge({ now, clockSynchronized }) {
    const date = new Date(now);
    const year = date.getUTCFullYear();
    const words = { true: ", kept by NTP", false: ", not kept by NTP", undefined: "" };
    const seen = `${date.toISOString().slice(0, 10)}${words[`${clockSynchronized}`]}`;
    const remedy = ["timedatectl set-ntp true"];
    if (year < YEAR_MIN || year > YEAR_MAX) {
      const cause = "it was never set, or the battery or the hypervisor gave a wrong time";
      return { seen, found: [{ code: "CLOCK_WRONG", seen, cause, certainty: "possible", remedy }] };
    }
    if (clockSynchronized !== false) return fine(seen);
    const cause = "no NTP client runs, or it reaches no server";
    return { seen, found: [{ code: "CLOCK_FREE", seen, cause, certainty: "possible", remedy }] };
  },
};

const UNIT = "/etc/systemd/system/frontdesk-router.service";

export const cpu: Check<"CPU_OLD"> = {
  name: "cpu",
  title: "the CPU has what the compiled program needs",
  kinds: {
    CPU_OLD: {
      title: "this CPU has no SSE4.2, which the compiled program needs",
      severity: "error",
      advice: "run frontdesk.mjs with Node.js 18 or later, or give the machine a newer CPU model",
      where: "router",
    },
  },
  judge({ admin, cpuRunsBun, systemd }) {
    if (cpuRunsBun === undefined) return skipped("the kernel does not say");
    if (cpuRunsBun) return fine("it has");
    const seen = "no sse4_2 among the flags in /proc/cpuinfo";
    const cause = "the hypervisor shows an old CPU model, or the CPU is one";
    const script =
      "s|^ExecStart=/usr/local/bin/frontdesk|ExecStart=/usr/bin/node /usr/local/lib/frontdesk.mjs|";
    const remedy = systemd.hasUnit ? [`sed -i '${script}' ${UNIT}`, "systemctl daemon-reload"] : [];
    // One that answers runs on Node.js already.
    const isServed = admin.kind === "answers";
    return {
      seen,
      found: [
        {
          ...{ code: "CPU_OLD", seen, cause, certainty: "certain" },
          ...(isServed ? { severity: "info" } : { remedy }),
        },
      ],
    };
  },
};

export const programs: Check<"ROUTERS_TWICE"> = {
  name: "programs",
  title: "one router of ours runs in this network namespace",
  kinds: {
    ROUTERS_TWICE: {
      title: "several routers of ours run in this network namespace",
      severity: "warning",
      advice: "stop those that were started by hand, unless they serve other addresses on purpose",
      where: "router",
    },
  },
  judge({ routers, admin, lock }) {
    if (routers.length < 2) return fine(routers.length === 0 ? "none runs" : "one runs");
    const status = admin.kind === "answers" ? admin.status : {};
    const own = status.pid ?? (lock?.isAlive === true ? lock.pid : undefined);
    const others = routers.filter(({ pid }) => pid !== own);
    const open = (status.listening ?? []).map(({ host, port }) => ({ address: host, port }));
    const mine = [...open, ...wantedOf(admin)];
    const rivals = others.filter(({ listening = [] }) =>
      listening.some((their) => mine.some((our) => isSame(their, our))),
    );
    const isClear = rivals.length === 0 && others.every(({ listening }) => listening);
    if (isClear) return fine(`${routers.length} run, each on addresses of its own`);
    const seen = routers
      .map(({ pid, unit }) => `process ${pid}${unit === undefined ? "" : ` of ${unit}`}`)
      .join(", ");
    const cause = "one was started beside another; each answers guests from what it knows itself";
    const remedy = own === undefined ? [] : rivals.map(({ pid }) => `kill ${pid}`);
    const certainty = rivals.length > 0 ? "likely" : "possible";
    return { seen, found: [{ code: "ROUTERS_TWICE", seen, cause, certainty, remedy }] };
  },
};

interface At {
  readonly address: string;
  readonly port: number;
}

/** What the router that was asked would listen on, and cannot. */
function wantedOf(admin: Facts["admin"]): readonly At[] {
  if (admin.kind !== "answers") return [];
  return admin.conditions.flatMap(({ code, subject }) => {
    const at =
      code === "LISTEN_FAILED" ? tryParseListen(subject.split(" ", 1)[0] ?? "") : undefined;
    return at === undefined ? [] : [{ address: at.host, port: at.port }];
  });
}

const EVERY: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

function isSame(a: At, b: At): boolean {
  return (
    a.port === b.port && (a.address === b.address || EVERY.has(a.address) || EVERY.has(b.address))
  );
}

function bindingsOf({ admin }: Facts): number {
  return admin.kind === "answers" ? (admin.status.bindings ?? 0) : 0;
}
