// Fault profiles in C: as text, and as one block for the caller, in which the profile leads to its stacks.
#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "capi/blocks.hpp"
#include "capi/values.hpp"
#include "cow/cow.h"
#include "cow/fault_profile.hpp"

using namespace cow::capi;

namespace {

static_assert(COW_WEIGHT_FAULTS == static_cast<int>(cow::FaultWeight::faults));
static_assert(COW_WEIGHT_PAGES == static_cast<int>(cow::FaultWeight::pages));
static_assert(COW_WEIGHT_NANOSECONDS == static_cast<int>(cow::FaultWeight::nanoseconds));

constexpr std::size_t usual_sites = 20;

std::string profile_as(int form, int weight, std::size_t most_sites) {
  const bool known = weight >= COW_WEIGHT_FAULTS && weight <= COW_WEIGHT_NANOSECONDS;
  require(known, "this library knows no such weight");
  const auto by = static_cast<cow::FaultWeight>(weight);
  switch (form) {
    case COW_PROFILE_TABLE: return to_text(cow::fault_profile(), most_sites);
    case COW_PROFILE_FOLDED: return to_folded(cow::fault_profile(), by);
    case COW_PROFILE_SVG: return to_svg(cow::fault_profile(), by);
    default: throw Refused("this library knows no such form of a profile", EINVAL);
  }
}

/// Texts one behind the other, each with its end; known by where they begin until all are there.
class Texts {
 public:
  const char* add(const std::string& text) {
    const std::size_t at = all_.size();
    all_.insert(all_.end(), text.c_str(), text.c_str() + text.size() + 1);
    return reinterpret_cast<const char*>(at);  // never followed
  }
  std::span<const char> all() const noexcept { return all_; }
  static void move_to(const char* copied, const char*& text) noexcept {
    text = copied + reinterpret_cast<std::uintptr_t>(text);
  }

 private:
  std::vector<char> all_;
};

cow_fault_profile* profile_for_caller(const cow::FaultProfile& profile) {
  Texts texts;
  std::vector<cow_profiled_stack> stacks;
  std::vector<cow_code_place> places;
  for (const cow::ProfiledStack& stack : profile.stacks) {
    stacks.push_back({.arena = texts.add(stack.arena),
                      .places = nullptr,
                      .place_count = stack.places.size(),
                      .samples = stack.samples,
                      .pages = stack.pages,
                      .ns = stack.ns,
                      .cut = stack.cut ? 1 : 0,
                      .reserved = 0});
    for (const cow::CodePlace& place : stack.places) {
      places.push_back({.function = texts.add(place.function),
                        .file = texts.add(place.file),
                        .module = texts.add(place.module),
                        .offset = place.offset,
                        .line = place.line,
                        .inlined = place.inlined ? 1 : 0});
    }
  }

  cow_fault_profile told{};
  told.size = sizeof told;
  told.every = profile.every;
  told.faults = profile.faults;
  told.dropped = profile.dropped;
  told.page_bytes = profile.page_bytes;
  told.stack_count = stacks.size();
  Block block(room_for<cow_fault_profile>(1) + room_for<cow_profiled_stack>(stacks.size()) +
              room_for<cow_code_place>(places.size()) + room_for<char>(texts.all().size()));
  cow_fault_profile* const result = block.put(std::span(&told, 1));
  const char* const copied = block.put(texts.all());
  for (cow_code_place& place : places) {
    for (const char** text : {&place.function, &place.file, &place.module}) Texts::move_to(copied, *text);
  }
  const cow_code_place* of_stack = block.put(std::span(places));
  for (cow_profiled_stack& stack : stacks) {
    Texts::move_to(copied, stack.arena);
    stack.places = of_stack;
    of_stack += stack.place_count;
  }
  result->stacks = block.put(std::span(stacks));
  block.release();
  return result;
}

}  // namespace

int cow_fault_profile_start(std::uint32_t every, std::size_t most_stacks) noexcept {
  return guarded(__func__, [&] {
    cow::FaultProfileOptions options;
    if (every != 0) options.every = every;
    if (most_stacks != 0) options.most_stacks = most_stacks;
    cow::start_fault_profile(options);
  });
}

void cow_fault_profile_stop() noexcept { cow::stop_fault_profile(); }
int cow_fault_profile_on() noexcept { return cow::fault_profile_on() ? 1 : 0; }

int cow_fault_profile_report(int form, char** text) noexcept {
  return telling(__func__, text, [&] { return profile_as(form, COW_WEIGHT_FAULTS, usual_sites); });
}

int cow_fault_profile_report_by(int form, int weight, std::size_t most_sites, char** text) noexcept {
  return telling(__func__, text, [&] { return profile_as(form, weight, most_sites == 0 ? usual_sites : most_sites); });
}

int cow_fault_profile_get(cow_fault_profile** profile) noexcept {
  if (profile == nullptr) return fail(__func__, EINVAL, "the place for the profile is NULL");
  *profile = nullptr;
  return guarded(__func__, [&] { *profile = profile_for_caller(cow::fault_profile()); });
}
