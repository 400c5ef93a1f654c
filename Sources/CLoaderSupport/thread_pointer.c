// The thread pointer of another thread, which Linux tells nobody. glibc gives the kernel an address
// inside its struct pthread (get_robust_list(2)), and keeps that struct at the top of the stack mapping;
// its fields are found by looking at our own. Every answer is proven: the struct points to itself twice
// (tcbhead_t: tcb, self) and holds the thread's id.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include "threads.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { header = 24, most = 2048, step = 64 };  // bytes looked at; alignment of struct pthread

static pthread_once_t once = PTHREAD_ONCE_INIT;
static size_t id_offset;      // 0: not found
static size_t robust_offset;  // 0: not found

static uintptr_t robust_list(int task) {
  void *head = NULL;
  size_t length;
  return syscall(SYS_get_robust_list, task, &head, &length) ? 0 : (uintptr_t)head;
}

// The list's head stands right after the id and a pointer (glibc 2.4 to 2.41), which tells the id from
// a number that happens to be equal.
static void calibrate(void) {
  uintptr_t own = (uintptr_t)__builtin_thread_pointer();
  uintptr_t robust = robust_list(0);
  if (robust > own && robust - own < most) robust_offset = robust - own;
  int task = hl_gettid();
  size_t end = robust_offset ? robust_offset : most;
  for (size_t at = header; at + sizeof task <= end; at += sizeof task) {
    if (memcmp((const void *)(own + at), &task, sizeof task)) continue;
    id_offset = at;
    if (!robust_offset) return;
  }
}

static int fetch_safely(uintptr_t address, void *bytes, size_t count) {
  struct iovec here = {bytes, count}, there = {(void *)address, count};
  ssize_t done = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
  if (done < 0 && errno != ENOSYS && errno != EPERM) return -1;
  if (done < 0) memcpy(bytes, (const void *)address, count);  // a sandbox forbids the call
  return done < 0 || (size_t)done == count ? 0 : -1;
}

int hl_store_safely(uintptr_t address, const void *bytes, size_t count) {
  if (!count) return 0;
  struct iovec here = {(void *)bytes, count}, there = {(void *)address, count};
  ssize_t done = process_vm_writev(getpid(), &here, 1, &there, 1, 0);
  if (done < 0 && errno != ENOSYS && errno != EPERM) return -1;
  if (done < 0) memcpy((void *)address, bytes, count);
  return done < 0 || (size_t)done == count ? 0 : -1;
}

static int is_thread(uintptr_t pointer, int task) {
  uintptr_t words[header / sizeof(uintptr_t)];
  int id;
  if (!id_offset || fetch_safely(pointer, words, sizeof words)) return 0;
  if (words[0] != pointer || words[2] != pointer) return 0;
  return !fetch_safely(pointer + id_offset, &id, sizeof id) && id == task;
}

uintptr_t hl_thread_pointer(int task) {
  pthread_once(&once, calibrate);
  if (!robust_offset) return 0;
  uintptr_t head = robust_list(task);
  if (head <= robust_offset) return 0;  // it is starting or ending
  uintptr_t pointer = head - robust_offset;
  return is_thread(pointer, task) ? pointer : 0;
}

uintptr_t hl_thread_pointer_by_stack(int task) {
  pthread_once(&once, calibrate);
  uintptr_t pc, stack, low, high;
  if (!id_offset || hl_task_asleep(task, &pc, &stack) || hl_mapping(stack, &low, &high)) return 0;
  // From the top down: a thread's struct is above its frames.
  uintptr_t bytes[4096 / sizeof(uintptr_t)];
  while (high > stack) {
    size_t count = sizeof bytes;
    if (high - low < count) return 0;
    high -= count;
    if (fetch_safely(high, bytes, count)) return 0;
    for (size_t at = count; at >= step;) {
      at -= step;
      const uintptr_t *words = bytes + at / sizeof(uintptr_t);
      if (words[0] == high + at && words[2] == high + at && is_thread(high + at, task))
        return high + at;
    }
  }
  return 0;
}
