/*
 * Probe: one guest asks one path again and again, at a fixed pace, one connection per request.
 *
 * A request counts from the moment at which it was due, not from when it could be sent, so a
 * server that stalls is seen stalling. It ends when standard input ends, and with --until when a
 * body is the text asked for, and prints one line of JSON. The moment of that answer is given by
 * the wall clock, which every runtime can read, so that it compares with other processes' moments.
 * Refused connections count as errors and are tried again: so the start of a server is timed too.
 *
 * probe --port P --source IP --path PATH --interval-us N [--until TEXT] [--limit-ms N]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REPLY_BYTES_MAX 32768
#define SAMPLES_MAX 4000000 /* More than an hour at one request a millisecond. */

static struct sockaddr_in server = {.sin_family = AF_INET}, from = {.sin_family = AF_INET};
static char request[1024], reply[REPLY_BYTES_MAX + 1];
static size_t request_bytes;

static uint64_t clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* The body once the reply is whole, NULL until then. */
static char *whole(size_t got, int closed) {
  reply[got] = 0;
  char *end = strstr(reply, "\r\n\r\n");
  if (!end) return NULL;
  *end = 0;
  char *field = strcasestr(reply, "\r\ncontent-length:");
  *end = '\r';
  size_t bytes = got - (size_t)(end + 4 - reply);
  if (field ? bytes < strtoul(field + 17, NULL, 10) : !closed) return NULL;
  return end + 4;
}

/* The body of a reply with status 200, NULL for every other outcome. */
static char *ask(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  struct timeval patience = {.tv_sec = 10};
  size_t got = 0;
  char *body = NULL;
  if (fd < 0) return NULL;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
#ifdef IP_BIND_ADDRESS_NO_PORT
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
#endif
  if (bind(fd, (struct sockaddr *)&from, sizeof from) == 0 &&
      connect(fd, (struct sockaddr *)&server, sizeof server) == 0 &&
      send(fd, request, request_bytes, MSG_NOSIGNAL) == (ssize_t)request_bytes) {
    while (got < REPLY_BYTES_MAX) {
      ssize_t n = recv(fd, reply + got, REPLY_BYTES_MAX - got, 0);
      if (n > 0) got += (size_t)n;
      body = whole(got, n == 0);
      if (body || n <= 0) break;
    }
  }
  close(fd);
  return body && strncmp(reply, "HTTP/1.1 200", 12) == 0 ? body : NULL;
}

/* Sleeps until `due`; returns 1 if standard input has ended meanwhile. */
static int rest_until(uint64_t due) {
  struct pollfd input = {.fd = 0, .events = POLLIN};
  uint64_t now = clock_ns(CLOCK_MONOTONIC);
  uint64_t left = due > now ? due - now : 0;
  struct timespec pause = {.tv_sec = (time_t)(left / 1000000000ull),
                           .tv_nsec = (long)(left % 1000000000ull)};
  if (ppoll(&input, 1, &pause, NULL) <= 0) return 0;
  char byte;
  return read(0, &byte, 1) <= 0;
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  const char *path = "/", *until = NULL;
  uint64_t interval_ns = 1000000, limit_ns = 0, seen_ns = 0, errors = 0;
  uint32_t count = 0, *samples = malloc(SAMPLES_MAX * sizeof *samples);
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    if (!strcmp(name, "--port")) server.sin_port = htons((uint16_t)atoi(value));
    else if (!strcmp(name, "--source")) inet_pton(AF_INET, value, &from.sin_addr);
    else if (!strcmp(name, "--path")) path = value;
    else if (!strcmp(name, "--interval-us")) interval_ns = strtoull(value, NULL, 10) * 1000;
    else if (!strcmp(name, "--until")) until = value;
    else if (!strcmp(name, "--limit-ms")) limit_ns = strtoull(value, NULL, 10) * 1000000;
    else return fprintf(stderr, "probe: unknown %s\n", name), 1;
  }
  request_bytes = (size_t)snprintf(request, sizeof request,
                                   "GET %s HTTP/1.1\r\nHost: 169.254.169.254\r\nAccept: */*\r\n\r\n",
                                   path);
  if (!samples || request_bytes >= sizeof request) return 1;
  uint64_t begun = clock_ns(CLOCK_MONOTONIC), due = begun;
  while (count < SAMPLES_MAX && !(limit_ns && clock_ns(CLOCK_MONOTONIC) - begun > limit_ns)) {
    const char *body = ask();
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    if (!body) errors++;
    else samples[count++] = (uint32_t)((now - due) / 1000);
    if (until && body && strcmp(body, until) == 0) {
      seen_ns = clock_ns(CLOCK_REALTIME);
      break;
    }
    due += interval_ns;
    /* A refusal is no delay: while nobody listens there is no backlog to work off. */
    if (!body && due < now) due = now;
    if (rest_until(due)) break;
  }
  qsort(samples, count, sizeof *samples, by_value);
  printf("{\"requests\":%u,\"errors\":%llu,\"seenMs\":%.3f,\"ms\":{\"p50\":%.3f,\"p99\":%.3f,"
         "\"max\":%.3f}}\n",
         count, (unsigned long long)errors, (double)seen_ns / 1e6,
         count ? samples[count / 2] / 1000.0 : 0, count ? samples[(uint64_t)count * 99 / 100] / 1000.0 : 0,
         count ? samples[count - 1] / 1000.0 : 0);
  return until && !seen_ns ? 1 : 0;
}
