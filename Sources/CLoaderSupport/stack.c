// Looks for code addresses on thread stacks: conservative, every aligned word counts.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include "threads.h"
#include <pthread.h>

// Where the first thread's stack began (glibc, from ld.so): above lie argv, the environment and the auxiliary vector.
extern void *__libc_stack_end __attribute__((weak));

static __thread const uintptr_t *stack_top __attribute__((tls_model("initial-exec")));

static const uintptr_t *find_stack_top(void) {
  if (stack_top) return stack_top;
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes)) return NULL;
  void *low;
  size_t size;
  if (!pthread_attr_getstack(&attributes, &low, &size)) {
    char *top = (char *)low + size, *first = &__libc_stack_end ? __libc_stack_end : NULL;
    if (first > (char *)low && first < top) top = first;
    stack_top = (const uintptr_t *)((uintptr_t)top & ~(uintptr_t)7);
  }
  pthread_attr_destroy(&attributes);
  return stack_top;
}

// Where the frames of the calling thread begin that may lead into linked code; NULL: at the top.
static __thread const uintptr_t *scan_start __attribute__((tls_model("initial-exec")));

__attribute__((noinline)) void hl_scan_from_caller(void) {
  scan_start = (const uintptr_t *)__builtin_frame_address(0) + 2;
}

void hl_scan_from_top(void) { scan_start = NULL; }

__attribute__((noinline)) int hl_scan_stack(void (*visit)(void *, const uintptr_t *,
                                                          const uintptr_t *),
                                            void *context) {
  const uintptr_t *top = find_stack_top();
  if (!top) return -1;
  if (scan_start) {
    if (scan_start > top) return -1;
    visit(context, scan_start, top);
    return 0;
  }
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

static volatile int subject;  // one thread is looked at at a time
int hl_scan_subject(void) { return subject ? subject : hl_gettid(); }

struct scan {
  void (*visit)(void *, const uintptr_t *, const uintptr_t *);
  void *context;
  uintptr_t stubs_low, stubs_high;
  int unknown;  // threads that were reached and told nothing
};

static int is_in_stub(const struct scan *scan, uintptr_t pc) {
  return pc >= scan->stubs_low && pc < scan->stubs_high;
}

// From the red zone, which is in use, to the end of the mapping.
static int visit_stack(const struct scan *scan, uintptr_t pointer) {
  uintptr_t low, high;
  if (hl_mapping(pointer, &low, &high)) return -1;
  scan->visit(scan->context, (const uintptr_t *)((pointer - 128) & ~(uintptr_t)7),
              (const uintptr_t *)high);
  return 0;
}

static void scan_inside(void *context, const ucontext_t *machine) {
  struct scan *scan = context;
  const greg_t *registers = machine->uc_mcontext.gregs;
  subject = hl_gettid();
  if (is_in_stub(scan, (uintptr_t)registers[REG_RIP]) ||
      visit_stack(scan, (uintptr_t)registers[REG_RSP])) {
    scan->unknown++;
    return;
  }
  scan->visit(scan->context, (const uintptr_t *)registers, (const uintptr_t *)registers + NGREG);
}

// A thread that blocks every signal (libdispatch's workers do) and sleeps in a system call: its stack
// pointer is known and its frames stay as they are until it wakes. What it calls then goes through
// stubs. Returns 0 when it was scanned.
static int scan_from_outside(void *context, int task) {
  struct scan *scan = context;
  uintptr_t pc, pointer;
  if (hl_task_asleep(task, &pc, &pointer) || is_in_stub(scan, pc)) return -1;
  subject = task;
  scan->visit(scan->context, &pc, &pc + 1);
  return visit_stack(scan, pointer);
}

int hl_scan_threads(void (*visit)(void *, const uintptr_t *, const uintptr_t *), void *context,
                    const int *skip, size_t skip_count, uintptr_t stubs_low, uintptr_t stubs_high,
                    int timeout_ms) {
  struct scan scan = {visit, context, stubs_low, stubs_high, 0};
  hl_visit way = {scan_inside, scan_from_outside, &scan};
  hl_tasks reached = {0}, silent = {0};
  int error = 0;
  for (size_t i = 0; i < skip_count && !error; i++) error = hl_tasks_add(&reached, skip[i]);
  if (!error) error = hl_visit_threads(&way, timeout_ms, &reached, &silent);
  subject = 0;
  int result = error ? -1 : (int)silent.count + scan.unknown;
  hl_tasks_free(&reached);
  hl_tasks_free(&silent);
  return result;
}
