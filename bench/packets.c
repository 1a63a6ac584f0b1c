/* Frames through an interface by packet sockets, many a call: the kernel's side of bench/network. Linux only.
 *
 *   packets send IFACE TO LENGTH SEGMENT   as fast as it goes; SEGMENT > 0: TCP to be cut by whoever cannot take it whole
 *   packets take IFACE                     counts what comes
 *   packets echo IFACE                     sends each back
 *   packets ping IFACE TO LENGTH           one at a time; counts round trips, and keeps how long they took
 *
 * A line on its input is answered by one: frames, and for ping the 50th and 99th percentile since the last line in ns.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, ROOM = 1 << 16, TYPE = 0x88b5, SAMPLES = 1 << 20 };

static int fd, segment;
static uint64_t frames;
static uint32_t *samples;
static unsigned taken;
static unsigned char own[6];

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

/* Answers, if somebody asks. */
static void report(void) {
  struct pollfd in = {.fd = 0, .events = POLLIN};
  if (poll(&in, 1, 0) <= 0) return;
  char line[64];
  if (read(0, line, sizeof line) <= 0) exit(0);
  unsigned n = taken < SAMPLES ? taken : SAMPLES;
  if (n) qsort(samples, n, 4, byvalue);
  printf("%lu %u %u\n", frames, n ? samples[n / 2] : 0, n ? samples[(uint64_t)n * 99 / 100] : 0);
  fflush(stdout);
  taken = 0;
}

static void open_at(const char *name, int type, int vnet) {
  fd = socket(AF_PACKET, SOCK_RAW, htons(type));
  if (fd < 0) fail("packet socket");
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(type), .sll_ifindex = if_nametoindex(name)};
  int one = 1, big = 8 << 20;
  if (vnet && setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one)) fail("offloads");
  setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
  setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
  if (bind(fd, (struct sockaddr *)&at, sizeof at)) fail(name);
  struct ifreq request = {0};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(fd, SIOCGIFHWADDR, &request)) fail(name);
  memcpy(own, request.ifr_hwaddr.sa_data, 6);
}

/* A frame to somebody; with a segment size it is TCP over IPv4 whose checksum is still to be made. */
static void build(unsigned char *frame, const char *to, int length) {
  memset(frame, 0, length);
  if (sscanf(to, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", frame, frame + 1, frame + 2, frame + 3, frame + 4, frame + 5) != 6) {
    fprintf(stderr, "no address: %s\n", to);
    exit(2);
  }
  memcpy(frame + 6, own, 6);
  *(uint16_t *)(frame + 12) = htons(segment ? ETHERTYPE_IP : TYPE);
  if (segment) {
    frame[14] = 0x45;
    *(uint16_t *)(frame + 16) = htons(length - 14);
    frame[22] = 64;
    frame[23] = 6;
    memcpy(frame + 26, "\12\11\0\1\12\11\0\2", 8);
    uint32_t sum = 0;
    for (int i = 14; i < 34; i += 2) sum += frame[i] << 8 | frame[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    *(uint16_t *)(frame + 24) = htons(~(sum + (sum >> 16)));
    frame[46] = 0x50;
    frame[47] = 0x10;
  }
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  const char *what = argv[1];
  samples = malloc(SAMPLES * 4);
  unsigned char *memory = mmap(0, BATCH * 2 * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct mmsghdr messages[BATCH] = {0};
  struct iovec pieces[BATCH][2];
  struct virtio_net_hdr headers[BATCH] = {0};
  for (int i = 0; i < BATCH; i++) {
    pieces[i][0] = (struct iovec){&headers[i], sizeof headers[i]};
    pieces[i][1] = (struct iovec){memory + i * 2 * ROOM, 2 * ROOM};
    messages[i].msg_hdr.msg_iov = pieces[i];
    messages[i].msg_hdr.msg_iovlen = 2;
  }
  if (!strcmp(what, "send") && argc == 6) {
    int length = atoi(argv[4]);
    segment = atoi(argv[5]);
    open_at(argv[2], 0, 1);
    for (int i = 0; i < BATCH; i++) {
      build(memory + i * 2 * ROOM, argv[3], length);
      pieces[i][1].iov_len = length;
      if (segment)
        headers[i] = (struct virtio_net_hdr){VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, 54, segment, 34, 16};
    }
    for (;; report()) {
      int sent = sendmmsg(fd, messages, BATCH, 0);
      if (sent > 0) frames += sent;
    }
  }
  if (!strcmp(what, "take")) {
    open_at(argv[2], ETH_P_ALL, 1);
    for (;; report()) {
      struct timespec wait = {0, 50000000};
      int got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE | MSG_DONTWAIT, 0);
      if (got > 0) {
        frames += got;
      } else {
        struct pollfd both[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        ppoll(both, 2, &wait, 0);
      }
    }
  }
  if (!strcmp(what, "echo")) {
    open_at(argv[2], TYPE, 0);
    for (;; report()) {
      struct pollfd both[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
      poll(both, 2, -1);
      int got = recv(fd, memory, ROOM, MSG_DONTWAIT);
      if (got < 14) continue;
      memcpy(memory, memory + 6, 6);
      memcpy(memory + 6, own, 6);
      if (send(fd, memory, got, 0) > 0) frames++;
    }
  }
  if (!strcmp(what, "ping") && argc == 5) {
    int length = atoi(argv[4]);
    open_at(argv[2], TYPE, 0);
    build(memory, argv[3], length);
    for (;; report()) {
      uint64_t began = now();
      if (send(fd, memory, length, 0) < 0) continue;
      struct pollfd in = {.fd = fd, .events = POLLIN};
      if (poll(&in, 1, 1000) <= 0) continue;
      recv(fd, memory + ROOM, ROOM, MSG_DONTWAIT);
      samples[taken++ % SAMPLES] = now() - began;
      frames++;
    }
  }
  return 2;
}
