/**
 * The faults that tests make on purpose: what is broken, where, and what `doctor` has to say of it.
 *
 * Each is real: rules, routes, files, and a service that misbehaves. Nothing is made up for doctor.
 */

import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type DoctorLab, KEYS } from "./doctor-lab.ts";

export interface Fault {
  readonly name: string;
  readonly make: (lab: DoctorLab) => unknown;
  readonly env?: Readonly<Record<string, string>>;
  /** The only cause that needs attention. */
  readonly code: string;
  readonly certainty: "certain" | "likely" | "possible";
  readonly where: "guest" | "router";
  readonly severity?: "error" | "warning";
  readonly seen?: RegExp;
  /** Codes that follow from it. */
  readonly follows?: readonly string[];
  /** Whether the remedy mends it; else no command of ours can. */
  readonly mends: boolean;
}

export const DROP_ALL =
  "nft 'table inet filter { chain output { type filter hook output priority 0; policy drop; oif lo accept; }; }'";
const lease = (more: string): string =>
  `lease {\n  interface "eth0";\n  fixed-address 10.1.1.57;\n  option routers 10.1.1.1;\n${more}}\n`;
const withoutKey = (name: string): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(KEYS).filter(([key]) => key !== name));
export const CLOUD_CONFIG = "#cloud-config\npackages: [nginx]\n";
const SMALL_LINK = (bytes: number): string =>
  `nft 'table inet small { chain in { type filter hook input priority 0; meta length > ${bytes} drop; }
     chain out { type filter hook output priority 0; meta length > ${bytes} drop; }; }'`;

