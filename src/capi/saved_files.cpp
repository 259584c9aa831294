// Saving and loading in C.
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "capi/objects.hpp"
#include "capi/values.hpp"
#include "cow/cow.h"
#include "cow/save.hpp"

using namespace cow::capi;

namespace {

constexpr cow_save_options usual_save{.size = sizeof(cow_save_options),
                                      .since = nullptr,
                                      .base = nullptr,
                                      .compression = COW_COMPRESSION_NONE,
                                      .level = 1,
                                      .sync = 1,
                                      .reserved = 0,
                                      .note = nullptr,
                                      .progress = nullptr,
                                      .context = nullptr,
                                      .report = nullptr};

constexpr cow_load_options usual_load{.size = sizeof(cow_load_options),
                                      .layers = nullptr,
                                      .layer_count = 0,
                                      .at_saved_address = 0,
                                      .lazy = 1,
                                      .address = nullptr,
                                      .capacity = 0,
                                      .barrier = COW_BARRIER_MPROTECT,
                                      .reserved = 0,
                                      .name = nullptr,
                                      .gate = nullptr,
                                      .quiet_cuts = 0,
                                      .reserved_too = 0};
constexpr std::size_t first_load_size = offsetof(cow_load_options, gate);

static_assert(COW_COMPRESSION_NONE == static_cast<int>(cow::Compression::none));
static_assert(COW_COMPRESSION_ZSTD == static_cast<int>(cow::Compression::zstd));

void require_reserved_zero(int reserved) {
  if (reserved != 0) throw Refused("the options' reserved member is not 0", E2BIG);
}

std::filesystem::path path_of(const char* path, const char* what_is_wrong = "the path is NULL or empty") {
  require(path != nullptr && *path != '\0', what_is_wrong);
  return path;
}

std::vector<std::filesystem::path> paths_of(const char* const* paths, std::size_t count) {
  require(paths != nullptr || count == 0, "the list of paths is NULL");
  std::vector<std::filesystem::path> result;
  for (const char* path : std::span(paths, count)) {
    result.push_back(path_of(path, "a path in the list is NULL or empty"));
  }
  return result;
}

/// What the caller gave, as C++ has it.
struct Save {
  cow_save_options given;
  cow::SaveOptions options;

  explicit Save(const cow_save_options* or_null) : given(read_options(or_null, usual_save)) {
    require_reserved_zero(given.reserved);
    const bool known = given.compression == COW_COMPRESSION_NONE || given.compression == COW_COMPRESSION_ZSTD;
    require(known, "this library knows no such compression");
    if (given.since != nullptr) options.since = use(given.since);
    if (given.base != nullptr) options.base = path_of(given.base, "cow_save_options.base is empty");
    options.compression = static_cast<cow::Compression>(given.compression);
    options.level = given.level;
    options.sync = given.sync != 0;
    if (given.note != nullptr) options.note = given.note;
    if (given.progress != nullptr) {
      options.progress = [to = given](const cow::SaveProgress& now) {
        return to.progress(to.context, now.bytes_done, now.bytes_total) == 0;
      };
    }
  }

  void tell(const cow::SaveReport& report) const noexcept {
    if (given.report != nullptr) *given.report = {report.pages, report.bytes, report.seconds};
  }
  /// Of a file that is there. What becomes of it meanwhile is no failure of the call that has made it.
  void tell_of(const std::filesystem::path& file, double seconds) const noexcept {
    if (given.report == nullptr) return;
    try {
      const cow::SavedFile made = cow::inspect(file);
      *given.report = {made.pages, made.file_bytes, seconds};
    } catch (const std::exception&) {
      *given.report = {0, 0, seconds};
    }
  }
};

cow::LoadOptions load_options_of(const cow_load_options* or_null) {
  const cow_load_options given = read_options(or_null, usual_load, first_load_size);
  require_reserved_zero(given.reserved | given.reserved_too);
  cow::LoadOptions options;
  options.layers = paths_of(given.layers, given.layer_count);
  options.at_saved_address = given.at_saved_address != 0;
  options.address = given.address;
  options.capacity = given.capacity;
  options.lazy = given.lazy != 0;
  options.barrier = barrier_of(given.barrier);
  if (given.name != nullptr) options.name = given.name;
  if (given.gate != nullptr) options.gate = &use(given.gate).gate();
  options.quiet_cuts = given.quiet_cuts != 0;
  return options;
}

}  // namespace

