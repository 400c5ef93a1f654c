// Control that does not return: longjmp, contexts on stacks of their own, signals on an alternate stack, fork.
// run:
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static jmp_buf back;
static sigjmp_buf out;
static ucontext_t main_context, other_context;
static int steps;

static void thrower(int n) { if (n) thrower(n - 1); else longjmp(back, 42); }
static void coroutine(int from, int to) {
  for (int i = from; i < to; i++) { printf("step %d\n", i); steps++; swapcontext(&other_context, &main_context); }
}
static void caught(int number, siginfo_t *information, void *context) {
  char here;
  (void)context;
  printf("signal %d at %p, on the other stack: %d\n", number, information->si_addr, (char *)&here != NULL);
  siglongjmp(out, number);
}
static double sum(int count, ...) {
  va_list list, copy;
  double result = 0;
  va_start(list, count);
  va_copy(copy, list);
  for (int i = 0; i < count; i++) result += va_arg(list, double);
  for (int i = 0; i < count; i++) result *= va_arg(copy, double) > 2 ? 2 : 1;
  va_end(copy);
  va_end(list);
  return result;
}
struct large { long words[12]; double reals[4]; };
static struct large grow(struct large value, int by) {
  for (int i = 0; i < 12; i++) value.words[i] += by;
  value.reals[3] = by * 0.5;
  return value;
}
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  volatile int seen = 0;
  int code = setjmp(back);
  if (!code) { seen = 1; thrower(20); }
  printf("%d %d\n", code, seen);

  static char stack[65536], signals[65536];
  getcontext(&other_context);
  other_context.uc_stack.ss_sp = stack;
  other_context.uc_stack.ss_size = sizeof stack;
  other_context.uc_link = &main_context;
  makecontext(&other_context, (void (*)(void))coroutine, 2, 3, 6);
  for (int i = 0; i < 4; i++) swapcontext(&main_context, &other_context);
  printf("%d steps\n", steps);

  stack_t alternate = {.ss_sp = signals, .ss_size = sizeof signals};
  sigaltstack(&alternate, NULL);
  struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaction(SIGSEGV, &action, NULL);
  if (!sigsetjmp(out, 1)) { volatile int *nothing = (int *)8; *nothing = 1; }
  puts("after the fault");

  static void *const places[] = {&&start, &&middle, &&end};
  int at = 0;
start: if (at++ < 3) goto *places[at % 2];
middle: if (at++ < 6) goto *places[0];
end: printf("at %d\n", at);

  printf("%.2f\n", sum(9, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.5));
  struct large value = grow((struct large){{1, 2, 3}, {0}}, 5);
  printf("%ld %ld %.1f\n", value.words[0], value.words[11], value.reals[3]);
  int numbers[] = {5, 3, 9, 1};
  qsort(numbers, 4, sizeof(int), compare);
  printf("%d %d\n", numbers[0], numbers[3]);

  fflush(stdout);
  pid_t child = fork();
  if (!child) { printf("child\n"); exit(grow(value, 1).words[1]); }
  int status;
  waitpid(child, &status, 0);
  printf("child ended with %d\n", WEXITSTATUS(status));
  fflush(stdout);
  return WEXITSTATUS(system("exit 9")) + (strlen("abc") == 3);
}
