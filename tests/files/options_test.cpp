// Promise: options that cannot be right are refused by name; those that can do what they say.
#include <atomic>
#include <thread>

#include "files/saved.hpp"
#include "support/barriers.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 40;

class SaveAndLoad : public testing::Test {
 protected:
  SaveAndLoad() {
    before.paint_run(2, 20, 3);
    first = before.arena().snapshot();
    save(first, folder / "a", unsynced());
  }
  Arena loaded(const LoadOptions& options) { return load(folder / "a", options); }

  Folder folder{memory_folder()};
  Painted before = painted(pages);
  Snapshot first;
};

TEST_F(SaveAndLoad, at_a_larger_capacity_but_not_at_less_than_the_content) {
  Picture larger = before.picture();
  larger.resize(100, 0);
  LoadOptions options;
  options.capacity = 100 * page_size();
  EXPECT_TRUE(shows(loaded(options), larger));
  options.capacity = 22 * page_size();
  Picture smaller = before.picture();
  smaller.resize(22);
  EXPECT_TRUE(shows(loaded(options), smaller));
  options.capacity = 21 * page_size();
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)loaded(options); }));
}

TEST_F(SaveAndLoad, at_the_saved_address_once_it_is_free) {
  LoadOptions options;
  options.at_saved_address = true;
  std::byte* const address = before.arena().data();
  try {
    (void)loaded(options);
    ADD_FAILURE() << "over a living arena";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::file_exists) << error.what();
  }
  { const Arena gone = std::move(before.arena()); }
  const Arena back = loaded(options);
  EXPECT_EQ(back.data(), address);
  EXPECT_TRUE(shows(back, before.picture()));
}

TEST_F(SaveAndLoad, at_a_given_address_and_under_a_given_name) {
  std::byte* place = nullptr;
  {
    const Arena somewhere({.capacity = std::size_t{1} << 30});  // of which others take the end first
    place = somewhere.data();
  }
  LoadOptions options;
  options.address = place;
  options.name = "other";
  const Arena arena = loaded(options);
  EXPECT_EQ(arena.data(), place);
  EXPECT_STREQ(arena.ref().name(), "other");
  options.at_saved_address = true;
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)loaded(options); }));
}

TEST_F(SaveAndLoad, what_the_file_says_of_itself) {
  SaveOptions options = unsynced();
  options.note = "a note";
  save(before.arena().snapshot(), folder / "b", options);
  const SavedFile said = inspect(folder / "b");
  EXPECT_EQ(said.capacity, pages * page_size());
  EXPECT_EQ(said.pages, 20U);
  EXPECT_EQ(said.page_bytes, page_size());
  EXPECT_EQ(said.address, reinterpret_cast<std::uintptr_t>(before.arena().data()));
  EXPECT_EQ(said.name, "painted");
  EXPECT_EQ(said.note, "a note");
  EXPECT_EQ(said.file_bytes, std::filesystem::file_size(folder / "b"));
  EXPECT_FALSE(said.is_layer());
  EXPECT_NE(said.id, inspect(folder / "a").id);
  options.note.assign(3001, 'x');
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { save(before.arena().snapshot(), folder / "b", options); }));
  EXPECT_EQ(inspect(folder / "b").note, "a note");
}

TEST_F(SaveAndLoad, a_layer_names_what_it_lies_on_and_refuses_another) {
  before.paint(3, 8);
  const Snapshot second = before.arena().snapshot();
  save(second, folder / "layer", layer_on(first, folder / "a"));
  EXPECT_EQ(inspect(folder / "layer").base_id, inspect(folder / "a").id);
  EXPECT_EQ(inspect(folder / "layer").pages, 1U);
  const auto refused = [&](const SaveOptions& options) {
    return throws_exactly<std::invalid_argument>([&] { save(second, folder / "no", options); });
  };
  EXPECT_TRUE(refused(layer_on(second, folder / "a")));
  EXPECT_TRUE(refused(layer_on(first, {})));
  EXPECT_TRUE(refused(layer_on({}, folder / "a")));
  Painted other = painted(pages);
  EXPECT_TRUE(refused(layer_on(other.arena().snapshot(), folder / "a")));
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"a", "layer"}));
}

TEST_F(SaveAndLoad, pages_written_without_change_are_not_in_a_layer) {
  for (std::size_t page = 2; page < 22; ++page) before.paint(page, 3);
  const SaveReport report = save(before.arena().snapshot(), folder / "layer", layer_on(first, folder / "a"));
  EXPECT_EQ(report.pages, 0U);
}

TEST_F(SaveAndLoad, a_layer_goes_from_a_clone_to_what_it_came_from) {
  Painted clone(first.clone(), before.picture());
  clone.paint(30, 4);
  before.paint(2, 1);
  save(clone.arena().snapshot(), folder / "layer", layer_on(first, folder / "a"));
  EXPECT_EQ(inspect(folder / "layer").pages, 1U);
  EXPECT_TRUE(shows(load(folder / "a", with_layers({folder / "layer"})), clone.picture()));
}

TEST_F(SaveAndLoad, layers_go_on_after_a_load) {
  Painted arena(load(folder / "a", {}), before.picture());
  const Snapshot as_saved = arena.arena().snapshot();
  arena.paint(5, 55);
  const Snapshot now = arena.arena().snapshot();
  save(now, folder / "layer", layer_on(as_saved, folder / "a"));
  EXPECT_EQ(inspect(folder / "layer").pages, 1U);
  EXPECT_TRUE(shows(load(folder / "a", with_layers({folder / "layer"})), arena.picture()));
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { save(now, folder / "no", layer_on(now, folder / "a")); }));
}

