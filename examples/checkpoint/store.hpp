// Checkpoints in a folder: a whole file, and layers on it. What counts is what a list names, which is replaced by a
// rename; so a process that is killed at any moment leaves the state of the last checkpoint.
#pragma once

#include <cow/cow.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace checkpoint {

class Store {
 public:
  static constexpr std::size_t most_layers = 10;

  explicit Store(std::filesystem::path folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
    std::ifstream list(folder_ / "list");
    for (std::string name; std::getline(list, name);) names_.push_back(name);
    remove_what_no_list_names();
  }

  bool empty() const noexcept { return names_.empty(); }

  /// The last checkpoint, mapped: what is not touched is not read.
  cow::Arena load() {
    cow::LoadOptions options;
    for (std::size_t i = 1; i < names_.size(); ++i) options.layers.push_back(folder_ / names_[i]);
    cow::Arena arena = cow::load(folder_ / names_.front(), options);
    saved_ = arena.snapshot();  // before anything is written: layers go on from it
    return arena;
  }

  /// The first is whole; then layers, of what has changed since the one before. `number`: a new one each time.
  void save(cow::Snapshot snapshot, std::uint64_t number, const cow::SaveOptions& how) {
    cow::SaveOptions options = how;
    if (!names_.empty()) {
      options.since = saved_;
      options.base = folder_ / names_.back();
    }
    const std::string name = std::to_string(number) + (names_.empty() ? ".cow" : ".layer");
    cow::save(snapshot, folder_ / name, options);
    saved_ = std::move(snapshot);
    names_.push_back(name);
    write_list();
    if (names_.size() > most_layers) squash(number, how);
  }

  const std::vector<std::string>& names() const noexcept { return names_; }

 private:
  void squash(std::uint64_t number, const cow::SaveOptions& how) {
    std::vector<std::filesystem::path> files;
    for (const std::string& name : names_) files.push_back(folder_ / name);
    const std::string name = std::to_string(number) + ".cow";
    cow::SaveOptions options = how;
    cow::squash(files, folder_ / name, options);
    names_ = {name};
    write_list();
    remove_what_no_list_names();
  }

  void write_list() const {
    std::ofstream list(folder_ / "list.new", std::ios::trunc);
    for (const std::string& name : names_) list << name << '\n';
    list.close();
    if (!list) throw std::runtime_error("cannot write " + (folder_ / "list.new").string());
    std::filesystem::rename(folder_ / "list.new", folder_ / "list");
  }

  /// Layers that were squashed, and parts of files that nobody finished.
  void remove_what_no_list_names() const {
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      const std::string name = entry.path().filename().string();
      if (name == "list" || std::find(names_.begin(), names_.end(), name) != names_.end()) continue;
      std::filesystem::remove(entry.path());
    }
  }

  std::filesystem::path folder_;
  std::vector<std::string> names_;  // a whole file, then the layers on it
  cow::Snapshot saved_;             // what the last of them holds
};

}  // namespace checkpoint
