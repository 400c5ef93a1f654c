// Looks for code addresses on thread stacks: conservative, every aligned word counts.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static __thread const uintptr_t *stack_top __attribute__((tls_model("initial-exec")));

static const uintptr_t *find_stack_top(void) {
  if (stack_top) return stack_top;
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes)) return NULL;
  void *low;
  size_t size;
  if (!pthread_attr_getstack(&attributes, &low, &size))
    stack_top = (const uintptr_t *)((char *)low + size);
  pthread_attr_destroy(&attributes);
  return stack_top;
}

__attribute__((noinline)) int hl_scan_stack(void (*visit)(void *, const uintptr_t *,
                                                          const uintptr_t *),
                                            void *context) {
  const uintptr_t *top = find_stack_top();
  if (!top) return -1;
  uintptr_t registers[6];
  __asm__ volatile("movq %%rbx, 0(%0)\n\tmovq %%rbp, 8(%0)\n\tmovq %%r12, 16(%0)\n\t"
                   "movq %%r13, 24(%0)\n\tmovq %%r14, 32(%0)\n\tmovq %%r15, 40(%0)"
                   :
                   : "r"(registers)
                   : "memory");
  visit(context, registers, registers + 6);
  const uintptr_t *here = __builtin_frame_address(0);
  if (here > top) return -1;  // a fibre's stack: its bounds are not the thread's
  visit(context, here, top);
  return 0;
}

// One scan at a time; the handler reads these.
static pthread_mutex_t scanning = PTHREAD_MUTEX_INITIALIZER;
static struct {
  void (*visit)(void *, const uintptr_t *, const uintptr_t *);
  void *context;
  uintptr_t stubs_low, stubs_high;
  atomic_int answered;
  atomic_int unknown;
  atomic_flag visiting;
  atomic_uint round;
} scan = {.visiting = ATOMIC_FLAG_INIT};

// Where the mapping that holds `address` ends. Async-signal-safe: read(2) on /proc/self/maps.
static uintptr_t mapping_end(uintptr_t address) {
  int fd = (int)syscall(SYS_openat, -100, "/proc/self/maps", 0 /* O_RDONLY */, 0);
  if (fd < 0) return 0;
  char buffer[1024];
  uintptr_t low = 0, high = 0, value = 0, result = 0;
  enum { in_low, in_high, in_rest } state = in_low;
  for (;;) {
    ssize_t count = syscall(SYS_read, fd, buffer, sizeof buffer);
    if (count <= 0) break;
    for (ssize_t i = 0; i < count; i++) {
      char c = buffer[i];
      if (state == in_rest) {
        if (c == '\n') { state = in_low; value = 0; }
        continue;
      }
      if (c >= '0' && c <= '9') value = value << 4 | (uintptr_t)(c - '0');
      else if (c >= 'a' && c <= 'f') value = value << 4 | (uintptr_t)(c - 'a' + 10);
      else if (state == in_low) { low = value; value = 0; state = in_high; }
      else {
        high = value;
        state = in_rest;
        if (address >= low && address < high) { result = high; goto done; }
      }
    }
  }
done:
  syscall(SYS_close, fd);
  return result;
}

static void answer(int signal, siginfo_t *info, void *machine) {
  (void)signal;
  if (!info || info->si_code != SI_QUEUE ||
      (unsigned)info->si_value.sival_int != atomic_load(&scan.round))
    return;  // a late answer to a round that is over
  int saved = errno;
  ucontext_t *context = machine;
  const greg_t *registers = context->uc_mcontext.gregs;
  uintptr_t pointer = (uintptr_t)registers[REG_RSP];
  uintptr_t top = mapping_end(pointer);
  while (atomic_flag_test_and_set(&scan.visiting)) {}
  if ((unsigned)info->si_value.sival_int != atomic_load(&scan.round) || !scan.visit) {
    // The round ended while we waited.
  } else if (!top || ((uintptr_t)registers[REG_RIP] >= scan.stubs_low &&
                      (uintptr_t)registers[REG_RIP] < scan.stubs_high)) {
    atomic_fetch_add(&scan.unknown, 1);
  } else {
    scan.visit(scan.context, (const uintptr_t *)registers,
               (const uintptr_t *)registers + NGREG);
    uintptr_t low = (pointer - 128) & ~(uintptr_t)7;  // the red zone is in use
    scan.visit(scan.context, (const uintptr_t *)low, (const uintptr_t *)top);
  }
  atomic_flag_clear(&scan.visiting);
  atomic_fetch_add(&scan.answered, 1);
  errno = saved;
}

