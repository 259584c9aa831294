// Statistics as text and JSON. Sees numbers only.
#include "cow/stats_format.hpp"

#include <string_view>

#include "words/amounts.hpp"

namespace cow {
namespace {

struct Member {
  const char* name;
  std::uint64_t ArenaStats::*value;
};

constexpr Member members[] = {
    {"faults_first_touch", &ArenaStats::faults_first_touch},
    {"faults_sole_owner", &ArenaStats::faults_sole_owner},
    {"faults_moved", &ArenaStats::faults_moved},
    {"faults_to_history", &ArenaStats::faults_to_history},
    {"faults_already_done", &ArenaStats::faults_already_done},
    {"pages_first_touched", &ArenaStats::pages_first_touched},
    {"pages_sole_owner", &ArenaStats::pages_sole_owner},
    {"pages_moved", &ArenaStats::pages_moved},
    {"pages_to_history", &ArenaStats::pages_to_history},
    {"bytes_copied", &ArenaStats::bytes_copied},
    {"pages_copied_along", &ArenaStats::pages_copied_along},
    {"epoch", &ArenaStats::epoch},
    {"snapshots_alive", &ArenaStats::snapshots_alive},
    {"pages_private", &ArenaStats::pages_private},
    {"pages_writable", &ArenaStats::pages_writable},
    {"pages_with_fronts", &ArenaStats::pages_with_fronts},
    {"barrier_changes", &ArenaStats::barrier_changes},
    {"pages_borrowed", &ArenaStats::pages_borrowed},
    {"mappings", &ArenaStats::mappings},
    {"bookkeeping_bytes", &ArenaStats::bookkeeping_bytes},
    {"file_frames_used", &ArenaStats::file_frames_used},
    {"history_frames_used", &ArenaStats::history_frames_used},
    {"history_frames_free", &ArenaStats::history_frames_free},
    {"loose_frames", &ArenaStats::loose_frames},
    {"file_bytes", &ArenaStats::file_bytes},
    {"process_mappings", &ArenaStats::process_mappings},
    {"process_mapping_budget", &ArenaStats::process_mapping_budget},
    {"pages_excluded", &ArenaStats::pages_excluded},
};
static_assert(sizeof(ArenaStats) ==
                  sizeof members / sizeof members[0] * sizeof(std::uint64_t) + sizeof(DurationHistogram) +
                      sizeof ArenaStats::barrier_reason,
              "a member of ArenaStats is missing here");

std::string number(std::uint64_t n) { return std::to_string(n); }

void add_field(std::string& json, const char* name, std::uint64_t value) {
  if (json.back() != '{') json += ',';
  json.append("\"").append(name).append("\":").append(number(value));
}

std::string to_json(const DurationHistogram& times) {
  std::string json = "{";
  add_field(json, "count", times.count());
  add_field(json, "total_ns", times.total_ns());
  add_field(json, "p50_ns", times.quantile_ns(0.5));
  add_field(json, "p99_ns", times.quantile_ns(0.99));
  add_field(json, "longest_ns", times.longest_ns());
  json += ",\"buckets\":[";
  for (std::size_t i = 0; i < DurationHistogram::buckets; ++i) {
    if (times.in_bucket(i) == 0) continue;
    if (json.back() != '[') json += ',';
    json.append("[")
        .append(number(DurationHistogram::bucket_begin_ns(i)))
        .append(",")
        .append(number(times.in_bucket(i)))
        .append("]");
  }
  return json + "]}";
}

/// One line: a name in a column of its own, then what there is to say.
void add_line(std::string& text, std::string_view name, const std::string& says) {
  text.append(name).append(name.size() < 14 ? 14 - name.size() : 1, ' ').append(says).append("\n");
}

}  // namespace

std::string to_json(const ArenaStats& stats) {
  std::string json = "{";
  for (const Member& member : members) add_field(json, member.name, stats.*member.value);
  json += std::string(",\"barrier_reason\":\"") + stats.barrier_reason + "\"";
  return json + ",\"handler_time\":" + to_json(stats.handler_time) + "}";
}

std::string to_text(const ArenaStats& stats) {
  const std::uint64_t faults = stats.faults() - stats.faults_already_done;
  const DurationHistogram& times = stats.handler_time;
  std::string text;
  add_line(text, "faults",
           number(faults) + ": " + number(stats.faults_first_touch) + " first touch, " +
               number(stats.faults_sole_owner) + " sole owner, " + number(stats.faults_to_history) + " to history, " +
               number(stats.faults_moved) + " moved; " + number(stats.faults_already_done) + " more found it done");
  add_line(text, "writable",
           counted(stats.pages_first_touched, "page") + " first touched, " + number(stats.pages_sole_owner) +
               " sole owner, " + number(stats.pages_to_history) + " to history, " + number(stats.pages_moved) +
               " moved");
  add_line(text, "copied",
           readable_bytes(stats.bytes_copied) + ", " + counted(stats.pages_copied_along, "page") +
               " of it along with a neighbour");
  add_line(text, "handler time",
           "p50 " + readable_ns(static_cast<double>(times.quantile_ns(0.5))) + ", p99 " +
               readable_ns(static_cast<double>(times.quantile_ns(0.99))) + ", longest " +
               readable_ns(static_cast<double>(times.longest_ns())) + ", together " +
               readable_ns(static_cast<double>(times.total_ns())));
  add_line(text, "arena",
           counted(stats.pages_private, "page") + " private, " + number(stats.pages_borrowed) + " borrowed, " +
               number(stats.pages_writable) + " writable, " + number(stats.pages_excluded) + " excluded; " +
               counted(stats.snapshots_alive, "snapshot") + "; epoch " + number(stats.epoch));
  add_line(text, "barrier",
           std::string(stats.barrier_reason) + "; " + counted(stats.barrier_changes, "change") + ", " +
               counted(stats.pages_with_fronts, "page") + " with fronts");
  add_line(text, "file",
           readable_bytes(stats.file_bytes) + ": " + counted(stats.file_frames_used, "frame") + " in use (" +
               number(stats.loose_frames) + " for clones alone), history " + number(stats.history_frames_used) +
               " in use, " + number(stats.history_frames_free) + " free");
  add_line(text, "mappings",
           number(stats.mappings) + " here; " + number(stats.process_mappings) + " of " +
               number(stats.process_mapping_budget) + " in the process");
  add_line(text, "bookkeeping", readable_bytes(stats.bookkeeping_bytes));
  return text;
}

}  // namespace cow
