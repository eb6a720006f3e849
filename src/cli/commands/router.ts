/**
 * `frontdesk router`: answers guests until it is told to stop.
 */

import { DEFAULTS } from "../../config/resolve.ts";
import { HOSTS_MODES, LOG_LEVELS } from "../../config/settings.ts";
import { FileSink } from "../../observe/sink.ts";
import { openRouter } from "../../router/daemon.ts";
import { chooseRim } from "../../router/http/index.ts";
import { openSeveral } from "../../router/several.ts";
import { placeOf } from "../../router/state/place.ts";
import { type Command, EXIT } from "../command.ts";
import { planOf, usualWords } from "../router-settings.ts";
import { defaultAdmin, STATE_DIR_WORD, shownStateDir } from "../state-dir.ts";
import { thisProgram, untilTold } from "../until-told.ts";
import { version } from "../version.ts";

/** How long requests under way may take after SIGTERM. ms. */
const DRAIN_MS = 5000;

// biome-ignore format: a table reads best with one line for each option
export const router: Command = {
  description:
    "Serves instance metadata, user data, SSH keys and passwords from memory.\n\n" +
    "On a CloudStack virtual router: --source databag:/etc/cloudstack. " +
    "On a laptop: --source file:PATH. Beside a controller: --store sqlite:PATH.",
  options: [
    { flags: "--source <where>", summary: "databag:DIR or file:PATH", env: "FRONTDESK_SOURCE" },
    { flags: "--store <where>", summary: "sqlite:PATH, in place of a source: what another program writes", env: "FRONTDESK_STORE" },
    { flags: "--listen <address...>", summary: "ADDR:PORT for guests, or auto", repeatable: true, usual: usualWords("metadata"), env: "FRONTDESK_LISTEN" },
    { flags: "--password-listen <address...>", summary: "ADDR:PORT for passwords, or auto", repeatable: true, usual: usualWords("password"), env: "FRONTDESK_PASSWORD_LISTEN" },
    { flags: "--admin-listen <address>", summary: "for operators and other commands: unix:PATH or ADDR:PORT", usual: defaultAdmin(STATE_DIR_WORD), env: "FRONTDESK_ADMIN_LISTEN" },
    { flags: "--network <id>", summary: "name of the network, where the source does not say", env: "FRONTDESK_NETWORK" },
    { flags: "--state-dir <dir>", summary: "where to keep bindings and passwords, sealed", usual: shownStateDir(process.env), env: "FRONTDESK_STATE_DIR" },
    { flags: "--seal-key <file>", summary: "32 bytes that seal the state, kept elsewhere", usual: placeOf(STATE_DIR_WORD, "main").sealKey, env: "FRONTDESK_SEAL_KEY" },
    { flags: "--cache-dir <dir>", summary: "CloudStack's /var/cache/cloud, for passwords", env: "FRONTDESK_CACHE_DIR" },
    { flags: "--password-token-file <file>", summary: "token for CloudStack's save_password", env: "FRONTDESK_PASSWORD_TOKEN_FILE" },
    { flags: "--hosts <mode>", summary: "what to do about foreign Host headers", choices: HOSTS_MODES, usual: DEFAULTS.hosts, env: "FRONTDESK_HOSTS" },
    { flags: "--config <file>", summary: "these settings as YAML; flags and environment win", env: "FRONTDESK_CONFIG" },
    { flags: "--namespace <name>", summary: "of --config, only the networks of this namespace; own: those of none" },
    { flags: "--log-level <level>", summary: "how much to log", choices: LOG_LEVELS, usual: DEFAULTS.logLevel, env: "FRONTDESK_LOG_LEVEL" },
  ],
  exits: [
    [EXIT.done, "ended because it was told to, by SIGTERM or SIGINT"],
    [EXIT.failed, "cannot start or go on; the reason is one line on standard error"],
    [EXIT.usage, "called or configured wrongly"],
  ],
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
