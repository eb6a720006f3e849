/*
 * Load generator: many guests ask one server, each from an address of its own.
 *
 * One thread, epoll. It keeps a number of connections busy, or plays a storm in which every
 * guest makes its requests one after another, and prints one line of JSON: how many requests,
 * which errors, and percentiles of the time from connect (or send) to the last byte of the body.
 * Every reply is checked: status 200 and the body that the asking address must get.
 *
 * load --port P --sources FILE --paths FILE --style close|guest|keep --connections N --requests M
 * load --port P --sources FILE --paths FILE --style guest --storm GUESTS --waves W --window-ms T
 * load --port P --sources FILE --paths FILE --style guest --connections N --rate R
 *
 * With --rate a request is due R times a second, whatever became of those before it, and counts from
 * when it was due; N is how many may be under way. It goes on until standard input ends.
 *
 * Styles: "close" sends Connection: close and waits until the server closes; "guest" sends no such
 * header and closes by itself after one reply, as curl, wget and cloud-init do; "keep" reuses.
 * A line of the paths file: PATH <tab> check <tab> text. Check "=": the body is the text, "^": it
 * begins with the text, "#": it has that length, "-": any body. "{ip}" stands for the asking address.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REPLY_BYTES_MAX 32768 /* Head and body: the largest body asked for is 16 KiB. */
#define TIMEOUT_NS 10000000000ull
#define SCAN_NS 100000000ull
#define EVENTS_MAX 256
#define TEXT_MAX 256
#define RATE_REQUESTS_MAX 4000000 /* More than an hour of 1,000 a second. */
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum style { STYLE_CLOSE, STYLE_GUEST, STYLE_KEEP };
enum state { IDLE, CONNECTING, READING, DRAINING, DONE };
enum error { REFUSED, RESET, TIMEOUT, STATUS, BODY, ERRORS };
static const char *const error_names[ERRORS] = {"connect", "reset", "timeout", "status", "body"};

struct path {
  char request[512];
  size_t request_bytes;
  char check;
  char text[TEXT_MAX];
};

struct source {
  struct in_addr address;
  char text[INET_ADDRSTRLEN];
};

struct slot {
  int fd;
  int reused; /* The connection has carried a request before this one. */
  enum state state;
  uint32_t source, path, left;
  uint64_t begin_ns, start_ns;
  size_t got;
  char reply[REPLY_BYTES_MAX + 1];
};

static struct source *sources;
static struct path *paths;
static struct slot *slots;
static uint32_t source_count, path_count, slot_count;
static uint32_t *latency_us;
static uint64_t issued, finished, answered, wanted, turn, rate, errors[ERRORS];
static enum style style = STYLE_CLOSE;
static int epoll_fd, storm;
static struct sockaddr_in server;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void read_sources(const char *file) {
  FILE *f = fopen(file, "r");
  char line[64];
  if (!f) die(file);
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\r\n")] = 0;
    sources = realloc(sources, (source_count + 1) * sizeof *sources);
    if (!sources) die("memory");
    if (inet_pton(AF_INET, line, &sources[source_count].address) != 1) die(line);
    snprintf(sources[source_count++].text, INET_ADDRSTRLEN, "%.15s", line);
  }
  fclose(f);
}

static void read_paths(const char *file) {
  FILE *f = fopen(file, "r");
  char line[1024];
  if (!f) die(file);
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\r\n")] = 0;
    char *check = strchr(line, '\t'), *text = check ? strchr(check + 1, '\t') : NULL;
    if (!text) die("a paths line without two tabs");
    *check++ = 0;
    *text++ = 0;
    paths = realloc(paths, (path_count + 1) * sizeof *paths);
    if (!paths) die("memory");
    struct path *p = &paths[path_count++];
    p->check = *check;
    snprintf(p->text, sizeof p->text, "%s", text);
    p->request_bytes = (size_t)snprintf(
        p->request, sizeof p->request,
        "GET %s HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: frontdesk-bench\r\n"
        "Accept: */*\r\n%s\r\n",
        line, style == STYLE_CLOSE ? "Connection: close\r\n" : "");
    if (p->request_bytes >= sizeof p->request) die("a path that is too long");
  }
  fclose(f);
}

