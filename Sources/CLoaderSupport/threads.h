// Reaching the other threads of the process: between the files of this target.
#ifndef CLOADERSUPPORT_THREADS_H
#define CLOADERSUPPORT_THREADS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <ucontext.h>

// Thread ids; grows as needed.
typedef struct {
  int *items;
  size_t count, capacity;
} hl_tasks;
int hl_tasks_add(hl_tasks *tasks, int task);  // 0 or ENOMEM
int hl_tasks_has(const hl_tasks *tasks, int task);
void hl_tasks_free(hl_tasks *tasks);

// What is done with each thread; one at a time.
typedef struct {
  // In the thread itself, in a signal handler: async-signal-safe code only.
  void (*inside)(void *context, const ucontext_t *machine);
  // On the calling thread, for one that blocks the signal. Returns 0 when it is done.
  int (*outside)(void *context, int task);
  void *context;
} hl_visit;

// Visits the threads that are not in `reached` and adds them to it; those that did not answer in time
// or could not be visited from outside go to `silent`. Returns 0, or errno when threads cannot be
// listed. System calls they sleep in are restarted where the kernel can (SA_RESTART).
int hl_visit_threads(const hl_visit *visit, int timeout_ms, hl_tasks *reached, hl_tasks *silent);

int hl_task_exists(int task);
// Reads a small file of /proc/self/task/TASK and ends it with NUL. Returns its length or -1.
ssize_t hl_task_file(int task, const char *name, char *buffer, size_t size);
// Where a thread that sleeps in a system call stands. Returns 0, or -1 while it runs.
int hl_task_asleep(int task, uintptr_t *pc, uintptr_t *stack);
// The mapping that holds an address; async-signal-safe. Returns 0, or -1 when there is none.
int hl_mapping(uintptr_t address, uintptr_t *low, uintptr_t *high);
// Writes memory that may be unmapped by others meanwhile. Returns 0, or -1 when it is gone.
int hl_store_safely(uintptr_t address, const void *bytes, size_t count);
int64_t hl_now_us(void);  // CLOCK_MONOTONIC

#endif