export const FAULTS: readonly Fault[] = [
  {
    name: "a firewall that drops all that goes out",
    make: (lab) => lab.inGuest(DROP_ALL),
    code: "EGRESS_BLOCKED",
    certainty: "certain",
    where: "guest",
    seen: /policy of nftables table inet filter, chain output/,
    follows: ["CONNECT_TIMEOUT"],
    mends: true,
  },
  {
    name: "a rule of nftables, in a chain that is jumped to",
    make: (lab) =>
      lab.inGuest(`nft 'table ip guard { set private { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 169.254.0.0/16 }; };
        chain web { ip daddr @private reject with tcp reset; };
        chain output { type filter hook output priority 0; ct state vmap { established : accept, invalid : drop }; tcp dport { 80, 443 } jump web; }; }'`),
    code: "EGRESS_BLOCKED",
    certainty: "certain",
    where: "guest",
    seen: /table ip guard, chain web: ip daddr @private reject/,
    follows: ["CONNECT_REFUSED"],
    mends: true,
  },
  {
    name: "a rule of iptables",
    make: (lab) => lab.inGuest("iptables -A OUTPUT -p tcp -m multiport --dports 80,443 -j DROP"),
    code: "EGRESS_BLOCKED",
    certainty: "certain",
    where: "guest",
    seen: /iptables table filter, chain OUTPUT: -A OUTPUT -p tcp -m multiport --dports 80,443 -j DROP/,
    follows: ["CONNECT_TIMEOUT"],
    mends: true,
  },
  {
    name: "a firewall that drops all that comes in",
    make: (lab) => lab.inGuest("iptables -P INPUT DROP", "iptables -A INPUT -i lo -j ACCEPT"),
    code: "INGRESS_BLOCKED",
    certainty: "certain",
    where: "guest",
    seen: /policy of iptables table filter, chain INPUT/,
    follows: ["CONNECT_TIMEOUT"],
    mends: true,
  },
  {
    name: "a firewall that lets only SSH in",
    make: (lab) =>
      lab.inGuest(
        "nft 'table inet z { chain i { type filter hook input priority 0; policy drop; iif lo accept; tcp dport 22 accept; ct state related accept; }; }'",
      ),
    code: "INGRESS_BLOCKED",
    certainty: "certain",
    where: "guest",
    seen: /policy of nftables table inet z, chain i/,
    follows: ["CONNECT_TIMEOUT"],
    mends: true,
  },
  {
    name: "no route",
    make: (lab) => lab.inGuest("ip route del default"),
    code: "ROUTE_MISSING",
    certainty: "certain",
    where: "guest",
    severity: "warning",
    seen: /no route to 169\.254\.169\.254: Network is unreachable/,
    follows: ["CONNECT_UNREACHABLE"],
    mends: true,
  },
  {
    name: "a blackhole route",
    make: (lab) => lab.inGuest("ip route add blackhole 169.254.0.0/16"),
    code: "ROUTE_REFUSES",
    certainty: "certain",
    where: "guest",
    seen: /blackhole 169\.254\.0\.0\/16/,
    follows: ["CONNECT_UNREACHABLE"],
    mends: true,
  },
  {
    name: "the link-local network taken by a bridge",
    make: (lab) =>
      lab.inGuest(
        "ip link add docker0 type bridge; ip link set docker0 up",
        "ip route add 169.254.0.0/16 dev docker0",
      ),
    code: "ROUTE_CONFLICT",
    certainty: "likely",
    where: "guest",
    severity: "warning",
    seen: /169\.254\.169\.254 goes out on docker0, the router is on eth0/,
    mends: true,
  },
  {
    name: "the link-local address taken by the guest itself",
    make: (lab) => lab.inGuest("ip address add 169.254.169.254/32 dev lo"),
    code: "LINK_LOCAL_TAKEN",
    certainty: "certain",
    where: "guest",
    seen: /lo has the address 169\.254\.169\.254\/32/,
    mends: true,
  },
  {
    name: "a made-up source address",
    make: (lab) =>
      lab.inGuest(
        "ip address add 169.254.7.7/16 dev eth0",
        "ip route replace 169.254.169.254/32 dev eth0 src 169.254.7.7",
      ),
    code: "SOURCE_LINK_LOCAL",
    certainty: "certain",
    where: "guest",
    severity: "warning",
    seen: /sent from 169\.254\.7\.7, not from 10\.1\.1\.57/,
    mends: true,
  },
  {
    name: "a rule of policy routing",
    make: (lab) => lab.inGuest("ip rule add to 169.254.169.254 prohibit"),
    code: "ROUTE_REFUSES",
    certainty: "likely",
    where: "guest",
    seen: /refuses a route to 169\.254\.169\.254: Permission denied/,
    follows: ["CONNECT_UNREACHABLE"],
    mends: false,
  },
  {
    name: "a default route to nobody",
    make: (lab) => lab.inGuest("ip route replace default via 10.1.1.200"),
    code: "GATEWAY_WRONG",
    certainty: "likely",
    where: "guest",
    severity: "warning",
    seen: /goes via 10\.1\.1\.200, which does not answer ARP; 10\.1\.1\.1 serves/,
    follows: ["CONNECT_UNREACHABLE"],
    mends: true,
  },
  {
    name: "a redirection to a port that is closed",
    make: (lab) =>
      lab.inGuest(
        "nft 'table ip n { chain o { type nat hook output priority -100; ip daddr 169.254.169.254 tcp dport 80 redirect to :9; }; }'",
      ),
    code: "EGRESS_BLOCKED",
    certainty: "certain",
    where: "guest",
    severity: "warning",
    seen: /table ip n, chain o: ip daddr 169\.254\.169\.254 tcp dport 80 redirect to :9/,
    follows: ["CONNECT_REFUSED"],
    mends: true,
  },
  {
    name: "large answers that are lost",
    make: async (lab) => {
      lab.behave({ userData: `#!/bin/sh\n${"x".repeat(5_000)}` });
      await lab.onRouter(
        "nft 'table inet s { chain o { type filter hook output priority 0; meta length > 1300 drop; }; }'",
      );
    },
    code: "MTU_BLACK_HOLE",
    certainty: "possible",
    where: "guest",
    follows: ["USER_DATA_FAILS"],
    mends: true,
  },
  {
    name: "a service that hangs",
    make: (lab) => lab.behave({ delayMs: 30_000 }),
    code: "HTTP_SILENT",
    certainty: "possible",
    where: "router",
    mends: false,
  },
  {
    name: "an interface that is down",
    make: (lab) => lab.inGuest("ip link set dev eth0 down"),
    code: "NO_ADDRESS",
    certainty: "certain",
    where: "guest",
    seen: /10\.1\.1\.57 on eth0, which is down/,
    follows: ["ROUTE_MISSING", "CONNECT_UNREACHABLE"],
    // With the device its routes went; the next run names them.
    mends: false,
  },
  {
    name: "a fixed neighbour of a router that was replaced",
    make: (lab) =>
      lab.inGuest("ip neigh replace 10.1.1.1 lladdr 02:00:5a:10:99:99 dev eth0 nud permanent"),
    code: "NEIGHBOUR_FIXED",
    certainty: "likely",
    where: "guest",
    seen: /10\.1\.1\.1 is 02:00:5a:10:99:99 by a fixed entry/,
    follows: ["CONNECT_TIMEOUT"],
    mends: true,
  },
  {
    name: "a router that is away",
    make: (lab) => lab.onRouter("ip link set dev eth0 down"),
    code: "NEIGHBOUR_SILENT",
    certainty: "likely",
    where: "router",
    seen: /nobody on eth0 answers ARP for 10\.1\.1\.1/,
    mends: true,
  },
  {
    name: "a service that was stopped",
    make: (lab) => lab.stopService(),
    code: "CONNECT_REFUSED",
    certainty: "likely",
    where: "router",
    seen: /http:\/\/169\.254\.169\.254 and http:\/\/10\.1\.1\.1: the connection is refused/,
    mends: true,
  },
  {
    name: "a firewall on the router",
    make: (lab) =>
      lab.onRouter(
        "nft 'table ip f { chain i { type filter hook input priority 0; tcp dport 80 drop; }; }'",
      ),
    code: "CONNECT_TIMEOUT",
    certainty: "possible",
    where: "router",
    mends: false,
  },
  {
    name: "a full disk on the router",
    make: (lab) => lab.write("log/cloud.log.1.gz", "old"),
    code: "HTTP_FAILS",
    certainty: "possible",
    where: "router",
    seen: /answers 500/,
    mends: true,
  },
  {
    name: "a router that does not know the instance",
    make: (lab) => lab.behave({ status: 404 }),
    code: "HTTP_UNKNOWN_INSTANCE",
    certainty: "likely",
    where: "router",
    seen: /answers 404 to 10\.1\.1\.57/,
    mends: false,
  },
  {
    name: "a router that refuses",
    make: (lab) => lab.behave({ status: 403 }),
    code: "HTTP_FORBIDDEN",
    certainty: "likely",
    where: "router",
    mends: false,
  },
  {
    name: "a router that is not ready",
    make: (lab) => lab.behave({ status: 503 }),
    code: "HTTP_NOT_READY",
    certainty: "likely",
    where: "router",
    severity: "warning",
    mends: false,
  },
  {
    name: "a router that is slow",
    make: (lab) => lab.behave({ delayMs: 1_300, userData: CLOUD_CONFIG }),
    code: "HTTP_SLOW",
    certainty: "possible",
    where: "router",
    severity: "warning",
    mends: false,
  },
  {
    name: "a key that CloudStack has not sent",
    make: (lab) => lab.behave({ keys: withoutKey("local-hostname"), userData: CLOUD_CONFIG }),
    code: "KEY_ABSENT",
    certainty: "likely",
    where: "router",
    severity: "warning",
    seen: /neither listed nor answered: local-hostname/,
    mends: false,
  },
  {
    name: "a key that is listed and not there",
    make: (lab) => lab.behave({ dead: ["service-offering"], userData: CLOUD_CONFIG }),
    code: "KEY_DEAD",
    certainty: "likely",
    where: "router",
    seen: /service-offering \(404\)/,
    mends: false,
  },
  {
    name: "two services that say different things",
    make: (lab) =>
      lab.behave({ instanceIdAt: { "169.254.169.254": "i-66" }, userData: CLOUD_CONFIG }),
    code: "ANSWERS_DIFFER",
    certainty: "likely",
    where: "guest",
    seen: /169\.254\.169\.254 says instance-id i-66; 10\.1\.1\.1 says instance-id i-2-57/,
    mends: false,
  },
  {
    name: "an IPv6 address of data-server",
    make: (lab) => lab.serveNames("host-record=data-server,10.1.1.1,fd00:1::1"),
    code: "DATA_SERVER_AAAA",
    certainty: "certain",
    where: "guest",
    // This guest has no IPv6, so its resolver puts the IPv4 address first.
    severity: "warning",
    seen: /fd00:1::1/,
    mends: true,
  },
  {
    name: "a data-server that is somebody else",
    make: (lab) => lab.serveNames("host-record=data-server,10.1.1.99"),
    code: "DATA_SERVER_WRONG",
    certainty: "likely",
    where: "guest",
    seen: /data-server is 10\.1\.1\.99, which does not serve/,
    mends: true,
  },
  {
    name: "a resolver that is silent",
    make: (lab) => {
      lab.write("hosts", "127.0.0.1 localhost\n");
      lab.write("resolv.conf", "nameserver 10.1.1.98\n");
    },
    code: "RESOLVER_SILENT",
    certainty: "likely",
    where: "guest",
    severity: "warning",
    mends: true,
  },
  {
    name: "a lease without option 54",
    make: (lab) => {
      lab.write("hosts", "127.0.0.1 localhost\n");
      lab.write("dhcp/dhclient.eth0.leases", lease(""));
    },
    code: "LEASE_NO_SERVER",
    certainty: "likely",
    where: "guest",
    severity: "warning",
    seen: /dhclient\.eth0\.leases has no dhcp-server-identifier/,
    mends: true,
  },
  {
    name: "a lease of a server that is gone",
    make: (lab) =>
      lab.write("dhcp/dhclient.eth0.leases", lease("  option dhcp-server-identifier 10.1.1.97;\n")),
    code: "LEASE_OLD_SERVER",
    certainty: "possible",
    where: "guest",
    severity: "warning",
    seen: /names 10\.1\.1\.97/,
    mends: false,
  },
  {
    name: "a proxy in the environment",
    make: () => undefined,
    env: { http_proxy: "http://user:secret@10.1.1.96:3128" },
    code: "PROXY_SET",
    certainty: "certain",
    where: "guest",
    severity: "warning",
    seen: /^http_proxy in the environment/,
    mends: false,
  },
  {
    name: "a proxy for all programs, with another service excepted",
    make: (lab) =>
      lab.write("environment", "http_proxy=http://10.1.1.96:3128\nno_proxy=example.org\n"),
    code: "PROXY_SET",
    certainty: "certain",
    where: "guest",
    severity: "warning",
    seen: /^http_proxy in \/etc\/environment, without 169\.254\.169\.254 and 10\.1\.1\.1/,
    mends: true,
  },
  {
    name: "a path that loses large packets",
    make: (lab) => lab.onRouter(SMALL_LINK(1_300)),
    code: "MTU_BLACK_HOLE",
    certainty: "likely",
    where: "guest",
    seen: /packets of 1300 bytes are answered, of 1350 bytes lost/,
    mends: true,
  },
  {
    name: "user data that is base64 twice",
    make: (lab) => lab.behave({ userData: Buffer.from(CLOUD_CONFIG).toString("base64") }),
    code: "USER_DATA_ENCODED",
    certainty: "likely",
    where: "guest",
    severity: "warning",
    mends: false,
  },
  {
    name: "a clock that is hours off",
    make: (lab) => lab.behave({ dateOffsetS: -7 * 3600, userData: CLOUD_CONFIG }),
    code: "CLOCK_DIFFERS",
    certainty: "possible",
    where: "guest",
    severity: "warning",
    seen: /here it is \d{4}-\S+Z, on the router \d{4}-\S+Z/,
    mends: false,
  },
  {
    name: "hardware that does not say CloudStack",
    make: (lab) => {
      file(lab, "dmi/product_name", "Standard PC (i440FX + PIIX, 1996)\n");
      file(lab, "cloud/cloud.cfg", "disable_root: true\n");
      mkdirSync(join(lab.lab.folder, "cloud/cloud.cfg.d"));
    },
    code: "DMI_UNKNOWN",
    certainty: "likely",
    where: "guest",
    severity: "warning",
    seen: /product_name is "Standard PC \(i440FX \+ PIIX, 1996\)"/,
    mends: true,
  },
  {
    name: "cloud-init that is switched off",
    make: (lab) => {
      file(lab, "cloud/cloud.cfg", "disable_root: true\n");
      file(lab, "cloud/cloud-init.disabled", "");
    },
    code: "CLOUD_INIT_DISABLED",
    certainty: "certain",
    where: "guest",
    severity: "warning",
    seen: /disabled by \/etc\/cloud\/cloud-init\.disabled/,
    mends: true,
  },
  {
    name: "cloud-init that found nobody at boot",
    make: (lab) => ranCloudInit(lab, { datasource: "DataSourceNone", errors: [] }),
    code: "CLOUD_INIT_OTHER_SOURCE",
    certainty: "possible",
    where: "guest",
    severity: "warning",
    seen: /has chosen DataSourceNone/,
    mends: false,
  },
  {
    name: "cloud-init with errors",
    make: (lab) =>
      ranCloudInit(lab, {
        datasource: "DataSourceCloudStack",
        errors: ["('scripts-user', RuntimeError('Runparts: 1 failures (part-001)'))"],
      }),
    code: "CLOUD_INIT_ERRORS",
    certainty: "possible",
    where: "guest",
    severity: "warning",
    seen: /result\.json: .*scripts-user/,
    mends: false,
  },
  {
    name: "a password server on a wrong port",
    make: (lab) => lab.movePasswords(),
    code: "PASSWORD_CLOSED",
    certainty: "likely",
    where: "router",
    severity: "warning",
    seen: /10\.1\.1\.1:8080 refused/,
    mends: true,
  },
  {
    name: "leases of two DHCP clients that disagree",
    make: (lab) => {
      file(lab, "systemd/netif/leases/2", "ADDRESS=10.1.1.57\nSERVER_ADDRESS=10.1.1.97\n", 3600);
      lab.write("dhcp/dhclient.eth0.leases", lease("  option dhcp-server-identifier 10.1.1.1;\n"));
    },
    code: "LEASES_DISAGREE",
    certainty: "possible",
    where: "guest",
    severity: "warning",
    seen: /dhclient\.eth0\.leases names 10\.1\.1\.1; \S+leases\/2 names 10\.1\.1\.97/,
    mends: true,
  },
];

/** A file of the guest's, so many seconds old, with its folder. */
function file({ lab }: DoctorLab, name: string, text: string, ageS = 0): void {
  const path = join(lab.folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  const at = Date.now() / 1000 - ageS;
  utimesSync(path, at, at);
}

/** What cloud-init 22.4.2 leaves of a boot. */
function ranCloudInit(
  lab: DoctorLab,
  { datasource, errors }: { readonly datasource: string; readonly errors: readonly string[] },
): void {
  file(lab, "cloud/cloud.cfg", "disable_root: true\n");
  file(lab, "cloud-run/result.json", JSON.stringify({ v1: { datasource, errors } }));
  const stage = { errors, finished: 1_700_000_002.5, start: 1_700_000_001.25 };
  const status = { v1: { datasource, stage: null, "modules-final": stage } };
  file(lab, "cloud-run/status.json", JSON.stringify(status));
}
