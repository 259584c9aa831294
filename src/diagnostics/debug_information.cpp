// Side room: see debug_information.hpp.
#include "debug_information.hpp"

#if COW_WITH_LIBDW

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "symbols.hpp"

namespace cow {
namespace {

/// The functions used.
#define COW_OF_LIBDW(X)                                                                                                \
  X(dwfl_begin)                                                                                                        \
  X(dwfl_end) X(dwfl_report_begin) X(dwfl_report_end) X(dwfl_linux_proc_report) X(dwfl_linux_proc_find_elf)            \
      X(dwfl_standard_find_debuginfo) X(dwfl_addrmodule) X(dwfl_module_getsrc) X(dwfl_lineinfo) X(dwfl_module_addrdie) \
          X(dwarf_getscopes) X(dwarf_getscopes_die) X(dwarf_tag) X(dwarf_attr) X(dwarf_attr_integrate)                 \
              X(dwarf_formstring) X(dwarf_formudata) X(dwarf_getsrcfiles) X(dwarf_filesrc)

struct Libdw {
#define COW_MEMBER(name) decltype(&::name) name = nullptr;
  COW_OF_LIBDW(COW_MEMBER)
#undef COW_MEMBER
  bool complete = false;
};

template <class Function>
bool look_up(void* library, const char* name, Function*& function) noexcept {
  function = reinterpret_cast<Function*>(::dlsym(library, name));
  return function != nullptr;
}

Libdw load() noexcept {
  Libdw dw;
  void* const library = ::dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return dw;
  dw.complete = true;
#define COW_LOOK_UP(name) dw.complete = look_up(library, #name, dw.name) && dw.complete;
  COW_OF_LIBDW(COW_LOOK_UP)
#undef COW_LOOK_UP
  return dw;
}

const Libdw& libdw() {
  static const Libdw dw = load();
  return dw;
}

char* debug_path = nullptr;  // null: libdw's own

/// Scopes as libdw allocates them.
struct Scopes {
  Dwarf_Die* dies = nullptr;
  int count = 0;
  ~Scopes() { std::free(dies); }
};

std::string string_of(Dwarf_Die* die, unsigned name) {
  const Libdw& dw = libdw();
  Dwarf_Attribute memory;
  const char* const text = dw.dwarf_formstring(dw.dwarf_attr_integrate(die, name, &memory));
  return text == nullptr ? "" : text;
}

std::uint64_t number_of(Dwarf_Die* die, unsigned name) {
  const Libdw& dw = libdw();
  Dwarf_Attribute memory;
  Dwarf_Word value = 0;
  return dw.dwarf_formudata(dw.dwarf_attr(die, name, &memory), &value) == 0 ? value : 0;
}

std::string function_of(Dwarf_Die* die) {
  const std::string linked = string_of(die, DW_AT_linkage_name);
  return linked.empty() ? string_of(die, DW_AT_name) : demangled(linked.c_str());
}

struct SourceLine {
  std::string file;
  std::uint32_t line = 0;
};

SourceLine line_of_call(Dwarf_Die* unit, Dwarf_Die* inlined) {
  const Libdw& dw = libdw();
  SourceLine source;
  Dwarf_Files* files = nullptr;
  std::size_t count = 0;
  if (dw.dwarf_getsrcfiles(unit, &files, &count) == 0) {
    const char* const file = dw.dwarf_filesrc(files, number_of(inlined, DW_AT_call_file), nullptr, nullptr);
    if (file != nullptr) source.file = file;
  }
  source.line = static_cast<std::uint32_t>(number_of(inlined, DW_AT_call_line));
  return source;
}

SourceLine line_of_address(Dwfl_Module* module, std::uintptr_t address) {
  const Libdw& dw = libdw();
  int line = 0;
  Dwfl_Line* const found = dw.dwfl_module_getsrc(module, address);
  const char* const file =
      found == nullptr ? nullptr : dw.dwfl_lineinfo(found, nullptr, &line, nullptr, nullptr, nullptr);
  return file == nullptr ? SourceLine{} : SourceLine{file, static_cast<std::uint32_t>(line)};
}

/// What encloses the address, from the innermost scope to the unit.
void find_scopes(Dwarf_Die* unit, Dwarf_Addr address, Scopes& scopes) {
  const Libdw& dw = libdw();
  Scopes by_address;
  by_address.count = dw.dwarf_getscopes(unit, address, &by_address.dies);
  // That list goes on from an inlined function to where that is written; the second one goes on to where it was
  // inlined.
  if (by_address.count > 0) scopes.count = dw.dwarf_getscopes_die(&by_address.dies[0], &scopes.dies);
}

}  // namespace

struct DebugFiles {
  Dwfl_Callbacks callbacks{};
  Dwfl* files = nullptr;
};

DebugInformation::DebugInformation() {
  const Libdw& dw = libdw();
  if (!dw.complete) return;
  files_ = std::make_unique<DebugFiles>();
  files_->callbacks.find_elf = dw.dwfl_linux_proc_find_elf;
  files_->callbacks.find_debuginfo = dw.dwfl_standard_find_debuginfo;
  files_->callbacks.debuginfo_path = &debug_path;
  files_->files = dw.dwfl_begin(&files_->callbacks);
  if (files_->files == nullptr) return;
  dw.dwfl_report_begin(files_->files);
  (void)dw.dwfl_linux_proc_report(files_->files, ::getpid());
  (void)dw.dwfl_report_end(files_->files, nullptr, nullptr);
}

DebugInformation::~DebugInformation() {
  if (files_ != nullptr && files_->files != nullptr) libdw().dwfl_end(files_->files);
}

std::vector<CodePlace> DebugInformation::places_of(std::uintptr_t address) {
  std::vector<CodePlace> places;
  if (files_ == nullptr || files_->files == nullptr) return places;
  const Libdw& dw = libdw();
  Dwfl_Module* const module = dw.dwfl_addrmodule(files_->files, address);
  if (module == nullptr) return places;
  SourceLine source = line_of_address(module, address);
  Dwarf_Addr bias = 0;
  Dwarf_Die* const unit = dw.dwfl_module_addrdie(module, address, &bias);
  Scopes scopes;
  if (unit != nullptr) find_scopes(unit, address - bias, scopes);
  for (int i = 0; i < scopes.count; ++i) {
    const int tag = dw.dwarf_tag(&scopes.dies[i]);
    if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
    const bool inlined = tag == DW_TAG_inlined_subroutine;
    places.push_back({function_of(&scopes.dies[i]), source.file, source.line, "", 0, inlined});
    if (!inlined) break;
    source = line_of_call(unit, &scopes.dies[i]);
  }
  if (places.empty() && !source.file.empty()) places.push_back({"", source.file, source.line, "", 0, false});
  return places;
}

}  // namespace cow

#else

namespace cow {

struct DebugFiles {};

DebugInformation::DebugInformation() = default;
DebugInformation::~DebugInformation() = default;
std::vector<CodePlace> DebugInformation::places_of(std::uintptr_t) { return {}; }

}  // namespace cow

#endif
