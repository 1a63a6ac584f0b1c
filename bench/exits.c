/* Port exits of /dev/kvm, there and back, by as little as it takes: one processor in real mode that writes to a port in a loop.
 *
 *   exits SECONDS      prints nanoseconds of wall time for each exit
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int need(int result, const char *what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
  return result;
}

int main(int count, char **words) {
  double seconds = count > 1 ? atof(words[1]) : 2;
  int kvm = need(open("/dev/kvm", O_RDWR), "/dev/kvm");
  int machine = need(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
  unsigned char *memory = mmap(0, 0x1000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  memcpy(memory, "\xe6\x70\xeb\xfc", 4); /* out 0x70, al; jmp back */
  struct kvm_userspace_memory_region slot = {.guest_phys_addr = 0x1000, .memory_size = 0x1000, .userspace_addr = (unsigned long)memory};
  need(ioctl(machine, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
  int processor = need(ioctl(machine, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
  int size = need(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
  struct kvm_run *run = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, processor, 0);
  struct kvm_sregs special;
  need(ioctl(processor, KVM_GET_SREGS, &special), "KVM_GET_SREGS");
  special.cs.base = 0;
  special.cs.selector = 0;
  need(ioctl(processor, KVM_SET_SREGS, &special), "KVM_SET_SREGS");
  struct kvm_regs registers = {.rip = 0x1000, .rflags = 2};
  need(ioctl(processor, KVM_SET_REGS, &registers), "KVM_SET_REGS");
  long exits = 0;
  double began = now(), ended;
  do {
    for (int i = 0; i < 1000; i++, exits++) {
      need(ioctl(processor, KVM_RUN, 0), "KVM_RUN");
      if (run->exit_reason != KVM_EXIT_IO) {
        fprintf(stderr, "exits: exit %u is not of a port\n", run->exit_reason);
        return 1;
      }
    }
    ended = now();
  } while (ended - began < seconds);
  printf("%.0f\n", (ended - began) * 1e9 / exits);
}
