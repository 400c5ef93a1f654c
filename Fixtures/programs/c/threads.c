// Threads: variables of their own by every model, keys with destructors, once, conditions; main may leave first.
// run:
// run: leave
// run: cancel
// link: -pthread
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local int counter = 5;
static _Thread_local char text[100] = "initial";
static _Thread_local long zeroed[32];
_Thread_local int visible = 9;
__attribute__((tls_model("initial-exec"))) static _Thread_local int initial = 11;
__attribute__((tls_model("global-dynamic"))) _Thread_local int dynamic = 13;

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int next, order[8], ended;

static void make(void) { printf("once\n"); }
static void dropped(void *word) {
  __atomic_fetch_add(&ended, 1, __ATOMIC_SEQ_CST);
  free(word);
}

static void *work(void *argument) {
  int number = (int)(long)argument;
  pthread_once(&once, make);
  pthread_setspecific(key, malloc(8));
  for (int i = 0; i < 1000 * (number + 1); i++) { counter++; zeroed[i % 32]++; initial++; dynamic++; visible++; }
  sprintf(text + strlen(text), " %d", number);
  pthread_mutex_lock(&lock);
  while (next != number) pthread_cond_wait(&turn, &lock);
  printf("%d: %d %s %ld %d %d %d\n", number, counter, text, zeroed[31], initial, dynamic, visible);
  order[next++] = number;
  pthread_cond_broadcast(&turn);
  pthread_mutex_unlock(&lock);
  return (void *)(long)counter;
}

static void tidy(void *word) { printf("cleaned %s\n", (char *)word); }
static void *forever(void *argument) {
  pthread_cleanup_push(tidy, argument);
  pthread_mutex_lock(&lock);
  next = 100;
  pthread_cond_broadcast(&turn);
  pthread_mutex_unlock(&lock);
  for (;;) pthread_testcancel();
  pthread_cleanup_pop(0);
}
static void *later(void *argument) {
  pthread_join(*(pthread_t *)argument, NULL);
  printf("main has gone\n");
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[6];
  const char *mode = argc > 1 ? argv[1] : "";
  pthread_key_create(&key, dropped);
  if (!strcmp(mode, "leave")) {
    static pthread_t self;
    self = pthread_self();
    pthread_create(&threads[0], NULL, later, &self);
    pthread_exit(NULL);
  }
  if (!strcmp(mode, "cancel")) {
    void *value;
    pthread_create(&threads[0], NULL, forever, "a cancelled thread");
    pthread_mutex_lock(&lock);
    while (next != 100) pthread_cond_wait(&turn, &lock);
    pthread_mutex_unlock(&lock);
    pthread_cancel(threads[0]);
    pthread_join(threads[0], &value);
    return value == PTHREAD_CANCELED ? 3 : 4;
  }
  long sum = 0;
  for (long i = 0; i < 6; i++) pthread_create(&threads[i], NULL, work, (void *)i);
  for (int i = 0; i < 6; i++) {
    void *value;
    pthread_join(threads[i], &value);
    sum += (long)value;
  }
  printf("%ld %d %d %d %d\n", sum, ended, counter, initial, dynamic);
  return next;
}