/* Writes `text` with the asking address for "{ip}" into `out`; returns its length. */
static size_t expand(const char *text, const char *ip, char *out) {
  const char *mark = strstr(text, "{ip}");
  if (!mark) return (size_t)snprintf(out, TEXT_MAX * 2, "%s", text);
  return (size_t)snprintf(out, TEXT_MAX * 2, "%.*s%s%s", (int)(mark - text), text, ip, mark + 4);
}

static int body_right(const struct slot *s, const char *body, size_t bytes) {
  const struct path *p = &paths[s->path];
  char expected[TEXT_MAX * 2];
  if (p->check == '-') return 1;
  if (p->check == '#') return bytes == (size_t)atol(p->text);
  size_t length = expand(p->text, sources[s->source].text, expected);
  if (p->check == '=' ? bytes != length : bytes < length) return 0;
  return memcmp(body, expected, length) == 0;
}

static void hang_up(struct slot *s) {
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
}

static int count_error(struct slot *s, enum error kind) {
  errors[kind]++;
  finished++;
  hang_up(s);
  return 0;
}

static int start(struct slot *s);

/* Both return 0 when the request has failed already; the caller turns to the next one. */
static int send_request(struct slot *s) {
  const struct path *p = &paths[s->path];
  s->state = READING;
  if (send(s->fd, p->request, p->request_bytes, MSG_NOSIGNAL) == (ssize_t)p->request_bytes) return 1;
  if (!s->reused) return count_error(s, RESET);
  hang_up(s); /* See fail(). */
  return start(s);
}

static int start(struct slot *s) {
  s->got = 0;
  s->reused = s->fd >= 0;
  if (s->reused) return send_request(s);
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr = sources[s->source].address};
  int one = 1;
  s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->fd < 0) die("socket");
  setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  if (bind(s->fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind");
  s->state = CONNECTING;
  if (connect(s->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS)
    return count_error(s, REFUSED);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                              .data.u32 = (uint32_t)(s - slots)};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, &event) < 0) die("epoll_ctl");
  return 1;
}

/* The slot's next request, or its end. A storm's guest asks path after path; others take turns. */
static void next(struct slot *s, uint64_t now) {
  do {
    s->begin_ns = now;
    if (storm ? s->left == 0 : issued >= wanted || (rate && s->state != IDLE)) {
      hang_up(s);
      s->state = DONE;
      return;
    }
    if (storm) {
      s->path = path_count - s->left;
      s->left = s->left - 1;
    } else {
      if (style != STYLE_KEEP || s->fd < 0) s->source = (uint32_t)(turn % source_count);
      /* One further on in each lap, so that every guest asks every path in the end. */
      s->path = (uint32_t)((turn + turn / source_count) % path_count);
      turn++;
    }
    issued++;
  } while (!start(s));
}

/* A server may close a kept connection while a request is on its way: clients ask again. */
static void fail(struct slot *s, enum error kind, uint64_t now) {
  if (kind == RESET && s->reused && s->got == 0) {
    hang_up(s);
    if (start(s)) return;
  } else {
    count_error(s, kind);
  }
  next(s, now);
}

static void complete(struct slot *s, const char *body, size_t bytes, int closed, uint64_t now) {
  latency_us[answered++] = (uint32_t)((now - s->begin_ns) / 1000);
  if (strncmp(s->reply, "HTTP/1.1 200", 12) != 0 && strncmp(s->reply, "HTTP/1.0 200", 12) != 0) {
    errors[STATUS]++;
  } else if (!body_right(s, body, bytes)) {
    errors[BODY]++;
  }
  finished++;
  if (style == STYLE_CLOSE && !closed) {
    s->state = DRAINING;
    return;
  }
  int last = strcasestr(s->reply, "\r\nconnection: close") != NULL;
  if (style != STYLE_KEEP || closed || last) hang_up(s);
  next(s, now);
}

