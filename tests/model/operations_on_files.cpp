// Operations that save versions, whole or as layers on what was saved before, and make arenas of them again.
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <utility>

#include "files/compression.hpp"
#include "model/world.hpp"

namespace cow::model {

const std::vector<World::Operation>& World::operations_on_files() {
  static const std::vector<Operation> all = {
      {"save", 14, &World::save_version},
      {"load", 10, &World::load_file},
      {"squash", 4, &World::squash_files},
      {"forget a file", 2, &World::forget_file},
  };
  return all;
}

bool World::is_loaded(const HeldArena& arena) const {
  return std::find(loaded_families_.begin(), loaded_families_.end(), arena.family) != loaded_families_.end();
}

std::filesystem::path World::new_path() {
  if (folder_.empty()) {
    const bool in_memory = ::access("/dev/shm", W_OK) == 0;
    std::string name = (in_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string()) + "/cow-model-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
  }
  return folder_ / std::to_string(next_file_++);
}

HeldFile* World::any_file() { return files_.empty() ? nullptr : &files_[choice_.below(files_.size())]; }

void World::hold_file(HeldFile file) {
  verify(file.chain.back());
  constexpr std::size_t most = 8;
  files_.push_back(std::move(file));
  if (files_.size() > most) forget_file();
}

SaveOptions World::any_save_options() {
  SaveOptions options;
  options.sync = choice_.chance(10);
  if (files::can_compress() && choice_.chance(20)) options.compression = Compression::zstd;
  return options;
}

// A layer where the version that a file shows has a handle still. Sometimes the handle is given away.
void World::save_version() {
  HeldSnapshot* const snapshot = any_snapshot();
  if (snapshot == nullptr) return take_snapshot();
  HeldFile file{{}, snapshot->mirror};
  SaveOptions options = any_save_options();
  if (const HeldFile* const base = any_file(); base != nullptr && base->mirror->family == file.mirror->family) {
    if (const HeldSnapshot* const since = handle_on(base->mirror)) {
      options.since = since->handle;
      options.base = base->chain.back();
      file.chain = base->chain;
    }
  }
  file.chain.push_back(new_path());
  const bool given_away = choice_.chance(25);
  trace_.line(name(*snapshot), given_away ? ": given away and saved" : ": saved", " to ", file.chain.back(),
              options.base.empty() ? "" : " on " + options.base.string(),
              options.compression == Compression::none ? "" : ", compressed");
  Snapshot handle = snapshot->handle;
  if (given_away) erase_snapshot(static_cast<std::size_t>(snapshot - snapshots_.data()));
  const bool saved = succeeds([&] {
    if (given_away) {
      save(std::move(handle), file.chain.back(), options);
    } else {
      save(handle, file.chain.back(), options);
    }
  });
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    require(entry.path().extension() != ".cow-part", "a part of a file was left behind");
  if (saved) hold_file(std::move(file));
}

void World::load_file() {
  const HeldFile* const file = any_file();
  if (file == nullptr) return save_version();
  if (arenas_.size() >= arena_limit_) return drop_arena();
  LoadOptions options;
  options.layers.assign(file->chain.begin() + 1, file->chain.end());
  options.lazy = choice_.chance(75);
  options.barrier = setting_.barrier.value_or(choice_.chance(50) ? Barrier::mprotect : Barrier::automatic);
  const std::size_t saved = file->mirror->content.size();
  if (choice_.chance(30)) options.capacity = saved + choice_.below(20) * page_size();
  std::optional<Arena> made;
  const MirrorVersionPtr mirror = file->mirror;
  trace_.line("load ", file->chain.back(), " with ", options.layers.size(), " layers below it, ",
              options.lazy ? "lazily" : "at once", " as arena ", next_arena_id_);
  if (!succeeds([&] { made.emplace(load(file->chain.front(), options)); })) return;
  HeldArena arena{std::move(*made), next_arena_id_++, mirror->content, nullptr, nullptr, false, ++families_};
  arena.content.resize(options.capacity == 0 ? saved : options.capacity);
  arena.excluded.assign(arena.content.size() / page_size(), false);
  loaded_families_.push_back(arena.family);
  arenas_.push_back(std::move(arena));
  check_arena(arenas_.back());
}

void World::squash_files() {
  const HeldFile* const file = any_file();
  if (file == nullptr || file->chain.size() < 2) return save_version();
  const std::size_t first = choice_.below(file->chain.size() - 1);
  HeldFile squashed = *file;
  const std::vector<std::filesystem::path> some(squashed.chain.begin() + static_cast<std::ptrdiff_t>(first),
                                                squashed.chain.end());
  squashed.chain.resize(first);
  squashed.chain.push_back(new_path());
  trace_.line("squash ", some.size(), " files into ", squashed.chain.back());
  const SaveOptions options = any_save_options();
  if (succeeds([&] { squash(some, squashed.chain.back(), options); })) hold_file(std::move(squashed));
}

// Arenas that were loaded from it stay as they are.
void World::forget_file() {
  HeldFile* const file = any_file();
  if (file == nullptr) return;
  trace_.line("forget ", file->chain.back());
  const std::filesystem::path path = file->chain.back();
  const auto needs_it = [&](const HeldFile& other) {
    return std::find(other.chain.begin(), other.chain.end(), path) != other.chain.end();
  };
  files_.erase(std::remove_if(files_.begin(), files_.end(), needs_it), files_.end());
  std::filesystem::remove(path);
}

}  // namespace cow::model
