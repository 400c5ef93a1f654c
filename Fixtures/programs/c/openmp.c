// OpenMP: regions outlined by the compiler and run by libgomp's threads.
// run:
// flags: -fopenmp
// clang: none
// libraries: -lgomp
#include <omp.h>
#include <stdio.h>

static int private_counter;
#pragma omp threadprivate(private_counter)

int main(void) {
  long sum = 0;
  int most = 0, values[1000];
  omp_set_num_threads(4);
#pragma omp parallel for reduction(+ : sum) reduction(max : most)
  for (int i = 0; i < 1000; i++) {
    values[i] = i * 3 % 101;
    sum += values[i];
    if (values[i] > most) most = values[i];
    private_counter++;
  }
  int ordered[4] = {0};
#pragma omp parallel num_threads(4)
  {
#pragma omp critical
    ordered[omp_get_thread_num()]++;
#pragma omp barrier
#pragma omp single
    printf("%d threads\n", omp_get_num_threads());
  }
  printf("%ld %d %d\n", sum, most, ordered[0] + ordered[1] + ordered[2] + ordered[3]);
  return private_counter == 250;
}
