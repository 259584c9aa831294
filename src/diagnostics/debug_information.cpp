// See debug_information.hpp.
#include "diagnostics/debug_information.hpp"

#if COW_WITH_LIBDW

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <link.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <string>

#include "diagnostics/symbols.hpp"
#include "kernel/os.hpp"
#include "kernel/process_lock.hpp"

namespace cow {
namespace {

/// The functions used.
// clang-format off
#define COW_OF_LIBDW(X)                                                                                        \
  X(dwfl_begin) X(dwfl_end) X(dwfl_report_begin) X(dwfl_report_end) X(dwfl_linux_proc_report)                  \
  X(dwfl_linux_proc_find_elf) X(dwfl_standard_find_debuginfo) X(dwfl_addrmodule) X(dwfl_module_addrdie)        \
  X(dwfl_module_nextcu) X(dwarf_haspc) X(dwarf_child) X(dwarf_siblingof) X(dwarf_tag) X(dwarf_attr)            \
  X(dwarf_attr_integrate) X(dwarf_formstring) X(dwarf_formudata) X(dwarf_getsrcfiles) X(dwarf_filesrc)         \
  X(dwarf_getsrc_die) X(dwarf_linesrc) X(dwarf_lineno) X(dwarf_ranges)
// clang-format on

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

/// Where libdw can be loaded, but crashes (0.188, by glibc 2.36): seen by the program's lack of an interpreter.
bool linked_statically() noexcept {
  bool none = true;
  const auto look = [](dl_phdr_info* program, std::size_t, void* found) {
    for (int i = 0; i < program->dlpi_phnum; ++i) {
      if (program->dlpi_phdr[i].p_type == PT_INTERP) *static_cast<bool*>(found) = false;
    }
    return 1;  // the program comes first
  };
  ::dl_iterate_phdr(look, &none);
  return none;
}

Libdw load() noexcept {
  Libdw dw;
  if (linked_statically()) return dw;
  void* const library = ::dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return dw;
  dw.complete = true;
#define COW_LOOK_UP(name) dw.complete = look_up(library, #name, dw.name) && dw.complete;
  COW_OF_LIBDW(COW_LOOK_UP)
#undef COW_LOOK_UP
  return dw;
}

// As in unwinder.cpp: no static local that a thread which a fork() child does not have may have begun.
const Libdw& libdw() {
  static constinit ProcessLock loading;
  static constinit Libdw dw;
  static constinit std::atomic<bool> settled{false};
  if (settled.load(std::memory_order_acquire)) return dw;
  const std::lock_guard guard(loading);
  if (settled.load(std::memory_order_relaxed)) return dw;
  const Libdw loaded = load();
  static constexpr Libdw none_for_now;
  if (!loaded.complete && os::no_descriptor_left()) return none_for_now;
  dw = loaded;
  settled.store(true, std::memory_order_release);
  return dw;
}

char* debug_path = nullptr;  // null: libdw's own

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

/// The unit that has the address, and by how much the module was moved when it was loaded. gcc lists the addresses of
/// each unit (.debug_aranges), clang does not: then all are asked.
Dwarf_Die* find_unit(Dwfl_Module* module, Dwarf_Addr address, Dwarf_Addr& bias) {
  const Libdw& dw = libdw();
  Dwarf_Die* unit = dw.dwfl_module_addrdie(module, address, &bias);
  if (unit != nullptr) return unit;
  do unit = dw.dwfl_module_nextcu(module, unit, &bias);
  while (unit != nullptr && dw.dwarf_haspc(unit, address - bias) != 1);
  return unit;
}

SourceLine line_of_address(Dwarf_Die* unit, Dwarf_Addr address) {
  const Libdw& dw = libdw();
  Dwarf_Line* const found = dw.dwarf_getsrc_die(unit, address);
  const char* const file = found == nullptr ? nullptr : dw.dwarf_linesrc(found, nullptr, nullptr);
  int line = 0;
  if (file == nullptr || dw.dwarf_lineno(found, &line) != 0) return {};
  return {file, static_cast<std::uint32_t>(line)};
}

/// What may hold functions without having addresses itself. libdw's dwarf_getscopes() does not look into these, which
/// is where clang puts functions of namespaces.
bool may_hold_functions(int tag) {
  return tag == DW_TAG_namespace || tag == DW_TAG_class_type || tag == DW_TAG_structure_type ||
         tag == DW_TAG_union_type || tag == DW_TAG_module;
}

/// The function that has the address, and what is inlined there, the innermost last.
void find_functions(Dwarf_Die* scope, Dwarf_Addr address, std::vector<Dwarf_Die>& functions) {
  const Libdw& dw = libdw();
  Dwarf_Die die;
  for (int end = dw.dwarf_child(scope, &die); end == 0; end = dw.dwarf_siblingof(&die, &die)) {
    const int tag = dw.dwarf_tag(&die);
    const bool is_function = tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;
    const bool has_it = (is_function || tag == DW_TAG_lexical_block) && dw.dwarf_haspc(&die, address) == 1;
    if (!has_it && !may_hold_functions(tag)) continue;
    if (is_function) functions.push_back(die);
    const std::size_t before = functions.size();
    find_functions(&die, address, functions);
    if (has_it || functions.size() != before) return;
  }
}

/// How far the address lies behind the start of its function, or of the part of it: compilers move what is seldom run
/// elsewhere.
std::uint64_t offset_into(Dwarf_Die* function, Dwarf_Addr address) {
  Dwarf_Addr base = 0, begin = 0, end = 0;
  for (std::ptrdiff_t next = 0; (next = libdw().dwarf_ranges(function, next, &base, &begin, &end)) > 0;) {
    if (address >= begin && address < end) return address - begin;
  }
  return 0;
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
  Dwarf_Addr bias = 0;
  Dwarf_Die* const unit = find_unit(module, address, bias);
  if (unit == nullptr) return places;
  SourceLine source = line_of_address(unit, address - bias);
  std::vector<Dwarf_Die> functions;
  find_functions(unit, address - bias, functions);
  for (auto function = functions.rbegin(); function != functions.rend(); ++function) {
    const bool inlined = dw.dwarf_tag(&*function) == DW_TAG_inlined_subroutine;
    const std::uint64_t offset = offset_into(&*function, address - bias);
    places.push_back({function_of(&*function), source.file, source.line, "", offset, inlined});
    if (inlined) source = line_of_call(unit, &*function);
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
