/**
 * nginx with static files chosen by the client's address: what answering guests costs a very good
 * web server. One worker, no access log, Debian's defaults for the rest; no cache of open files.
 */

import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { which } from "../machine.ts";
import type { Peer, Place } from "./peer.ts";

const config = ({ directory, site, port }: Place): string => `
daemon off;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log;
worker_processes 1;
worker_rlimit_nofile 16384;
${process.getuid?.() === 0 ? "user nobody nogroup;" : ""}
events { worker_connections 8192; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  default_type text/plain;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /latest/user-data { alias ${site.tree}/userdata/$remote_addr/user-data; }
    location /latest/meta-data/ { alias ${site.tree}/metadata/$remote_addr/; index meta-data; }
  }
}
`;

export const nginx: Peer = {
  name: "nginx",
  title: "nginx, static files, log off",
  files: true,
  missing: () =>
    which("nginx") === undefined ? "nginx is not installed (nginx-light)" : undefined,
  command(place) {
    mkdirSync(place.directory, { recursive: true });
    chmodSync(place.directory, 0o755);
    const file = join(place.directory, "nginx.conf");
    writeFileSync(file, config(place));
    return [which("nginx") ?? "nginx", "-p", place.directory, "-c", file];
  },
};
