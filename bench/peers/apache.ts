/**
 * Apache set up as on CloudStack's virtual router: event MPM with Debian's defaults, access log
 * on, `.htaccess` files everywhere, rewriting by the client's address, old-style access control.
 * Left out is only the HTTPS listener, which no guest of the measurement uses.
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { which } from "../machine.ts";
import type { Peer, Place } from "./peer.ts";

const MODULE_DIRECTORY = "/usr/lib/apache2/modules";

/** Debian's default set, and what the router's image adds. */
const MODULES = [
  "mpm_event",
  "access_compat",
  "alias",
  "auth_basic",
  "auth_digest",
  "authn_core",
  "authn_file",
  "authz_core",
  "authz_host",
  "authz_user",
  "autoindex",
  "deflate",
  "dir",
  "env",
  "filter",
  "mime",
  "negotiation",
  "reqtimeout",
  "rewrite",
  "setenvif",
  "socache_shmcb",
  "ssl",
  "status",
];

const config = ({ directory, site, port }: Place): string => `
ServerName router.bench.internal
PidFile ${directory}/apache2.pid
DefaultRuntimeDir ${directory}
Listen 127.0.0.1:${port}
${MODULES.map((name) => [name, `${MODULE_DIRECTORY}/mod_${name}.so`] as const)
  .filter(([, file]) => existsSync(file))
  .map(([name, file]) => `LoadModule ${name}_module ${file}`)
  .join("\n")}
${process.getuid?.() === 0 ? "User www-data\nGroup www-data" : ""}
StartServers 2
MinSpareThreads 25
MaxSpareThreads 75
ThreadLimit 64
ThreadsPerChild 25
MaxRequestWorkers 150
MaxConnectionsPerChild 0
Timeout 300
KeepAlive On
MaxKeepAliveRequests 100
KeepAliveTimeout 5
RequestReadTimeout header=20-40,minrate=500
RequestReadTimeout body=10,minrate=500
HostnameLookups Off
ServerTokens Prod
ServerSignature Off
TraceEnable Off
AccessFileName .htaccess
TypesConfig /etc/mime.types
ErrorLog ${directory}/error.log
LogLevel warn
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" combined
<Directory />
  Options FollowSymLinks
  AllowOverride None
</Directory>
<FilesMatch "^\\.ht">
  Require all denied
</FilesMatch>
<VirtualHost 127.0.0.1:${port}>
  DocumentRoot ${site.tree}
  CustomLog ${directory}/access.log combined
  <Directory ${site.tree}>
    Options Indexes FollowSymLinks MultiViews
    AllowOverride All
    Order allow,deny
    allow from all
  </Directory>
</VirtualHost>
`;

export const apache: Peer = {
  name: "apache",
  title: "Apache as on the virtual router",
  files: true,
  missing: () => {
    if (which("apache2") === undefined) return "apache2 is not installed (apache2-bin)";
    return existsSync(MODULE_DIRECTORY) ? undefined : `${MODULE_DIRECTORY} is not there`;
  },
  command(place) {
    mkdirSync(place.directory, { recursive: true });
    const file = join(place.directory, "apache2.conf");
    writeFileSync(file, config(place));
    const apache2 = which("apache2") ?? "apache2";
    return [apache2, "-d", place.directory, "-f", file, "-D", "FOREGROUND"];
  },
};
