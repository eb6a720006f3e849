/**
 * `frontdesk router`: answers guests until it is told to stop.
 */

import { DEFAULTS } from "../../config/resolve.ts";
import { HOSTS_MODES } from "../../config/settings.ts";
import { FileSink } from "../../observe/sink.ts";
import { openRouter } from "../../router/daemon.ts";
import { chooseRim } from "../../router/http/index.ts";
import { openSeveral } from "../../router/several.ts";
import { placeOf } from "../../router/state/place.ts";
import { type Command, EXIT } from "../command.ts";
import { DAEMON_EXITS, DRAIN_MS, OPTIONS } from "../daemon-options.ts";
import { planOf, usualWords } from "../router-settings.ts";
import { STATE_DIR_WORD, shownStateDir } from "../state-dir.ts";
import { thisProgram, untilTold } from "../until-told.ts";
import { version } from "../version.ts";

// biome-ignore format: a table reads best with one line for each option
export const router: Command = {
  description:
    "Serves instance metadata, user data, SSH keys and passwords from memory.\n\n" +
    "On a CloudStack virtual router: --source databag:/etc/cloudstack. " +
    "On a laptop: --source file:PATH. Beside a controller: --store sqlite:PATH.",
  options: [
    { flags: "--source <where>", summary: "databag:DIR or file:PATH", env: "FRONTDESK_SOURCE" },
    { flags: "--store <where>", summary: "sqlite:PATH, in place of a source: what another program writes", env: "FRONTDESK_STORE" },
    { ...OPTIONS.listen, usual: usualWords("metadata") },
    { ...OPTIONS.passwordListen, usual: usualWords("password") },
    OPTIONS.adminListen,
    OPTIONS.network,
    { flags: "--state-dir <dir>", summary: "where to keep bindings and passwords, sealed", usual: shownStateDir(process.env), env: "FRONTDESK_STATE_DIR" },
    { flags: "--seal-key <file>", summary: "32 bytes that seal the state, kept elsewhere", usual: placeOf(STATE_DIR_WORD, "main").sealKey, env: "FRONTDESK_SEAL_KEY" },
    { flags: "--cache-dir <dir>", summary: "CloudStack's /var/cache/cloud, for passwords", env: "FRONTDESK_CACHE_DIR" },
    { flags: "--password-token-file <file>", summary: "token for CloudStack's save_password", env: "FRONTDESK_PASSWORD_TOKEN_FILE" },
    { flags: "--hosts <mode>", summary: "what to do about foreign Host headers", choices: HOSTS_MODES, usual: DEFAULTS.hosts, env: "FRONTDESK_HOSTS" },
    OPTIONS.config,
    { flags: "--namespace <name>", summary: "of --config, only the networks of this namespace; own: those of none" },
    OPTIONS.logLevel,
  ],
  exits: DAEMON_EXITS,
  examples: [
    ["frontdesk router --source databag:/etc/cloudstack", "take the virtual router's place on :80 and :8080"],
    ["frontdesk router --store sqlite:/var/lib/frontdesk/store.sqlite --seal-key store.key", "serve what a controller keeps"],
    ["frontdesk router --source file:lab.yaml --listen 127.0.0.1:8775", "serve a lab"],
  ],
  commands: [
    { name: "firewall", summary: "the router's own nftables table", load: () => import("./router-firewall.ts") },
    { name: "dhcp", summary: "the DHCP options that lead guests here", load: () => import("./router-dhcp.ts") },
  ],
  async run({ options }) {
    const plan = await planOf(options, thisProgram());
    const { logLevel } = plan;
    const sink = new FileSink(1);
    const rim = await chooseRim(process.env);
    const ports = { rim, sink, logLevel, version: version() };
    const started =
      plan.kind === "one"
        ? await openRouter(plan.settings, ports)
        : await openSeveral(plan.settings, ports);
    const told = untilTold();
    process.on("SIGHUP", () => void started.reload().catch(() => {}));
    try {
      await Promise.race([started.loaded, told.ended]);
      await told.ended;
    } finally {
      await started.close(DRAIN_MS);
      sink.flushSync();
      told.release();
    }
    return EXIT.done;
  },
};
