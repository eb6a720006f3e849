/**
 * `frontdesk controller`: keeps a store true for routers, until it is told to stop.
 */

import {
  openController,
  POLL_BESIDE_EVENTS_SECONDS,
  POLL_SECONDS,
} from "../../controller/daemon.ts";
import { EXCHANGE } from "../../controller/hints/rabbit.ts";
import { USER_DATA_CHARS_DEFAULT } from "../../controller/user-data.ts";
import { FileSink } from "../../observe/sink.ts";
import { listenAdmin } from "../../router/admin-socket.ts";
import { chooseRim } from "../../router/http/index.ts";
import { type Command, EXIT } from "../command.ts";
import { controllerPlan } from "../controller-settings.ts";
import { DAEMON_EXITS, OPTIONS } from "../daemon-options.ts";
import {
  defaultControllerAdmin,
  defaultStore,
  defaultTokens,
  STATE_DIR_WORD,
  shownStateDir,
} from "../state-dir.ts";
import { stepBack } from "../step-back.ts";
import { untilTold } from "../until-told.ts";
import { version } from "../version.ts";

// biome-ignore format: a table reads best with one line for each option
export const controller: Command = {
  description:
    "Reads instances from a source and keeps them in a store, which routers follow " +
    "(frontdesk router --store). What the source does not say for certain stays as it is.\n\n" +
    "API keys are read from FRONTDESK_API_KEY and FRONTDESK_SECRET_KEY, or a file of them. " +
    "Without --source the store itself is the truth, and the API writes it.",
  options: [
    { flags: "--source <where>", summary: "cloudstack:URL, file:PATH or databag:DIR", env: "FRONTDESK_CONTROLLER_SOURCE" },
    { flags: "--store <where>", summary: "sqlite:PATH", usual: defaultStore(STATE_DIR_WORD), env: "FRONTDESK_STORE" },
    { flags: "--api-listen <address>", summary: "ADDR:PORT of the APIs and of webhooks", usual: "none", env: "FRONTDESK_API_LISTEN" },
    { flags: "--guest-listen <address...>", summary: "where a router of this machine answers guests: the APIs refuse to be there", usual: "auto: on its addresses in the store's networks", repeatable: true },
    { flags: "--api-cert <file>", summary: "certificate of the API listener, PEM", env: "FRONTDESK_API_CERT" },
    { flags: "--api-cert-key <file>", summary: "its key", env: "FRONTDESK_API_CERT_KEY" },
    { flags: "--tokens-file <file>", summary: "who may use the operator API, made by frontdesk token", usual: defaultTokens(STATE_DIR_WORD), env: "FRONTDESK_TOKENS_FILE" },
    { flags: "--admin-listen <address>", summary: "for operators: unix:PATH or ADDR:PORT", usual: defaultControllerAdmin(STATE_DIR_WORD), env: "FRONTDESK_CONTROLLER_ADMIN_LISTEN" },
    OPTIONS.credentialsFile,
    { flags: "--ca-file <file>", summary: "certificate that CloudStack's is checked by, PEM", env: "FRONTDESK_CA_FILE" },
    { flags: "--insecure", summary: "check no certificate: whoever is between can read the keys' requests" },
    { flags: "--poll-seconds <number>", summary: "between two looks at everything", usual: `${POLL_SECONDS}, ${POLL_BESIDE_EVENTS_SECONDS} while events come by --amqp`, env: "FRONTDESK_POLL_SECONDS" },
    { flags: "--webhook-secret-file <file>", summary: "the secret key of CloudStack's webhook; they come to /hooks/cloudstack", env: "FRONTDESK_WEBHOOK_SECRET_FILE" },
    { flags: "--amqp <url>", summary: "CloudStack's events: amqp://HOST[:PORT][/VHOST], or amqps:", env: "FRONTDESK_AMQP" },
    { flags: "--amqp-exchange <name>", summary: "the topic exchange", usual: EXCHANGE, env: "FRONTDESK_AMQP_EXCHANGE" },
    { flags: "--amqp-credentials-file <file>", summary: "FRONTDESK_AMQP_USER=… and FRONTDESK_AMQP_PASSWORD=…; else the environment's", env: "FRONTDESK_AMQP_CREDENTIALS_FILE" },
    { flags: "--amqp-ca-file <file>", summary: "certificate that the bus's is checked by, PEM", env: "FRONTDESK_AMQP_CA_FILE" },
    { flags: "--user-data-max <characters>", summary: "base64 of user data that the APIs take", usual: String(USER_DATA_CHARS_DEFAULT), env: "FRONTDESK_USER_DATA_MAX" },
    OPTIONS.network,
    { flags: "--cache-dir <dir>", summary: "CloudStack's /var/cache/cloud, for databag:", env: "FRONTDESK_CACHE_DIR" },
    { flags: "--state-dir <dir>", summary: "where the store and its key are", usual: shownStateDir(process.env), env: "FRONTDESK_STATE_DIR" },
    { flags: "--seal-key <file>", summary: "32 bytes that seal the store, kept elsewhere", env: "FRONTDESK_SEAL_KEY" },
    OPTIONS.config,
    OPTIONS.logLevel,
  ],
  exits: DAEMON_EXITS,
  examples: [
    ["frontdesk controller --source cloudstack:https://cloud.example.org --credentials-file keys.env", "follow a cloud"],
    ["frontdesk controller --source file:lab.yaml --store sqlite:lab.sqlite", "keep a lab in a store"],
  ],
  async run({ options }) {
    const { settings, admin, logLevel } = await controllerPlan(options);
    stepBack();
    const sink = new FileSink(1);
    const rim = await chooseRim(process.env);
    const started = await openController(settings, {
      ...{ sink, logLevel, version: version(), runtime: rim.name },
      ...(rim.collectNow !== undefined && { collect: rim.collectNow }),
      // Guests may be on any address of this machine but loopback.
      listenAdmin: (handler) => listenAdmin(admin, rim, { handler, guestHosts: "auto" }),
    });
    const told = untilTold();
    process.on("SIGHUP", () => void started.reload());
    try {
      await told.ended;
    } finally {
      await started.close();
      sink.flushSync();
      told.release();
    }
    return EXIT.done;
  },
};
