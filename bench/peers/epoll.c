/*
 * The limit: a responder that does nothing but read a request and write a fixed reply.
 *
 * One thread, epoll, no identity, no parsing beyond the end of the head, "Connection: close" and
 * the path /16k. What a real server needs on top of this is its own work; what this needs is the
 * kernel's and cannot be saved.
 *
 * epoll PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SMALL_BYTES 36 /* As long as an instance-id. */
#define LARGE_BYTES 16384
#define CONNECTIONS_MAX 20000
#define EVENTS_MAX 256
#define HEAD_BYTES_MAX 2048

struct reply {
  char bytes[LARGE_BYTES + 256];
  size_t length;
};

static struct reply small_reply, large_reply;
static struct {
  char head[HEAD_BYTES_MAX + 1];
  size_t got;
} connections[CONNECTIONS_MAX];

static void prepare(struct reply *r, size_t body) {
  int head = snprintf(r->bytes, sizeof r->bytes,
                      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                      body);
  memset(r->bytes + head, 'x', body);
  r->length = (size_t)head + body;
}

static void on_readable(int fd) {
  char *head = connections[fd].head;
  size_t got = connections[fd].got;
  ssize_t n = recv(fd, head + got, HEAD_BYTES_MAX - got, 0);
  if (n <= 0) {
    close(fd);
    return;
  }
  got += (size_t)n;
  head[got] = 0;
  connections[fd].got = got;
  if (got < 4 || memcmp(head + got - 4, "\r\n\r\n", 4) != 0) {
    if (got == HEAD_BYTES_MAX) close(fd);
    return;
  }
  connections[fd].got = 0;
  const struct reply *r = strncmp(head, "GET /16k ", 9) == 0 ? &large_reply : &small_reply;
  int last = strcasestr(head, "\r\nconnection: close") != NULL;
  /* A loopback socket's buffer takes 16 KiB at once; anything less is a peer that is gone. */
  if (send(fd, r->bytes, r->length, MSG_NOSIGNAL) != (ssize_t)r->length || last) close(fd);
}

int main(int argc, char **argv) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct epoll_event events[EVENTS_MAX], interest = {.events = EPOLLIN};
  struct rlimit files = {.rlim_cur = CONNECTIONS_MAX, .rlim_max = CONNECTIONS_MAX};
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (argc != 2) return 2;
  setrlimit(RLIMIT_NOFILE, &files);
  at.sin_port = htons((unsigned short)atoi(argv[1]));
  prepare(&small_reply, SMALL_BYTES);
  prepare(&large_reply, LARGE_BYTES);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 4096) < 0) {
    perror("epoll");
    return 1;
  }
  interest.data.fd = listener;
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &interest);
  for (;;) {
    int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd != listener) {
        on_readable(fd);
        continue;
      }
      for (int c; (c = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        if (c >= CONNECTIONS_MAX) {
          close(c);
          continue;
        }
        connections[c].got = 0;
        interest.data.fd = c;
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c, &interest);
      }
    }
  }
}