void cow_save_options_init(cow_save_options* options) noexcept {
  if (options != nullptr) *options = usual_save;
}
void cow_load_options_init_sized(cow_load_options* options, std::size_t size) noexcept {
  if (options != nullptr) init_options(options, size, usual_load);
}

// For whoever was compiled when there was no size, or knows names alone.
void(cow_load_options_init)(cow_load_options* options) noexcept {
  cow_load_options_init_sized(options, first_load_size);
}

int cow_snapshot_save(const cow_snapshot* snapshot, const char* path, const cow_save_options* options) noexcept {
  return guarded(__func__, [&] {
    const cow::Snapshot of = use(snapshot);  // progress() may close the handle
    const Save save(options);
    save.tell(cow::save(of, path_of(path), save.options));
  });
}

int cow_snapshot_save_and_release(cow_snapshot* snapshot, const char* path, const cow_save_options* options) noexcept {
  return guarded(__func__, [&] {
    use(snapshot);
    const Save save(options);
    const std::filesystem::path to = path_of(path);
    const std::unique_ptr<cow::Snapshot> taken = take(snapshot);
    save.tell(cow::save(std::move(*taken), to, save.options));
  });
}

int cow_snapshot_save_fd(const cow_snapshot* snapshot, int fd, const cow_save_options* options) noexcept {
  return guarded(__func__, [&] {
    const cow::Snapshot of = use(snapshot);
    const Save save(options);
    save.tell(cow::save(of, fd, save.options));
  });
}

int cow_arena_load(const char* path, const cow_load_options* options, cow_arena** arena) noexcept {
  return opening(__func__, arena, [&] { return cow::load(path_of(path), load_options_of(options)); });
}

int cow_arena_load_fd(int fd, const cow_load_options* options, cow_arena** arena) noexcept {
  return opening(__func__, arena, [&] { return cow::load(fd, load_options_of(options)); });
}

int cow_saved_file_inspect(const char* path, cow_saved_file* file) noexcept {
  return guarded(__func__, [&] {
    check_result(file);
    const cow::SavedFile found = cow::inspect(path_of(path));
    cow_saved_file told{};
    told.capacity = found.capacity;
    told.pages = found.pages;
    told.file_bytes = found.file_bytes;
    told.address = found.address;
    told.page_bytes = found.page_bytes;
    told.heap_version = found.heap_version;
    std::memcpy(told.id, found.id.data(), sizeof told.id);
    std::memcpy(told.base_id, found.base_id.data(), sizeof told.base_id);
    told.is_layer = found.is_layer() ? 1 : 0;
    told.is_compressed = found.is_compressed ? 1 : 0;
    write_result(file, told);
  });
}

int cow_saved_file_texts(const char* path, char** name, char** note) noexcept {
  if (name != nullptr) *name = nullptr;
  if (note != nullptr) *note = nullptr;
  return guarded(__func__, [&] {
    const cow::SavedFile found = cow::inspect(path_of(path));
    using Copy = std::unique_ptr<char, decltype(&std::free)>;
    Copy name_copy(copy_for_caller(found.name), &std::free), note_copy(copy_for_caller(found.note), &std::free);
    if (name != nullptr) *name = name_copy.release();
    if (note != nullptr) *note = note_copy.release();
  });
}

int cow_saved_file_verify(const char* path) noexcept {
  return guarded(__func__, [&] { cow::verify(path_of(path)); });
}

int cow_saved_files_squash(const char* const* file_and_layers, std::size_t count, const char* into,
                           const cow_save_options* options) noexcept {
  return guarded(__func__, [&] {
    const Save save(options);
    const auto begin = std::chrono::steady_clock::now();
    const std::filesystem::path to = path_of(into);
    cow::squash(paths_of(file_and_layers, count), to, save.options);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    save.tell_of(to, seconds.count());
  });
}
