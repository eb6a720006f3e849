/** Faults of a router's machine, one entry each: how it is made, and what the doctor must say. */

import { expect } from "bun:test";
import { chmodSync, chownSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../../src/observe/doctor/finding.ts";
import { type DoctorLab, SECRET } from "./doctor-lab.ts";
import { LINK_LOCAL_ADDRESS, ROUTER_ADDRESS } from "./lab.ts";
import { ok, rejection, until } from "./program.ts";

export interface Fault {
  readonly name: string;
  /** Makes it, with or without a router that runs. */
  make(lab: DoctorLab): Promise<unknown>;
  /** What needs attention. */
  readonly code: string;
  /** `error` where it is not said. */
  readonly severity?: "warning";
  readonly certainty: Finding["certainty"];
  readonly seen?: RegExp;
  /** What is said beside it, in any order. */
  readonly also?: readonly string[];
  /** Codes that follow from it. */
  readonly follows?: readonly string[];
  /** Mends what a command can only find. Without it the printed remedy does. */
  mend?(lab: DoctorLab, finding: Finding): Promise<unknown>;
}

/** A user who is nobody here. */
const UID = 54_321;
const key = ({ stateDir }: DoctorLab): string => join(stateDir, "seal.key");

async function stop(lab: DoctorLab, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  lab.router.program.signal(signal);
  await lab.router.program.ended;
}

/** What keeps a router from starting is mended, and then the router is started, as is said next. */
async function mendAndStart(lab: DoctorLab, finding: Finding): Promise<void> {
  await lab.mend(finding);
  const { report } = await lab.doctor();
  expect(report.findings.map(({ code }) => code)).toEqual(["ROUTER_STOPPED"]);
  for (const one of report.findings) await lab.mend(one);
}

/** Takes a databag away from a router that runs, and gives it back. */
function without(name: string, condition: string): Pick<Fault, "make" | "mend"> {
  const aside = ({ lab }: DoctorLab): string => join(lab.folder, name);
  return {
    async make(lab) {
      await lab.start();
      renameSync(join(lab.bags, name), aside(lab));
      await lab.says(condition);
    },
    mend: async (lab) => renameSync(aside(lab), join(lab.bags, name)),
  };
}

const APACHE = `Listen ${ROUTER_ADDRESS}:80
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
ServerName ${ROUTER_ADDRESS}
`;

export const FAULTS: readonly Fault[] = [
  {
    name: "a router that was told to end",
    async make(lab) {
      await lab.start();
      await stop(lab);
    },
    code: "ROUTER_STOPPED",
    certainty: "likely",
  },
  {
    name: "a router that was killed",
    async make(lab) {
      await lab.start();
      await stop(lab, "SIGKILL");
    },
    code: "ROUTER_KILLED",
    certainty: "likely",
    seen: /^nobody listens at unix:.*; the lock of .* is that of a dead process$/,
  },
  {
    name: "a router that never ran",
    make: async () => {},
    code: "ROUTER_NEVER_RAN",
    certainty: "certain",
  },
  {
    name: "a router that hangs",
    async make(lab) {
      await lab.start();
      lab.router.program.signal("SIGSTOP");
    },
    code: "ROUTER_HANGS",
    certainty: "possible",
    seen: /^process \d+ takes connections at unix:/,
  },
  {
    name: "a router with another admin listener",
    async make(lab) {
      const more = ["--admin-listen", `unix:${lab.lab.folder}/other.sock`];
      await lab.launch({ more }).program.says(/router ready/);
    },
    code: "ADMIN_ELSEWHERE",
    severity: "warning",
    certainty: "possible",
    seen: /^process \d+ holds the lock of /,
    async mend(lab, finding) {
      const shown = await lab.sh(finding.remedy.join("; "));
      expect(shown).toContain(`--admin-listen unix:${lab.lab.folder}/other.sock`);
      await stop(lab);
      await lab.start();
    },
  },
  {
    name: "another program on port 80",
    async make(lab) {
      await lab.hold(["python3", "-m", "http.server", "80", "-b", ROUTER_ADDRESS]);
      await lab.startTo("LISTEN_FAILED");
    },
    code: "PORT_HELD",
    certainty: "certain",
    seen: /^process \d+ \(python3[^)]*\) listens on 10\.1\.1\.1:80$/,
    follows: ["LISTEN_FAILED", "ROUTER_NOT_READY"],
  },
  {
    name: "Apache on port 80, before the router is started",
    async make(lab) {
      await lab.start();
      await stop(lab);
      const config = join(lab.lab.folder, "apache.conf");
      const own = `PidFile ${lab.lab.folder}/apache.pid\nErrorLog ${lab.lab.folder}/apache.log\n`;
      writeFileSync(config, `${APACHE}DefaultRuntimeDir ${lab.lab.folder}\n${own}`);
      await lab.hold(["apache2", "-X", "-f", config]);
    },
    code: "APACHE_RUNS",
    certainty: "certain",
    seen: /^process \d+ \(apache2\) listens on 10\.1\.1\.1:80$/,
    follows: ["ROUTER_STOPPED"],
    mend: mendAndStart,
  },
  {
    name: "a second router at an address of the first",
    async make(lab) {
      const stateDir = join(lab.lab.folder, "other");
      const listen = [`${ROUTER_ADDRESS}:80`];
      await lab.start({ stateDir, listen, passwordListen: ["127.0.0.1:19502"] });
      await lab.startTo("LISTEN_FAILED");
    },
    code: "ROUTERS_TWICE",
    severity: "warning",
    certainty: "likely",
    follows: ["LISTEN_FAILED", "ROUTER_NOT_READY"],
  },
  {
    name: "a state directory on a full disk",
    async make(lab) {
      await lab.mount("size=80m");
      await lab.start();
      await lab.sh(`cat /dev/zero > ${lab.stateDir}/filler 2>/dev/null || true`);
    },
    code: "STATE_FULL",
    certainty: "certain",
    seen: /: 0 MiB free, /,
    async mend(lab, finding) {
      // What is largest is shown last but one: the directory itself has it all.
      const shown = (await lab.sh(finding.remedy.join("; "))).trim().split("\n").slice(-2);
      expect(shown[0]).toEndWith(`${lab.stateDir}/filler`);
      rmSync(join(lab.stateDir, "filler"));
    },
  },
  {
    name: "a state directory that has no inodes left",
    async make(lab) {
      await lab.mount("size=80m,nr_inodes=200");
      await lab.start();
      await lab.sh(`mkdir ${lab.stateDir}/many; cd ${lab.stateDir}/many; i=0
        while touch f$i; do i=$((i + 1)); done 2>/dev/null || true`);
    },
    code: "STATE_FULL",
    certainty: "certain",
    seen: /, 0 inodes free$/,
    async mend(lab, finding) {
      const shown = await lab.sh(finding.remedy.join("; "));
      expect(shown).toContain(`${lab.stateDir}/many\n`);
      rmSync(join(lab.stateDir, "many"), { recursive: true });
    },
  },
  {
    name: "a state directory that is mounted read-only",
    async make(lab) {
      await lab.mount("size=80m");
      await lab.start();
      await stop(lab);
      await ok(["mount", "-o", "remount,ro", lab.stateDir]);
    },
    code: "STATE_READ_ONLY",
    certainty: "possible",
    also: ["ROUTER_STOPPED"],
    async mend(lab, finding) {
      // Each program in a network namespace has mounts of its own, so it is run where ours is.
      expect(finding.remedy).toEqual([`mount -o remount,rw "$(stat -c %m ${lab.stateDir})"`]);
      for (const command of finding.remedy) await ok(["sh", "-c", command]);
      await lab.start();
    },
  },
  {
    name: "a state directory that others may look into",
    async make(lab) {
      await lab.start();
      chmodSync(lab.stateDir, 0o755);
    },
    code: "STATE_OPEN",
    severity: "warning",
    certainty: "certain",
  },
  {
    name: "a seal key that others may read",
    async make(lab) {
      await lab.start();
      await stop(lab);
      chmodSync(key(lab), 0o644);
    },
    code: "SEAL_KEY_OPEN",
    certainty: "certain",
    seen: /mode 0644/,
    follows: ["ROUTER_STOPPED"],
    mend: mendAndStart,
  },
  {
    name: "a seal key that the router's user cannot read",
    async make(lab) {
      await lab.sh("sysctl -qw net.ipv4.ip_unprivileged_port_start=0");
      await lab.runAs(UID);
      await lab.start();
      await stop(lab);
      chownSync(key(lab), 0, 0);
    },
    code: "SEAL_KEY_UNREADABLE",
    certainty: "likely",
    seen: /user 0, mode 0600/,
    follows: ["ROUTER_STOPPED"],
    async mend(lab, finding) {
      // That the fault is one: the router ends at once.
      expect(await rejection(lab.start())).toContain("seal.key");
      await lab.mend(finding);
      await lab.start();
    },
  },
  {
    name: "a seal key that is cut",
    async make(lab) {
      await lab.start();
      await stop(lab);
      writeFileSync(key(lab), "short");
    },
    code: "SEAL_KEY_SIZE",
    certainty: "certain",
    seen: /5 bytes$/,
    follows: ["ROUTER_STOPPED"],
    async mend(lab) {
      rmSync(key(lab));
      await lab.start();
      // What was sealed with the old key is lost, and the router says so until it starts again.
      await lab.says("STATE_SET_ASIDE");
      await stop(lab);
      await lab.start();
    },
  },
  {
    name: "no vmdata.json",
    ...without("vmdata.json", "SOURCE_UNREADABLE"),
    code: "SOURCE_FILE_ABSENT",
    certainty: "certain",
    seen: /vmdata\.json does not exist$/,
    follows: ["SOURCE_UNREADABLE"],
  },
  {
    name: "no dhcpentry.json",
    ...without("dhcpentry.json", "SOURCE_UNREADABLE"),
    code: "SOURCE_FILE_ABSENT",
    certainty: "certain",
    seen: /dhcpentry\.json does not exist$/,
    follows: ["SOURCE_UNREADABLE"],
  },
  {
    name: "a databag that is cut, with a secret in it",
    ...without("vmdata.json", "SOURCE_UNREADABLE"),
    async make(lab) {
      const { make } = without("vmdata.json", "SOURCE_UNREADABLE");
      await make(lab);
      writeFileSync(join(lab.bags, "vmdata.json"), `{"10.1.1.57": ["${SECRET}`);
      await lab.says("SOURCE_MALFORMED");
    },
    code: "SOURCE_FILE_DAMAGED",
    certainty: "likely",
    follows: ["SOURCE_MALFORMED"],
  },
  {
    name: "no folder of databags",
    async make(lab) {
      await lab.start();
      await stop(lab);
      renameSync(lab.bags, `${lab.bags}.old`);
    },
    code: "SOURCE_ABSENT",
    certainty: "likely",
    follows: ["ROUTER_STOPPED"],
    async mend(lab) {
      // That the fault is one: the router ends at once.
      expect(await rejection(lab.start())).toContain("does not exist");
      renameSync(`${lab.bags}.old`, lab.bags);
      await lab.start();
    },
  },
  {
    name: "a rule of nftables that drops port 80",
    async make(lab) {
      await lab.start();
      await lab.sh(`nft -f - <<'END'
table inet filter {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport 80 drop
  }
}
END`);
    },
    code: "INPUT_BLOCKED",
    certainty: "certain",
    seen: /^a rule in nftables table inet filter, chain input: tcp dport 80 drop$/,
    follows: ["LISTENER_TIMEOUT"],
  },
  {
    name: "a rule of iptables that drops what guests ask",
    async make(lab) {
      await lab.start();
      await lab.sh("iptables -A INPUT -i eth0 -p tcp --dport 8080 -j DROP");
    },
    code: "INPUT_BLOCKED",
    certainty: "certain",
    seen: /iptables table filter, chain INPUT: -A INPUT -i eth0 .*--dport 8080 -j DROP$/,
  },
  {
    name: "a table of ours that somebody has deleted",
    async make(lab) {
      await lab.startKept();
      // Until the router is done with its own changes: what it keeps, it looks at each minute.
      await until("the table to stay away", 10_000, async () => {
        await lab.sh("nft delete table inet frontdesk 2>/dev/null; sleep 0.5");
        return !(await lab.sh("nft list tables")).includes("frontdesk");
      });
    },
    code: "FIREWALL_ABSENT",
    certainty: "likely",
  },
  {
    name: "few files",
    async make(lab) {
      await lab.start();
      await lab.sh(`prlimit --pid ${lab.router.program.pid} --nofile=128:`);
    },
    code: "FILES_FEW",
    severity: "warning",
    certainty: "certain",
    seen: / of 128 files open/,
  },
  {
    name: "169.254.169.254 on the control link",
    async make(lab) {
      await lab.sh(`ip address delete ${LINK_LOCAL_ADDRESS}/32 dev eth0
        ip link add eth1 type bridge; ip link set eth1 up
        ip address add 169.254.3.7/16 dev eth1; ip address add ${LINK_LOCAL_ADDRESS}/32 dev eth1`);
      await lab.start();
    },
    code: "LINK_LOCAL_CONTROL",
    severity: "warning",
    certainty: "likely",
  },
];
