// See symbols.hpp. Names from the dynamic symbols, from the file's own by libunwind, or from libdw, whoever
// knows.
#include "diagnostics/symbols.hpp"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdlib>

#include "diagnostics/debug_information.hpp"
#include "diagnostics/unwinder.hpp"

namespace cow {
namespace {

std::string last_part(const char* path) {
  const std::string text = path == nullptr ? "" : path;
  return text.substr(text.rfind('/') + 1);
}

struct Name {
  std::string function;  // empty: unknown
  std::uint64_t offset = 0;
};

/// What the dynamic symbols tell.
Name exported_name_of(std::uintptr_t address, const Dl_info& info) {
  if (info.dli_sname == nullptr) return {};
  return {demangled(info.dli_sname), address - reinterpret_cast<std::uintptr_t>(info.dli_saddr)};
}

#if COW_WITH_LIBUNWIND

/// Sees static functions too, where the file was not stripped. Where it was, the symbol found is one of a function
/// further up; where this one starts is known from the unwind tables, which stripping leaves.
Name name_of(std::uintptr_t address, const Dl_info& info) {
  if (!load_libunwind()) return exported_name_of(address, info);
  const unw_addr_space_t here = *libunwind.unw_local_addr_space;
  char name[1024];
  unw_word_t offset = 0;
  unw_accessors_t* const access = libunwind.unw_get_accessors(here);
  if (access->get_proc_name(here, address, name, sizeof name, &offset, nullptr) != 0) return {};
  unw_proc_info_t procedure{};
  const bool known = libunwind.unw_get_proc_info_by_ip(here, address, &procedure, nullptr) == 0;
  if (known && address - offset < procedure.start_ip) return {};
  return {demangled(name), offset};
}

#else

Name name_of(std::uintptr_t address, const Dl_info& info) { return exported_name_of(address, info); }

#endif

std::vector<CodePlace> find_places(DebugInformation& debug, std::uintptr_t address) {
  Dl_info info{};
  const bool in_module = ::dladdr(reinterpret_cast<const void*>(address), &info) != 0;
  std::vector<CodePlace> places = debug.places_of(address);
  if (places.empty()) places.emplace_back();
  for (CodePlace& place : places) place.module = last_part(info.dli_fname);
  CodePlace& outermost = places.back();
  const Name name = name_of(address, info);
  // Where debug information has no linkage name, as in unnamed namespaces, the symbol says more: it names the scopes.
  if (outermost.function.empty() || name.function.find("::") != std::string::npos) outermost.function = name.function;
  const std::uintptr_t module_start = in_module ? reinterpret_cast<std::uintptr_t>(info.dli_fbase) : 0;
  // Where only debug information knows the function, as in a stripped libc with its debug file, the offset is its too.
  if (!name.function.empty()) outermost.offset = name.offset;
  if (outermost.function.empty()) outermost.offset = address - module_start;
  return places;
}

/// Where the bracket that ends at `end` was opened, or npos.
std::size_t opening_of(const std::string& text, std::size_t end) {
  int depth = 0;
  for (std::size_t at = end + 1; at-- != 0;) {
    if (text[at] == ')') ++depth;
    if (text[at] == '(' && --depth == 0) return at;
  }
  return std::string::npos;
}

}  // namespace

Symbols::Symbols() : debug_(std::make_unique<DebugInformation>()) {}
Symbols::~Symbols() = default;

const std::vector<CodePlace>& Symbols::places_of(std::uintptr_t address) {
  const auto [at, is_new] = known_.try_emplace(address);
  if (is_new) at->second = find_places(*debug_, address);
  return at->second;
}

std::string demangled(const char* name) {
  int status = 0;
  char* const text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  if (text == nullptr) return name;
  std::string result = text;
  std::free(text);
  return result;
}

std::string without_parameters(const std::string& function) {
  const std::size_t end = function.rfind(')');
  // Behind the parameters: const, &, [clone .cold]; anything else is a name.
  if (end == std::string::npos || function.find("::", end) != std::string::npos) return function;
  const std::size_t begin = opening_of(function, end);
  if (begin == std::string::npos || begin == 0) return function;
  return function.substr(0, begin);
}

}  // namespace cow