/* Looks whether the reply is whole. Without Content-Length it ends when the server closes. */
static void examine(struct slot *s, int closed, uint64_t now) {
  s->reply[s->got] = 0;
  char *end = strstr(s->reply, "\r\n\r\n");
  if (end) {
    char *body = end + 4;
    size_t bytes = s->got - (size_t)(body - s->reply);
    *end = 0; /* The head alone, for the header look-ups. */
    char *field = strcasestr(s->reply, "\r\ncontent-length:");
    long length = field ? strtol(field + 17, NULL, 10) : -1;
    if (length >= 0 ? bytes >= (size_t)length : closed) {
      complete(s, body, bytes, closed, now);
      return;
    }
    *end = '\r';
  }
  if (closed) fail(s, RESET, now);
}

static void readable(struct slot *s, uint64_t now) {
  int closed = 0;
  for (;;) {
    if (s->got >= REPLY_BYTES_MAX) {
      fail(s, BODY, now);
      return;
    }
    ssize_t n = recv(s->fd, s->reply + s->got, REPLY_BYTES_MAX - s->got, 0);
    if (n > 0) {
      s->got += (size_t)n;
      continue;
    }
    closed = n == 0 || (errno != EAGAIN && errno != EINTR);
    break;
  }
  examine(s, closed, now);
}

/* After the last byte: only the server's close is awaited. */
static void drain(struct slot *s, uint64_t now) {
  char rest[512];
  ssize_t n = recv(s->fd, rest, sizeof rest, 0);
  if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return;
  hang_up(s);
  next(s, now);
}

static void on_event(struct slot *s, uint32_t events, uint64_t now) {
  if (s->fd < 0) return;
  if (s->state == CONNECTING) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
      fail(s, REFUSED, now);
      return;
    }
    if ((events & EPOLLOUT) && !send_request(s)) {
      next(s, now);
      return;
    }
  }
  if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))) return;
  if (s->state == READING) readable(s, now);
  if (s->state == DRAINING) drain(s, now);
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static double percentile(uint64_t count, double part) {
  return count == 0 ? 0 : latency_us[(uint64_t)(part * (double)(count - 1) + 0.5)] / 1000.0;
}

static void report(double seconds) {
  uint64_t total = 0;
  for (int i = 0; i < ERRORS; i++) total += errors[i];
  uint64_t count = answered;
  qsort(latency_us, count, sizeof *latency_us, by_value);
  printf("{\"requests\":%llu,\"errors\":%llu,\"kinds\":{", (unsigned long long)finished,
         (unsigned long long)total);
  for (int i = 0; i < ERRORS; i++)
    printf("%s\"%s\":%llu", i ? "," : "", error_names[i], (unsigned long long)errors[i]);
  printf("},\"seconds\":%.3f,\"ms\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}}\n",
         seconds, percentile(count, 0.5), percentile(count, 0.9), percentile(count, 0.99),
         percentile(count, 1));
}

static void run(uint64_t start) {
  struct epoll_event events[EVENTS_MAX];
  uint64_t scan = start + SCAN_NS;
  uint32_t waiting = 0; /* Slots before this one have begun. */
  while (finished < wanted) {
    uint64_t now = now_ns();
    while (waiting < slot_count && slots[waiting].start_ns <= now) next(&slots[waiting++], now);
    uint64_t wake = scan;
    if (waiting < slot_count && slots[waiting].start_ns < wake) wake = slots[waiting].start_ns;
    int ms = wake <= now ? 0 : (int)((wake - now + 999999) / 1000000);
    int n = epoll_wait(epoll_fd, events, EVENTS_MAX, ms);
    for (int i = 0; i < n; i++)
      on_event(&slots[events[i].data.u32], events[i].events, now_ns());
    now = now_ns();
    if (now < scan) continue;
    scan = now + SCAN_NS;
    for (uint32_t i = 0; i < waiting; i++) {
      struct slot *s = &slots[i];
      if (s->state == DONE || now - s->begin_ns < TIMEOUT_NS) continue;
      if (s->state == DRAINING) { /* The reply was right; that nobody closes is an error too. */
        errors[TIMEOUT]++;
        hang_up(s);
        next(s, now);
      } else {
        fail(s, TIMEOUT, now);
      }
    }
  }
}

static struct slot *free_slot(void) {
  for (uint32_t i = 0; i < slot_count; i++)
    if (slots[i].state == IDLE || slots[i].state == DONE) return &slots[i];
  return NULL;
}

