// The model: arenas, snapshots and views beside plain bytes, and every operation done to both. Finds differences
// and throws Mismatch; decides nothing that the byte source does not decide.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "model/byte_source.hpp"
#include "model/mirror.hpp"
#include "model/refusals.hpp"
#include "model/setting.hpp"
#include "model/trace.hpp"

namespace cow::model {

class World {
 public:
  World(ByteSource& choice, Trace& trace, const Setting& setting);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  /// So many operations with full checks among them, then the end.
  void live(std::size_t steps);

 private:
  /// One operation of those that this run prefers, then the cheap checks.
  void step();
  /// Byte for byte: all arenas, snapshots and views.
  void check_everything();
  /// Drops all but one arena, in any order, and asks for every frame back.
  void finish();

  struct Operation {
    const char* name;
    std::size_t weight;
    void (World::*run)();
  };
  struct Range {
    std::size_t offset, size;
  };
  static const std::vector<Operation>& operations();
  static const std::vector<Operation>& operations_on_files();

  // operations_on_content.cpp
  void write_byte();
  void write_word();
  void write_range();
  void write_run_of_pages();
  void write_scattered_pages();
  void write_in_a_rhythm();
  void write_zeros();
  void write_what_is_there();
  void hand_over_write();
  void hand_over_batch();
  void move_within();
  void copy_between();
  void copy_from_view();
  void prepare_write();
  void discard();
  void exclude();
  void read_into_buffer();
  void read_into_arena();
  void ask_what_changed();
  void misuse();
  void collapse();

  // operations_on_lives.cpp
  void new_family();
  void take_snapshot();
  void copy_handle();
  void assign_handle();
  void drop_handle();
  void roll_back();
  void clone_arena();
  void clone_snapshot();
  void replace_by_clone();
  void assign_over();
  void drop_arena();
  void move_arenas();
  void open_view();
  void move_views();
  void close_view();

  // operations_on_relatives.cpp
  void ask_what_differs();
  void adopt_version();
  void merge_versions();
  void go_through_a_transaction();
  void change_barriers();

  // operations_on_files.cpp
  void save_version();
  void load_file();
  void squash_files();
  void forget_file();

  /// Runs an operation of the engine, with kernel calls refused where the setting says so. False: it threw, so that
  /// nothing that shows may have changed.
  template <class Operation>
  bool succeeds(Operation&& operation) {
    if (!setting_.refusals) return operation(), true;
    try {
      const Refusals refusals(choice_);
      operation();
      return true;
    } catch (const std::system_error& error) {
      if (error.code().value() != ENOMEM) trace_.line("  ", error.what());
      require(error.code().value() == ENOMEM, "an operation failed with another error than the kernel's");
    } catch (const std::bad_alloc&) {
    }
    trace_.line("  refused");
    return false;
  }

  // Choices. Those of something that need not exist give null when there is none.
  HeldArena& any_arena();
  HeldSnapshot* any_snapshot();
  HeldView* any_view();
  std::size_t any_page(const HeldArena& arena);
  Range any_range(const HeldArena& arena);

  // Writes to both sides. Stamps differ from each other, and along their length.
  Bytes new_stamp(std::size_t size);
  void stamp(HeldArena& arena, Range range);
  void copy_in(HeldArena& arena, std::size_t offset, const std::byte* from, std::size_t size);

  // The pieces of the operations on lives.
  void take_snapshot_of(HeldArena& arena);
  void adopt_snapshot(HeldArena& arena, Snapshot handle);
  void adopt_clone(Arena clone, const MirrorVersionPtr& base, bool base_is_known = true);
  /// The version that a clone of the arena has just been made from.
  MirrorVersionPtr version_just_cloned(const HeldArena& arena) const;
  MirrorVersionPtr new_version(const HeldArena& arena) const;
  bool engine_may_not_know(const HeldArena& arena) const;
  const HeldSnapshot* any_relative(std::uint64_t family);
  MergeOptions any_merge_options(std::size_t capacity);
  // The pieces of the operations on files.
  std::filesystem::path new_path();
  HeldFile* any_file();
  void hold_file(HeldFile file);
  SaveOptions any_save_options();
  bool is_loaded(const HeldArena& arena) const;
  // What ends cannot fail, whatever is refused.
  void erase_arena(std::size_t index);
  void erase_snapshot(std::size_t index);
  void erase_view(std::size_t index);
  const HeldSnapshot* handle_on(const MirrorVersionPtr& version) const;
  void begin_to_write(HeldArena& arena) { arena.written = true; }

  // world_checks.cpp
  void cheap_checks();
  void check_arena(const HeldArena& arena) const;
  void check_snapshot(const HeldSnapshot& snapshot);
  void check_view(const HeldView& view) const;
  void check_numbers(const HeldArena& arena) const;
  void check_changed(const HeldArena& arena, const HeldSnapshot& since);
  void check_between(const HeldSnapshot& a, const HeldSnapshot& b);
  void check_differences(const HeldSnapshot& a, const HeldSnapshot& b, std::size_t granule);
  void check_prepared(const HeldArena& arena, Range range) const;
  void check_nothing_left(HeldArena& last);

  static std::string name(const HeldArena& arena) { return "arena " + std::to_string(arena.id); }
  static std::string name(const HeldSnapshot& snapshot) {
    return "snapshot " + std::to_string(snapshot.id) + " of arena " + std::to_string(snapshot.mirror->owner);
  }

  const Setting setting_;
  ByteSource& choice_;
  Trace& trace_;
  std::size_t arena_limit_, snapshot_limit_, view_limit_;
  std::vector<Operation> kinds_;
  std::vector<std::size_t> weights_;  // by operation
  std::uint64_t next_arena_id_ = 1;
  std::uint64_t next_snapshot_id_ = 1;
  std::uint64_t families_ = 0;
  std::uint64_t stamps_ = 0;
  Bytes scratch_;
  std::vector<HeldArena> arenas_;
  std::vector<HeldSnapshot> snapshots_;
  std::vector<HeldView> views_;
  std::vector<HeldFile> files_;
  std::filesystem::path folder_;  // theirs
  std::uint64_t next_file_ = 1;
  std::vector<std::uint64_t> loaded_families_;
};

/// One whole run of a world. Throws Mismatch.
void run(ByteSource& choice, Trace& trace, std::size_t steps, const Setting& setting = {});

}  // namespace cow::model
