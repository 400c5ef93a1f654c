#include <memory>
#include <string>
#include <vector>
struct Shape {
  virtual ~Shape();
  virtual double area() const = 0;
  virtual std::string name() const { return "shape"; }
};
struct Named { virtual ~Named() = default; std::string label = "unnamed"; virtual std::string tag() const { return "<" + label + ">"; } };
struct Counted { static inline int alive = 0; Counted() { alive++; } Counted(const Counted &) { alive++; } virtual ~Counted() { alive--; } };
template <typename T> struct Registry {
  static std::vector<T> &all() { static std::vector<T> list; return list; }
  static inline int uses = 0;
};
inline int &shared_counter() { static int counter = 0; return counter; }
template <typename T> T template_static = T(7);
inline const int inline_constant = 5;
std::unique_ptr<Shape> make_shape(int kind);
const std::type_info &type_of_hidden();
bool is_round(const Shape &);
int use_from_other();
void throw_derived(int kind);
struct Failure { virtual ~Failure() = default; int code; explicit Failure(int c) : code(c) {} };
struct SpecialFailure : Failure { explicit SpecialFailure(int c) : Failure(c * 10) {} };
