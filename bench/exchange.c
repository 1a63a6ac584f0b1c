/* One byte over TCP and back, again and again: what a connection's round trip takes. Linux only.
 *
 *   exchange serve ADDRESS PORT
 *   exchange ask ADDRESS PORT SECONDS     prints the 50th and 99th percentile in microseconds
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 1 << 20 };

static uint32_t samples[SAMPLES];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int byvalue(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  if (count < 4) return 2;
  int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  char byte = 0;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[3]))};
  inet_pton(AF_INET, arguments[2], &at.sin_addr);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (!strcmp(arguments[1], "serve")) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&at, sizeof at) < 0 || listen(fd, 4) < 0) fail("listen");
    for (;;) {
      int peer = accept(fd, NULL, NULL);
      setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      while (read(peer, &byte, 1) == 1 && write(peer, &byte, 1) == 1) {}
      close(peer);
    }
  }
  if (connect(fd, (void *)&at, sizeof at) < 0) fail("connect");
  uint64_t until = now() + atoi(arguments[4]) * 1000000000ull;
  unsigned taken = 0;
  while (now() < until) {
    uint64_t began = now();
    if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) fail("exchange");
    samples[taken++ % SAMPLES] = now() - began;
  }
  unsigned n = taken < SAMPLES ? taken : SAMPLES;
  qsort(samples, n, sizeof *samples, byvalue);
  printf("%.1f %.1f\n", samples[n / 2] / 1e3, samples[(uint64_t)n * 99 / 100] / 1e3);
}
