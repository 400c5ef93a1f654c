// Has something done in every other thread: by a signal that each answers, or from outside for those
// that block signals. Linux: rt_tgsigqueueinfo(2), /proc/self/task, proc(5).
#define _GNU_SOURCE
#include "threads.h"
#include "CLoaderSupport.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// One visit at a time; the handler reads these.
static pthread_mutex_t visiting = PTHREAD_MUTEX_INITIALIZER;
static struct {
  const hl_visit *visit;
  atomic_char *has_answered;  // by place in the list of those asked
  size_t asked;
  atomic_size_t answers;
  atomic_flag busy;
  atomic_uint round;
} now = {.busy = ATOMIC_FLAG_INIT};

static void take(void) {
  while (atomic_flag_test_and_set(&now.busy)) {}
}

static void answer(int signal, siginfo_t *info, void *machine) {
  (void)signal;
  if (!info || info->si_code != SI_QUEUE) return;
  uint64_t value = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
  unsigned round = (unsigned)(value >> 32);
  size_t place = (uint32_t)value;
  if (round != atomic_load(&now.round)) return;  // a late answer to a round that is over
  int saved = errno;
  take();
  if (round == atomic_load(&now.round) && now.visit && place < now.asked) {
    now.visit->inside(now.visit->context, machine);
    atomic_store(&now.has_answered[place], 1);
    atomic_fetch_add(&now.answers, 1);
  }
  atomic_flag_clear(&now.busy);
  errno = saved;
}

int hl_tasks_add(hl_tasks *tasks, int task) {
  if (tasks->count == tasks->capacity) {
    size_t capacity = tasks->capacity ? tasks->capacity * 2 : 32;
    int *items = realloc(tasks->items, capacity * sizeof *items);
    if (!items) return ENOMEM;
    tasks->items = items;
    tasks->capacity = capacity;
  }
  tasks->items[tasks->count++] = task;
  return 0;
}

int hl_tasks_has(const hl_tasks *tasks, int task) {
  for (size_t i = 0; i < tasks->count; i++)
    if (tasks->items[i] == task) return 1;
  return 0;
}

void hl_tasks_free(hl_tasks *tasks) {
  free(tasks->items);
  *tasks = (hl_tasks){0};
}

int hl_task_exists(int task) {
  return syscall(SYS_tgkill, getpid(), task, 0) == 0 || errno != ESRCH;
}

ssize_t hl_task_file(int task, const char *name, char *buffer, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/%s", task, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t count = read(fd, buffer, size - 1);
  close(fd);
  if (count >= 0) buffer[count] = 0;
  return count;
}

int hl_task_asleep(int task, uintptr_t *pc, uintptr_t *stack) {
  char buffer[512];
  if (hl_task_file(task, "syscall", buffer, sizeof buffer) <= 0) return -1;
  char *end = strrchr(buffer, ' ');
  if (!end) return -1;  // "running"
  *end = 0;
  *pc = strtoull(end + 1, NULL, 16);
  char *start = strrchr(buffer, ' ');
  if (!start) return -1;
  *stack = strtoull(start + 1, NULL, 16);
  return 0;
}

void hl_task_name(int task, char *buffer, size_t size) {
  if (!size) return;
  ssize_t count = hl_task_file(task, "comm", buffer, size);
  if (count < 0) count = 0;
  buffer[count] = 0;
  if (count && buffer[count - 1] == '\n') buffer[count - 1] = 0;
}

int hl_mapping(uintptr_t address, uintptr_t *found_low, uintptr_t *found_high) {
  int fd = (int)syscall(SYS_openat, -100, "/proc/self/maps", 0 /* O_RDONLY */, 0);
  if (fd < 0) return -1;
  char buffer[1024];
  uintptr_t low = 0, value = 0;
  int result = -1;
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
        state = in_rest;
        if (address < low || address >= value) continue;
        *found_low = low;
        *found_high = value;
        result = 0;
        goto done;
      }
    }
  }
done:
  syscall(SYS_close, fd);
  return result;
}

int64_t hl_now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int blocks_signal(int task, int number) {
  char buffer[4096];
  if (hl_task_file(task, "status", buffer, sizeof buffer) <= 0) return 0;
  const char *line = strstr(buffer, "\nSigBlk:");
  return line && (strtoull(line + 8, NULL, 16) >> (number - 1) & 1);
}

static int list_others(const hl_tasks *known, hl_tasks *others) {
  DIR *directory = opendir("/proc/self/task");
  if (!directory) return errno;
  int self = hl_gettid(), error = 0;
  for (struct dirent *entry; !error && (entry = readdir(directory));) {
    int task = atoi(entry->d_name);
    if (task > 0 && task != self && !hl_tasks_has(known, task)) error = hl_tasks_add(others, task);
  }
  closedir(directory);
  return error;
}

static int ask(int task, int number, unsigned round, size_t place) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_signo = number;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = (void *)(uintptr_t)((uint64_t)round << 32 | place);
  return syscall(SYS_rt_tgsigqueueinfo, info.si_pid, task, number, &info) ? errno : 0;
}

static void install(int number) {
  static int is_installed;
  if (is_installed) return;
  // It stays installed: a late signal must not kill the process.
  struct sigaction action = {0};
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  sigaction(number, &action, NULL);
  is_installed = 1;
}

// Spins at first: a thread that runs answers within microseconds.
static void wait_for_answers(size_t expected, int timeout_ms) {
  int64_t start = hl_now_us(), deadline = start + (int64_t)timeout_ms * 1000;
  for (;;) {
    if (atomic_load(&now.answers) >= expected) return;
    int64_t time = hl_now_us();
    if (time >= deadline) return;
    if (time < start + 2000) sched_yield();
    else usleep(100);
  }
}

int hl_visit_threads(const hl_visit *visit, int timeout_ms, hl_tasks *reached, hl_tasks *silent) {
  pthread_mutex_lock(&visiting);
  hl_tasks others = {0};
  int error = list_others(reached, &others);
  atomic_char *has_answered = NULL;
  if (!error && others.count) {
    has_answered = calloc(others.count, 1);
    if (!has_answered) error = ENOMEM;
  }
  if (error || !others.count) {
    pthread_mutex_unlock(&visiting);
    hl_tasks_free(&others);
    return error;
  }
  int number = SIGRTMAX - 3;
  install(number);
  take();
  now.visit = visit;
  now.has_answered = has_answered;
  now.asked = others.count;
  atomic_store(&now.answers, 0);
  unsigned round = atomic_fetch_add(&now.round, 1) + 1;
  atomic_flag_clear(&now.busy);
  size_t expected = 0;
  for (size_t i = 0; i < others.count; i++) {
    int task = others.items[i], code = -1;
    if (blocks_signal(task, number)) {
      take();
      if (!visit->outside(visit->context, task)) atomic_store(&has_answered[i], 1);
      atomic_flag_clear(&now.busy);
    } else if ((code = ask(task, number, round, i)) == 0) {
      expected++;
    } else if (code == ESRCH) {  // it ended
      atomic_store(&has_answered[i], 1);
    }
  }
  wait_for_answers(expected, timeout_ms);
  take();
  atomic_fetch_add(&now.round, 1);
  now.visit = NULL;
  now.asked = 0;
  atomic_flag_clear(&now.busy);
  for (size_t i = 0; i < others.count && !error; i++) {
    int task = others.items[i], is_done = atomic_load(&has_answered[i]) || !hl_task_exists(task);
    error = hl_tasks_add(is_done ? reached : silent, task);
  }
  pthread_mutex_unlock(&visiting);
  free((void *)has_answered);
  hl_tasks_free(&others);
  return error;
}
