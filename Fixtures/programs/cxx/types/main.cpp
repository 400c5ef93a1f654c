// Types that two units share: virtual calls, dynamic_cast and typeid, inline statics, templates, exceptions by type.
// run:
// flags: -std=c++17
#include <iostream>
#include <typeindex>
#include <typeinfo>
#include <unordered_map>
#include "shapes.h"

struct Square : Shape, Named, virtual Counted {
  double side;
  explicit Square(double s) : side(s) { label = "square"; }
  double area() const override { return side * side; }
  std::string name() const override { return "square" + tag(); }
};
namespace { struct Local : Named { std::string tag() const override { return "local"; } }; }

int main() {
  std::vector<std::unique_ptr<Shape>> shapes;
  shapes.push_back(std::make_unique<Square>(3));
  for (int i = 0; i < 3; i++) shapes.push_back(make_shape(i));
  for (const auto &shape : shapes) {
    const auto *named = dynamic_cast<const Named *>(shape.get());
    const auto *counted = dynamic_cast<const Counted *>(shape.get());
    std::cout << shape->name() << ' ' << shape->area() << ' ' << (named ? named->label : "none") << ' '
              << (counted != nullptr) << ' ' << is_round(*shape) << ' ' << (typeid(*shape) == typeid(Square))
              << ' ' << (dynamic_cast<const void *>(shape.get()) == dynamic_cast<const void *>(counted)) << '\n';
  }
  std::unordered_map<std::type_index, int> counts;
  for (const auto &shape : shapes) counts[typeid(*shape)]++;
  std::cout << counts.size() << ' ' << counts[typeid(Square)] << ' ' << Counted::alive << '\n';
  std::cout << (typeid(Local) == type_of_hidden()) << ' ' << typeid(Square).name() << '\n';

  Registry<int>::all().push_back(1);
  Registry<int>::uses++;
  shared_counter() += 10;
  template_static<long> += 1;
  std::cout << use_from_other() << '\n';
  for (int value : Registry<int>::all()) std::cout << value << ' ';
  std::cout << Registry<int>::uses << ' ' << shared_counter() << ' ' << template_static<long> << '\n';
  for (int kind = 0; kind < 3; kind++) {
    try { throw_derived(kind); }
    catch (const SpecialFailure &f) { std::cout << "special " << f.code << '\n'; }
    catch (const Failure &f) { std::cout << "failure " << f.code << '\n'; }
    catch (const Named &n) { std::cout << n.tag() << '\n'; }
  }
  double (Shape::*member)() const = &Shape::area;
  std::cout << (shapes[1].get()->*member)() << '\n';
  shapes.clear();
  return Counted::alive + 4;
}
