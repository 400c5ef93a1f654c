// SQLite from its archive: a database in memory, statements, transactions, functions of our own, full text, errors.
// run:
// archives: libsqlite3.a
// libraries: -lm
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int row(void *context, int count, char **values, char **names) {
  (*(int *)context)++;
  for (int i = 0; i < count; i++) printf("%s%s=%s", i ? " " : "", names[i], values[i] ? values[i] : "NULL");
  puts("");
  return 0;
}
static void twice(sqlite3_context *context, int count, sqlite3_value **values) {
  sqlite3_result_double(context, count * 2.0 * sqlite3_value_double(values[0]));
}
static void longest_step(sqlite3_context *context, int count, sqlite3_value **values) {
  int *longest = sqlite3_aggregate_context(context, sizeof *longest), size = sqlite3_value_bytes(values[0]);
  if (count == 1 && size > *longest) *longest = size;
}
static void longest_final(sqlite3_context *context) {
  sqlite3_result_int(context, *(int *)sqlite3_aggregate_context(context, sizeof(int)));
}
int main(void) {
  sqlite3 *db;
  sqlite3_stmt *insert;
  int rows = 0;
  char *message = NULL;
  if (sqlite3_open(":memory:", &db)) return 1;
  sqlite3_create_function(db, "twice", 1, SQLITE_UTF8, NULL, twice, NULL, NULL);
  sqlite3_create_function(db, "longest", 1, SQLITE_UTF8, NULL, NULL, longest_step, longest_final);
  sqlite3_exec(db, "create table t(id integer primary key, name text unique, value real); create index i on t(value); begin", NULL, NULL, NULL);
  sqlite3_prepare_v2(db, "insert into t(name, value) values(?, ?)", -1, &insert, NULL);
  for (int i = 0; i < 5000; i++) {
    char name[32];
    snprintf(name, sizeof name, "name %d", i * 7919 % 5000);
    sqlite3_bind_text(insert, 1, name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_double(insert, 2, i / 8.0);
    if (sqlite3_step(insert) != SQLITE_DONE) return 2;
    sqlite3_reset(insert);
  }
  sqlite3_finalize(insert);
  sqlite3_exec(db, "commit", NULL, NULL, NULL);
  sqlite3_exec(db, "select count(*) n, sum(value) s, longest(name) l, twice(max(value)) m from t", row, &rows, NULL);
  sqlite3_exec(db, "with recursive f(a, b) as (values(0, 1) union all select b, a + b from f limit 30) select max(a) fib from f", row, &rows, NULL);
  sqlite3_exec(db, "select name, value, row_number() over (order by value desc) r from t where value between 10 and 10.5 order by name", row, &rows, NULL);
  sqlite3_exec(db, "select json_extract('{\"a\": [1, {\"b\": 2}]}', '$.a[1].b') j, printf('%08.3f', 3.14159) p, round(sqrt(2.0), 6) q, date(86400, 'unixepoch') d", row, &rows, NULL);
  sqlite3_exec(db, "create virtual table x using fts5(body); insert into x values('the quick brown fox'), ('a lazy dog'); select body from x where x match 'qui*'", row, &rows, &message);
  if (sqlite3_exec(db, "insert into t(name) values('name 3')", row, &rows, &message)) printf("%s %d\n", message, sqlite3_extended_errcode(db));
  sqlite3_free(message);
  if (sqlite3_exec(db, "select nonsense from t", row, &rows, &message)) puts(message);
  sqlite3_free(message);
  printf("%d %s\n", sqlite3_close(db), SQLITE_VERSION);
  return rows;
}
