// A fault profile as a flame graph. Sees the profile only.
#include <algorithm>
#include <cstdio>
#include <functional>

#include "diagnostics/profile_places.hpp"
#include "diagnostics/svg.hpp"
#include "words/amounts.hpp"

namespace cow {
namespace {

constexpr double image_width = 960, margin = 10, row_height = 17, head = 30;
constexpr double thinnest = 0.3;  // boxes below this cannot be seen

/// A function as called by those above it.
struct Box {
  std::string name;
  std::uint64_t weight = 0;
  std::vector<Box> callees;

  Box& callee(const std::string& called) {
    for (Box& known : callees)
      if (known.name == called) return known;
    return callees.emplace_back(Box{called, 0, {}});
  }
};

Box gather(const FaultProfile& profile, FaultWeight weight) {
  Box root;
  for (const ProfiledStack& stack : profile.stacks) {
    const std::uint64_t amount = weight_of(profile, stack, weight);
    Box* box = &root;
    box->weight += amount;
    for (const std::string& name : names_from_outermost(stack)) {
      box = &box->callee(name);
      box->weight += amount;
    }
  }
  return root;
}

std::size_t depth_of(const Box& box) {
  std::size_t deepest = 0;
  for (const Box& callee : box.callees) deepest = std::max(deepest, 1 + depth_of(callee));
  return deepest;
}

std::string amount_of(std::uint64_t weight, FaultWeight kind) {
  switch (kind) {
    case FaultWeight::faults:
      return counted(weight, "fault");
    case FaultWeight::pages:
      return counted(weight, "page") + " copied";
    case FaultWeight::nanoseconds:
      break;
  }
  return readable_ns(static_cast<double>(weight));
}

/// Warm and light, so that black letters can be read; a name has the same colour everywhere.
std::string colour_of(const std::string& name) {
  const std::size_t hash = std::hash<std::string>{}(name);
  char colour[8];
  (void)std::snprintf(colour, sizeof colour, "#%02x%02x%02x", static_cast<unsigned>(225 + hash % 30),
                      static_cast<unsigned>(140 + (hash >> 8) % 80), static_cast<unsigned>(80 + (hash >> 16) % 50));
  return colour;
}

class FlameGraph {
 public:
  FlameGraph(const Box& root, FaultWeight kind)
      : root_(root),
        kind_(kind),
        rows_(depth_of(root)),
        svg_(image_width, head + margin + row_height * static_cast<double>(std::max<std::size_t>(rows_, 1))) {}

  std::string draw(const std::string& title) && {
    svg_.line_of_text(margin, 19, title);
    draw_callees(root_, margin, 0);
    return std::move(svg_).finish();
  }

 private:
  double width_of(const Box& box) const {
    return (image_width - 2 * margin) * static_cast<double>(box.weight) / static_cast<double>(root_.weight);
  }

  /// Callers below, as flames go.
  void draw_callees(const Box& box, double x, std::size_t row) {
    for (const Box& callee : box.callees) {
      const double width = width_of(callee);
      if (width >= thinnest) {
        const double y = head + row_height * static_cast<double>(rows_ - 1 - row);
        char part[16];
        (void)std::snprintf(part, sizeof part, " (%.1f %%)",
                            100 * static_cast<double>(callee.weight) / static_cast<double>(root_.weight));
        svg_.box(x, y, width - 0.2, row_height - 1, colour_of(callee.name),
                 callee.name + ": " + amount_of(callee.weight, kind_) + part, callee.name);
        draw_callees(callee, x, row + 1);
      }
      x += width;
    }
  }

  const Box& root_;
  const FaultWeight kind_;
  const std::size_t rows_;
  Svg svg_;
};

}  // namespace

std::string to_svg(const FaultProfile& profile, FaultWeight weight) {
  const Box root = gather(profile, weight);
  const std::string title = "Copy-on-write faults by the code that wrote: " + amount_of(root.weight, weight) +
                            (profile.every > 1 ? ", estimated from one in " + std::to_string(profile.every) : "");
  return FlameGraph(root, weight).draw(title);
}

}  // namespace cow
