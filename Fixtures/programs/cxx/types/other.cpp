#include <typeinfo>
#include "shapes.h"

Shape::~Shape() = default;
struct Circle : Shape, virtual Counted {
  double radius;
  explicit Circle(double r) : radius(r) {}
  double area() const override { return radius * radius * 3; }
  std::string name() const override { return "circle"; }
};
struct Ring final : Circle, Named {
  Ring() : Circle(4) { label = "ring"; }
  double area() const override { return Circle::area() / 2; }
};
namespace { struct Local : Named { std::string tag() const override { return "another local"; } }; }
const std::type_info &type_of_hidden() { return typeid(Local); }
bool is_round(const Shape &shape) { return dynamic_cast<const Circle *>(&shape) != nullptr; }
std::unique_ptr<Shape> make_shape(int kind) {
  struct Plain : Shape { double area() const override { return 1; } };
  switch (kind) {
  case 0: return std::make_unique<Circle>(2);
  case 1: return std::make_unique<Ring>();
  default: return std::make_unique<Plain>();
  }
}
int use_from_other() {
  Registry<int>::all().push_back(2);
  Registry<int>::uses += 10;
  template_static<long> *= 2;
  return ++shared_counter() + inline_constant;
}
void throw_derived(int kind) {
  if (kind == 0) throw SpecialFailure(3);
  if (kind == 1) throw Failure(4);
  throw Local();
}
