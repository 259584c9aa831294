// Promise: whatever the C++ interface can do, but the templates, has a way in C: each public function, and each member
// of each public structure.
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace cow::test {
namespace {

using Names = std::set<std::string>;

std::string file(const std::string& name) {
  std::ifstream in(std::string(COW_SOURCE_DIR "/") + name);
  EXPECT_TRUE(in) << name;
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Which C names do what the C++ name does, beside each other; "-" and why there is none.
struct Way {
  const char* cpp;
  const char* c;
};

constexpr Way functions[] = {
    {"Arena::Arena", "cow_arena_open"},
    {"Arena::operator=", "- handles move by being copied"},
    {"Arena::~Arena", "cow_arena_close"},
    {"Arena::adopt", "cow_arena_adopt"},
    {"Arena::at", "cow_arena_at cow_arena_at_of_view"},
    {"Arena::barrier", "cow_arena_barrier"},
    {"Arena::capacity", "cow_arena_capacity"},
    {"Arena::changed_since", "cow_arena_changed_since"},
    {"Arena::clone", "cow_arena_clone"},
    {"Arena::contains", "cow_arena_contains"},
    {"Arena::data", "cow_arena_data"},
    {"Arena::discard", "cow_arena_discard"},
    {"Arena::dump", "cow_arena_report"},
    {"Arena::exclude", "cow_arena_exclude"},
    {"Arena::prepare_write", "cow_arena_prepare_write"},
    {"Arena::ref", "- the arena's handle is one"},
    {"Arena::rollback", "cow_arena_rollback"},
    {"Arena::snapshot", "cow_arena_snapshot"},
    {"Arena::stats", "cow_arena_stats_json cow_arena_stat"},
    {"Arena::write", "cow_arena_write cow_arena_write_batch"},
    {"ArenaRef::capacity", "cow_arena_capacity"},
    {"ArenaRef::contains", "cow_arena_contains"},
    {"ArenaRef::cut_hook", "cow_arena_set_cut_hook"},
    {"ArenaRef::data", "cow_arena_data"},
    {"ArenaRef::discard", "cow_arena_discard"},
    {"ArenaRef::epoch", "cow_arena_epoch"},
    {"ArenaRef::is_writable", "cow_arena_is_writable"},
    {"ArenaRef::name", "cow_arena_name"},
    {"ArenaRef::prepare_write", "cow_arena_prepare_write"},
    {"ArenaRef::has_excluded", "cow_arena_page_map"},
    {"ArenaRef::write", "cow_arena_write cow_arena_write_batch"},
    {"ArenaStats::since", "- of numbers: the difference"},
    {"Heap::Heap", "cow_heap_open"},
    {"Heap::allocate", "cow_heap_malloc cow_heap_aligned_alloc"},
    {"Heap::allocate_zeroed", "cow_heap_calloc cow_heap_aligned_calloc"},
    {"Heap::check", "cow_heap_check cow_heap_last_refused"},
    {"Heap::deallocate", "cow_heap_free"},
    {"Heap::operator==", "cow_heap_same"},
    {"Heap::reallocate", "cow_heap_realloc"},
    {"Heap::root", "cow_heap_root cow_view_root"},
    {"Heap::rounded_size", "cow_heap_rounded_size"},
    {"Heap::set_root", "cow_heap_set_root"},
    {"Heap::stats", "cow_heap_get_stats"},
    {"Heap::trim", "cow_heap_trim"},
    {"Heap::try_allocate", "cow_heap_malloc cow_heap_aligned_alloc"},
    {"Heap::try_allocate_zeroed", "cow_heap_calloc cow_heap_aligned_calloc"},
    {"Heap::try_reallocate", "cow_heap_realloc"},
    {"Heap::usable_size", "cow_heap_usable_size"},
    {"Heap::forget_root_in", "- private"},
    {"Heap::get_root", "- private"},
    {"Heap::put_root", "- private"},
    {"HeapFull::HeapFull", "- thrown by the library: ENOMEM and cow_last_error()"},
    {"PageMap::pages_in", "- a sum over cow_page_map"},
    {"RefuseWrites::RefuseWrites", "cow_refuse_writes"},
    {"RefuseWrites::~RefuseWrites", "cow_write_refusal_close"},
    {"Snapshot::Snapshot", "cow_snapshot_retain"},
    {"Snapshot::operator=", "cow_snapshot_retain"},
    {"Snapshot::operator==", "cow_snapshot_same"},
    {"Snapshot::~Snapshot", "cow_snapshot_release"},
    {"Snapshot::capacity", "cow_snapshot_capacity"},
    {"Snapshot::clone", "cow_snapshot_clone"},
    {"Snapshot::exclusive_bytes", "cow_snapshot_exclusive_bytes"},
    {"Snapshot::offset_of", "- private"},
    {"Snapshot::read", "cow_snapshot_read"},
    {"Snapshot::view", "cow_snapshot_view"},
    {"Transaction::Transaction", "cow_transaction_begin"},
    {"Transaction::commit", "cow_transaction_commit"},
    {"Transaction::end", "- private"},
    {"Transaction::innermost", "- private"},
    {"Transaction::require_innermost", "- private"},
    {"Transaction::roll_back", "cow_transaction_roll_back"},
    {"Transaction::~Transaction", "cow_transaction_close"},
    {"UpdateGate::UpdateGate", "cow_gate_open cow_gate_close"},
    {"UpdateGate::Updating", "cow_gate_begin_updating cow_gate_end_updating cow_gate_between_updates"},
    {"UpdateGate::Quiet", "cow_gate_begin_quiet cow_gate_end_quiet"},
    {"View::View", "- handles move by being copied"},
    {"View::operator=", "- handles move by being copied"},
    {"View::at", "cow_view_at cow_view_at_of_view"},
    {"View::contains", "cow_view_contains"},
    {"View::data", "cow_view_data"},
    {"View::size", "cow_view_size"},
    {"View::~View", "cow_view_close"},
    {"account_memory", "cow_arena_memory"},
    {"changed_between", "cow_changed_between"},
    {"copies_since_snapshot", "cow_arena_copies_since_snapshot"},
    {"fault_handler_installed", "cow_fault_handler_installed"},
    {"fault_profile", "cow_fault_profile_get"},
    {"fault_profile_on", "cow_fault_profile_on"},
    {"for_each_difference", "cow_for_each_difference"},
    {"inspect", "cow_saved_file_inspect cow_saved_file_texts"},
    {"install_fault_handler", "cow_install_fault_handler"},
    {"is_writable", "cow_arena_is_writable"},
    {"load", "cow_arena_load cow_arena_load_fd"},
    {"map_pages", "cow_arena_page_map"},
    {"merge", "cow_arena_merge"},
    {"page_size", "cow_page_size"},
    {"print_backtraces_of_bad_accesses", "cow_print_backtraces_of_bad_accesses"},
    {"retry_on_efault", "cow_arena_retry_on_efault"},
    {"save", "cow_snapshot_save cow_snapshot_save_fd cow_snapshot_save_and_release"},
    {"squash", "cow_saved_files_squash"},
    {"start_fault_profile", "cow_fault_profile_start"},
    {"stop_fault_profile", "cow_fault_profile_stop"},
    {"to_folded", "cow_fault_profile_report cow_fault_profile_report_by"},
    {"to_json", "cow_arena_stats_json"},
    {"to_svg", "cow_fault_profile_report_by cow_arena_draw_pages"},
    {"to_text", "cow_arena_report cow_fault_profile_report_by cow_arena_draw_pages"},
    {"try_handle", "cow_try_handle"},
    {"verify", "cow_saved_file_verify"},
    {"writable", "cow_arena_prepare_write"},
};

constexpr Way structures[] = {
    {"ArenaOptions", "cow_arena_options"},
    {"Write", "cow_write"},
    {"PageRange", "cow_page_range"},
    {"HeapOptions", "cow_heap_options"},
    {"HeapStats", "cow_heap_stats"},
    {"MemoryAccount", "cow_memory_account"},
    {"MergeRegion", "cow_merge_region"},
    {"MergeOptions", "cow_merge_options"},
    {"ByteRange", "cow_byte_range"},
    {"MergeReport", "cow_merge_report"},
    {"SaveOptions", "cow_save_options"},
    {"SaveReport", "cow_save_report"},
    {"LoadOptions", "cow_load_options"},
    {"SavedFile", "cow_saved_file"},
    {"PageGroup", "cow_page_group"},
    {"PageMap", "cow_page_map"},
    {"PageMapStyle", "cow_page_map_style"},
    {"CodePlace", "cow_code_place"},
    {"ProfiledStack", "cow_profiled_stack"},
    {"FaultProfile", "cow_fault_profile"},
    {"ArenaStats", "- by names: cow_arena_stat()"},
    {"CopiesSinceSnapshot", "- parameters of cow_arena_copies_since_snapshot()"},
    {"Difference", "- parameters of the call of cow_for_each_difference()"},
    {"SaveProgress", "- parameters of cow_save_options.progress"},
    {"FaultProfileOptions", "- parameters of cow_fault_profile_start()"},
    {"HeapReport", "- results of cow_heap_check() and others"},
};

constexpr Way members[] = {
    {"SavedFile::name", "- cow_saved_file_texts()"},
    {"SavedFile::note", "- cow_saved_file_texts()"},
    {"PageMap::arena", "- cow_arena_name()"},
    {"PageMap::group", "- of a run: cow_page_run"},
};

const std::string& headers_in_c() {
  static const std::string all = [] {
    std::string text;
    for (const char* part : {"", "_files", "_heap", "_report", "_threads", "_versions"}) {
      text += file(std::string("include/cow/cow") + part + ".h");
    }
    return text;
  }();
  return all;
}

bool declared_in_c(const std::string& name) {
  return std::regex_search(headers_in_c(), std::regex("COW_C_API [^;(]*[ *]" + name + "\\("));
}

/// The exported ones, as recorded, without parameters: those of classes as Class::name.
Names public_functions() {
  Names names;
  std::istringstream lines(file("tests/rooms/exported_names.txt"));
  for (std::string line; std::getline(lines, line);) {
    std::smatch name;
    if (!std::regex_search(line, name, std::regex("^cow::(?!detail::)([A-Za-z_:~=]+)"))) continue;
    names.insert(name[1]);
  }
  return names;
}

/// The members of the first structure that `begin` names in a text, by C's rules and C++'s.
Names members_of(std::string text, const std::string& begin) {
  text = std::regex_replace(text, std::regex("//[^\n]*|/\\*[^*]*(\\*[^/][^*]*)*\\*/"), "");
  const std::size_t at = text.find(begin);
  if (at == std::string::npos) return {};
  const std::size_t end = text.find("\n}", at);
  std::string body = text.substr(at + begin.size(), end - at - begin.size());
  // Functions and friends; a pointer to a function is a member.
  const std::regex function("\\n  (friend|[^;\\n(]*(operator|bool is_layer|pages_in|total))[^\\n]*");
  body = std::regex_replace(body, function, "");
  body = std::regex_replace(body, std::regex(" =[^;,]*"), "");
  const std::regex member("[ *(]([a-z][a-z_0-9]*)(?=(\\[16\\]|\\)\\(.*)?[;,])");
  Names names;
  for (std::sregex_iterator it(body.begin(), body.end(), member), none; it != none; ++it) names.insert((*it)[1]);
  return names;
}

std::string headers_in_cpp() {
  std::string all;
  for (const char* name : {"arena", "units", "heap", "memory_account", "merge", "save", "page_map", "fault_profile"}) {
    all += file(std::string("include/cow/") + name + ".hpp");
  }
  return all;
}

TEST(InterfaceInC, has_a_way_for_each_public_function) {
  std::map<std::string, std::string> ways;
  for (const Way& way : functions) ways[way.cpp] = way.c;
  const Names names = public_functions();
  EXPECT_GT(names.size(), 80u);
  for (const std::string& name : names) EXPECT_TRUE(ways.count(name) != 0) << "in C there is no way for cow::" << name;
  for (const auto& [name, way] : ways) {
    if (way[0] == '-') continue;
    std::istringstream words(way);
    for (std::string word; words >> word;) EXPECT_TRUE(declared_in_c(word)) << word << ", for " << name;
  }
}

TEST(InterfaceInC, has_each_member_of_each_public_structure) {
  const std::string cpp = headers_in_cpp();
  Names elsewhere;
  for (const Way& way : members) elsewhere.insert(way.cpp);
  for (const Way& way : structures) {
    if (way.c[0] == '-') continue;
    const std::string exported = std::string(way.cpp) == "PageMap" ? "COW_API " : "";
    const Names of_cpp = members_of(cpp, "struct " + exported + way.cpp + " {");
    const Names of_c = members_of(headers_in_c(), std::string("typedef struct ") + way.c + " {");
    EXPECT_FALSE(of_cpp.empty()) << way.cpp;
    for (const std::string& name : of_cpp) {
      const bool there = of_c.count(name) + of_c.count(name.substr(0, name.size() - 1) + "_count") != 0;
      EXPECT_TRUE(there || elsewhere.count(std::string(way.cpp) + "::" + name) != 0)
          << way.c << " lacks cow::" << way.cpp << "::" << name;
    }
  }
}

TEST(InterfaceInC, is_looked_at_structure_by_structure) {
  Names known;
  for (const Way& way : structures) known.insert(way.cpp);
  const std::string cpp = headers_in_cpp() + file("include/cow/stats.hpp") + file("include/cow/copied_along.hpp") +
                          file("include/cow/difference.hpp");
  const std::regex structure("\n *struct (?:COW_API )?([A-Z][A-Za-z]+) \\{");
  for (std::sregex_iterator it(cpp.begin(), cpp.end(), structure), end; it != end; ++it) {
    const std::string name = (*it)[1];
    EXPECT_TRUE(name == "Run" || known.count(name) != 0) << "nobody said what cow::" << name << " is in C";
  }
}

}  // namespace
}  // namespace cow::test
