struct item { const char *name; long value; };
#define ITEM(n, v) __attribute__((section("items"), used)) static struct item item_##n = {#n, v};
extern struct item __start_items[], __stop_items[];
struct entry { const char *name; int (*function)(int); };
extern const struct entry table[];
extern const int table_size;
int (*pick(int))(int);
int three(void), alias_of_three(void), other_same_name(void), hidden_through(void);
void set_common(int);
