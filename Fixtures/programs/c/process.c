// What a process gets and how it ends: arguments, environment, input, exit handlers, every way to stop.
// run: end return 7
// run: end exit 300
// run: end nested
// run: end quick
// run: end _exit
// run: end abort
// run: end assert
// run: end thread
// run: end signal
// run: end "two words" "" -- --strict -x
// input: first line\nsecond line\n
// environment: HOTLINK_PROGRAM=told
// link: -pthread
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static void say(const char *what) { printf("handler %s\n", what); fflush(stdout); }
static void first(void) { say("first"); }
static void second(void) { say("second"); }
static void inside(void) { say("inside"); atexit(first); }
static void quick(void) { say("quick"); }
static void last(int status, void *word) { printf("status %d, %s\n", status, (char *)word); }
__attribute__((destructor)) static void finished(void) { say("destructor"); }

static int deep(int n) {
  if (n == 0) exit(23);
  return deep(n - 1) + 1;
}

static void *leave(void *unused) {
  (void)unused;
  printf("leaving from a thread\n");
  exit(41);
}

int main(int argc, char **argv, char **envp) {
  for (int i = 0; i < argc; i++) printf("%d [%s]\n", i, argv[i]);
  printf("%d %d\n", argv[argc] == NULL, envp == environ);
  printf("%s %s\n", getenv("HOTLINK_PROGRAM"), getenv("NOBODY") ? "some" : "none");
  printf("%s %s\n", program_invocation_name, program_invocation_short_name);
  char line[64];
  while (fgets(line, sizeof line, stdin)) printf("read %s", line);
  printf("%d %d\n", feof(stdin) != 0, getchar());
  errno = EACCES;
  perror("said by perror");
  atexit(first);
  on_exit(last, "on_exit");
  atexit(second);
  atexit(inside);
  at_quick_exit(quick);
  fflush(stdout);
  const char *end = argc > 2 ? argv[2] : "";
  if (!strcmp(end, "return")) return atoi(argv[3]);
  if (!strcmp(end, "exit")) exit(atoi(argv[3]));
  if (!strcmp(end, "nested")) return deep(10);
  if (!strcmp(end, "quick")) quick_exit(5);
  if (!strcmp(end, "_exit")) { printf("lost"); _exit(6); }
  if (!strcmp(end, "abort")) abort();
  if (!strcmp(end, "assert")) assert(argc == 1000);
  if (!strcmp(end, "signal")) raise(SIGTERM);
  if (!strcmp(end, "thread")) {
    pthread_t thread;
    pthread_create(&thread, NULL, leave, NULL);
    pthread_join(thread, NULL);
  }
  return 0;
}