/* Events of the sockets until `wake`. Returns 1 if standard input has ended. */
static int serve_until(uint64_t wake, int ended) {
  struct epoll_event events[EVENTS_MAX];
  struct pollfd fds[2] = {{.fd = epoll_fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  uint64_t now = now_ns(), left = wake > now ? wake - now : 0;
  struct timespec pause = {.tv_sec = (time_t)(left / 1000000000ull),
                           .tv_nsec = (long)(left % 1000000000ull)};
  if (ppoll(fds, ended ? 1 : 2, &pause, NULL) <= 0) return ended;
  int n = epoll_wait(epoll_fd, events, EVENTS_MAX, 0);
  for (int i = 0; i < n; i++) on_event(&slots[events[i].data.u32], events[i].events, now_ns());
  char byte;
  return ended || (fds[1].revents != 0 && read(0, &byte, 1) <= 0);
}

static void fail_late(uint64_t now) {
  for (uint32_t i = 0; i < slot_count; i++) {
    struct slot *s = &slots[i];
    if (s->state != IDLE && s->state != DONE && now - s->begin_ns >= TIMEOUT_NS)
      fail(s, TIMEOUT, now);
  }
}

/* One request after another at its time; at the end those that are under way are awaited. */
static void run_at_rate(uint64_t start) {
  uint64_t scan = start + SCAN_NS, due = start, interval = 1000000000ull / rate;
  int ended = 0;
  while (!ended || finished < issued) {
    uint64_t now = now_ns();
    for (struct slot *s; !ended && due <= now && (s = free_slot()); due += interval) {
      s->state = IDLE;
      next(s, due);
    }
    ended = serve_until(ended || due > scan ? scan : due, ended);
    if ((now = now_ns()) < scan) continue;
    scan = now + SCAN_NS;
    fail_late(now);
  }
}

int main(int argc, char **argv) {
  const char *source_file = NULL, *path_file = NULL;
  uint64_t waves = 1, window_ms = 0;
  server.sin_family = AF_INET;
  server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 1; i + 1 < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    if (!strcmp(name, "--port")) server.sin_port = htons((uint16_t)atoi(value));
    else if (!strcmp(name, "--sources")) source_file = value;
    else if (!strcmp(name, "--paths")) path_file = value;
    else if (!strcmp(name, "--connections")) slot_count = (uint32_t)atoi(value);
    else if (!strcmp(name, "--requests")) wanted = strtoull(value, NULL, 10);
    else if (!strcmp(name, "--rate")) rate = strtoull(value, NULL, 10), wanted = RATE_REQUESTS_MAX;
    else if (!strcmp(name, "--storm")) storm = 1, slot_count = (uint32_t)atoi(value);
    else if (!strcmp(name, "--waves")) waves = strtoull(value, NULL, 10);
    else if (!strcmp(name, "--window-ms")) window_ms = strtoull(value, NULL, 10);
    else if (!strcmp(name, "--style"))
      style = !strcmp(value, "keep") ? STYLE_KEEP : !strcmp(value, "guest") ? STYLE_GUEST : STYLE_CLOSE;
    else die(name);
  }
  if (!source_file || !path_file || slot_count == 0 || waves == 0) die("missing arguments");
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  read_sources(source_file);
  read_paths(path_file);
  if (source_count == 0 || path_count == 0) die("no sources or no paths");
  if (storm) wanted = (uint64_t)slot_count * path_count;
  slots = calloc(slot_count, sizeof *slots);
  latency_us = calloc(wanted + 1, sizeof *latency_us);
  if (!slots || !latency_us) die("memory");
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  uint64_t start = now_ns();
  uint32_t wave_guests = (slot_count + (uint32_t)waves - 1) / (uint32_t)waves;
  for (uint32_t i = 0; i < slot_count; i++) {
    slots[i].fd = -1;
    slots[i].source = i % source_count;
    slots[i].left = path_count;
    slots[i].start_ns = start + (storm ? (i / wave_guests) * (window_ms * 1000000ull / waves) : 0);
  }
  if (rate) run_at_rate(start);
  else run(start);
  report((double)(now_ns() - start) / 1e9);
  return 0;
}