// Reads a small file of /proc/self/task/TID.
static ssize_t read_task_file(int task, const char *name, char *buffer, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/%s", task, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t count = read(fd, buffer, size - 1);
  close(fd);
  if (count >= 0) buffer[count] = 0;
  return count;
}

static int blocks_signal(int task, int number) {
  char buffer[4096];
  if (read_task_file(task, "status", buffer, sizeof buffer) <= 0) return 0;
  const char *line = strstr(buffer, "\nSigBlk:");
  return line && (strtoull(line + 8, NULL, 16) >> (number - 1) & 1);
}

// A thread that blocks every signal (libdispatch's workers do) and sleeps in a system call: its stack
// pointer is known and its frames stay as they are until it wakes. What it calls then goes through
// stubs. Returns 0 when it was scanned.
static int scan_from_outside(int task) {
  char buffer[512];
  if (read_task_file(task, "syscall", buffer, sizeof buffer) <= 0) return -1;
  char *end = strrchr(buffer, ' ');
  if (!end) return -1;  // "running"
  *end = 0;
  uintptr_t pc = strtoull(end + 1, NULL, 16);
  char *start = strrchr(buffer, ' ');
  if (!start) return -1;
  uintptr_t pointer = strtoull(start + 1, NULL, 16);
  uintptr_t top = mapping_end(pointer);
  if (!top || (pc >= scan.stubs_low && pc < scan.stubs_high)) return -1;
  scan.visit(scan.context, &pc, &pc + 1);
  scan.visit(scan.context, (const uintptr_t *)((pointer - 128) & ~(uintptr_t)7),
             (const uintptr_t *)top);
  return 0;
}

static int64_t now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int hl_scan_threads(void (*visit)(void *, const uintptr_t *, const uintptr_t *), void *context,
                    const int *skip, size_t skip_count, uintptr_t stubs_low, uintptr_t stubs_high,
                    int timeout_ms) {
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return -1;
  pthread_mutex_lock(&scanning);
  int number = SIGRTMAX - 3;
  static int installed;
  if (!installed) {
    // It stays installed: a late signal must not kill the process.
    struct sigaction action = {0};
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    sigaction(number, &action, NULL);
    installed = 1;
  }
  scan.visit = visit;
  scan.context = context;
  scan.stubs_low = stubs_low;
  scan.stubs_high = stubs_high;
  atomic_store(&scan.answered, 0);
  atomic_store(&scan.unknown, 0);
  unsigned round = atomic_fetch_add(&scan.round, 1) + 1;
  pid_t process = getpid();
  int self = hl_gettid(), asked = 0;
  for (struct dirent *entry; (entry = readdir(tasks));) {
    int task = atoi(entry->d_name);
    if (task <= 0 || task == self) continue;
    int skipped = 0;
    for (size_t i = 0; i < skip_count; i++) skipped |= skip[i] == task;
    if (skipped) continue;
    if (blocks_signal(task, number)) {
      while (atomic_flag_test_and_set(&scan.visiting)) {}
      int result = scan_from_outside(task);
      atomic_flag_clear(&scan.visiting);
      if (result) atomic_fetch_add(&scan.unknown, 1);
      continue;
    }
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = number;
    info.si_code = SI_QUEUE;
    info.si_pid = process;
    info.si_uid = getuid();
    info.si_value.sival_int = (int)round;
    if (syscall(SYS_rt_tgsigqueueinfo, process, task, number, &info) == 0) asked++;
    else if (errno != ESRCH) atomic_fetch_add(&scan.unknown, 1);
  }
  closedir(tasks);
  int64_t deadline = now_us() + (int64_t)timeout_ms * 1000;
  while (atomic_load(&scan.answered) < asked && now_us() < deadline) sched_yield();
  int silent = asked - atomic_load(&scan.answered) + atomic_load(&scan.unknown);
  atomic_fetch_add(&scan.round, 1);
  while (atomic_flag_test_and_set(&scan.visiting)) {}
  scan.visit = NULL;
  atomic_flag_clear(&scan.visiting);
  pthread_mutex_unlock(&scanning);
  return silent;
}