TEST_F(SaveAndLoad, layers_are_squashed_and_later_ones_fit_on_the_result) {
  Snapshot last = first;
  std::vector<std::filesystem::path> files{folder / "a"};
  for (std::size_t i = 1; i <= 4; ++i) {
    before.paint_run(i * 3, 2, i + 10);
    before.paint(i, 0);
    const Snapshot now = before.arena().snapshot();
    save(now, folder / std::to_string(i), layer_on(last, files.back()));
    files.push_back(folder / std::to_string(i));
    last = now;
  }
  const Picture then = before.picture();
  before.paint(20, 99);
  save(before.arena().snapshot(), folder / "5", layer_on(last, files.back()));
  squash({files[1], files[2], files[3]}, folder / "middle", unsynced());
  EXPECT_TRUE(inspect(folder / "middle").is_layer());
  EXPECT_TRUE(
      shows(load(folder / "a", with_layers({folder / "middle", folder / "4", folder / "5"})), before.picture()));
  squash(files, folder / "a", unsynced());
  verify(folder / "a");
  EXPECT_TRUE(shows(load(folder / "a", {}), then));
  EXPECT_TRUE(shows(load(folder / "a", with_layers({folder / "5"})), before.picture()));
  EXPECT_TRUE(throws_exactly<std::runtime_error>([&] { squash({folder / "a", folder / "1"}, folder / "no"); }));
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { squash({}, folder / "no"); }));
}

TEST_F(SaveAndLoad, a_gate_given_to_a_load_keeps_updates_out_of_snapshots) {
  UpdateGate gate;
  LoadOptions options;
  options.gate = &gate;
  Arena loaded = load(folder / "a", options);
  std::atomic<bool> inside = false, over = false;
  std::thread updater([&] {
    const UpdateGate::Updating updating(gate);
    inside = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    over = true;
  });
  while (!inside) std::this_thread::yield();
  (void)loaded.snapshot();
  EXPECT_TRUE(over) << "a snapshot was taken in the middle of an update";
  updater.join();
}

TEST_F(SaveAndLoad, quiet_cuts_promised_to_a_load_let_it_have_the_kernel_barrier_beside_threads) {
  LoadOptions options;
  options.barrier = Barrier::automatic;
  options.quiet_cuts = true;
  if (!is_available(Barrier::kernel)) GTEST_SKIP() << "no kernel barrier here";
  std::thread([] {}).join();  // from here on the process has had threads
  EXPECT_EQ(load(folder / "a", options).barrier(), Barrier::kernel);
  options.quiet_cuts = false;
  EXPECT_NE(load(folder / "a", options).barrier(), Barrier::kernel);
}

TEST_F(SaveAndLoad, progress_goes_to_the_end_and_can_stop_it) {
  Painted large = painted(4000);
  large.paint_run(0, 4000, 1);
  SaveOptions options = unsynced();
  std::uint64_t last = 0, calls = 0;
  options.progress = [&](const SaveProgress& progress) {
    EXPECT_GE(progress.bytes_done, last);
    EXPECT_EQ(progress.bytes_total, 4000 * page_size());
    last = progress.bytes_done;
    return ++calls, true;
  };
  const Snapshot snapshot = large.arena().snapshot();
  save(snapshot, folder / "b", options);
  EXPECT_EQ(last, 4000 * page_size());
  EXPECT_GT(calls, 5U);
  const std::string old = bytes_of(folder / "b");
  options.progress = [](const SaveProgress& progress) { return progress.bytes_done < (std::uint64_t{4} << 20); };
  try {
    save(snapshot, folder / "b", options);
    ADD_FAILURE() << "was not stopped";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::operation_canceled);
  }
  EXPECT_TRUE(bytes_of(folder / "b") == old);
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(SaveAndLoad, compressed_where_zstd_is_there) {
  SaveOptions options = unsynced();
  options.compression = Compression::zstd;
  try {
    save(before.arena().snapshot(), folder / "z", options);
  } catch (const std::invalid_argument& without) {
    GTEST_SKIP() << without.what();
  }
  EXPECT_LT(inspect(folder / "z").file_bytes, 10000U);
  EXPECT_TRUE(inspect(folder / "z").is_compressed);
  verify(folder / "z");
  for (const bool lazy : {true, false}) EXPECT_TRUE(shows(load(folder / "z", with_layers({}, lazy)), before.picture()));
  before.paint(3, 8);
  before.paint(4, 0);
  SaveOptions layer = layer_on(first, folder / "z");
  layer.compression = Compression::zstd;
  save(before.arena().snapshot(), folder / "zl", layer);
  EXPECT_TRUE(shows(load(folder / "z", with_layers({folder / "zl"})), before.picture()));
  const std::string bytes = bytes_of(folder / "z");
  for (std::size_t at = 4096; at < bytes.size(); ++at) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    put_bytes(folder / "bad", flipped);
    EXPECT_TRUE(throws_exactly<std::runtime_error>([&] { verify(folder / "bad"); })) << at;
  }
  options.level = 1000;
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { save(first, folder / "no", options); }));
}

}  // namespace
}  // namespace cow::test
