// A thread that no library made and that answers no signal: what has to reach every thread cannot reach it.

/// C source of a function that starts such a thread.
package enum Hermit {
  /// `int hermit(void)` gives the thread's number. The thread lives as long as its process: for exit tests.
  package static let source = """
    #define _GNU_SOURCE
    #include <sched.h>
    #include <signal.h>
    #include <stdlib.h>
    #include <sys/prctl.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    static int body(void *argument) {
      unsigned long all = -1ul;
      syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, 0, 8);
      syscall(SYS_prctl, PR_SET_NAME, "hermit");
      *(volatile int *)argument = syscall(SYS_gettid);
      for (;;) syscall(SYS_pause);
    }
    int hermit(void) {
      static volatile int task;
      char *stack = aligned_alloc(4096, 65536);
      clone(body, stack + 65536, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD
            | CLONE_SYSVSEM, (void *)&task);
      while (!task) {}
      return task;
    }
    """
}
