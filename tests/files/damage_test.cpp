// Promise: what is wrong with a file is refused, with what and where, at any length and for a bit flipped anywhere; and
// nothing crashes.
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "files/format.hpp"
#include "files/saved.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 12;

/// Why a call was refused as a file's fault; "" where it was not refused.
std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

class Damaged : public testing::Test {
 protected:
  Damaged() {
    before.paint_run(1, 4, 3);
    before.paint(7, 5);
    const Snapshot first = before.arena().snapshot();
    save(first, whole, unsynced());
    before.paint(2, 6);
    before.paint(7, 0);
    second = before.arena().snapshot();
    save(second, layer, layer_on(first, whole));
  }

  static std::string loading(const std::filesystem::path& path, bool lazy) {
    LoadOptions options;
    options.lazy = lazy;
    return refusal([&] { (void)load(path, options); });
  }

  Folder folder{memory_folder()};
  Painted before = painted(pages);
  Snapshot second;
  const std::filesystem::path whole = folder / "whole", layer = folder / "layer", bad = folder / "bad";
};

TEST_F(Damaged, at_any_length_it_is_refused) {
  const std::string bytes = bytes_of(whole);
  for (std::size_t length = 0; length<bytes.size(); length += length + 700> bytes.size() ? 1 : 97) {
    put_bytes(bad, bytes.substr(0, length));
    const std::string why = refusal([&] { (void)inspect(bad); });
    ASSERT_NE(why, "") << length << " of " << bytes.size();
    ASSERT_NE(why.find("bad"), std::string::npos) << why;
    if (length % 50 == 0) {
      ASSERT_NE(loading(bad, true), "") << length;
    }
  }
  put_bytes(bad, bytes + "x");
  EXPECT_NE(refusal([&] { (void)inspect(bad); }), "");
}

TEST_F(Damaged, a_flipped_bit_anywhere_is_found) {
  for (const auto& path : {whole, layer}) {
    const std::string bytes = bytes_of(path);
    for (std::size_t at = 0; at < bytes.size(); at += at < 200 || at + 600 > bytes.size() ? 1 : 71) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
      put_bytes(bad, flipped);
      ASSERT_NE(refusal([&] { verify(bad); }), "") << "byte " << at << " of " << path;
    }
  }
  verify(whole);
  verify(layer);
}

TEST_F(Damaged, eagerly_a_flipped_bit_of_content_is_found) {
  const std::string bytes = bytes_of(whole);
  std::size_t found = 0;
  for (std::size_t at = 4096; at < bytes.size(); at += 509) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 16);
    put_bytes(bad, flipped);
    ASSERT_NE(loading(bad, false), "") << at;
    ++found;
  }
  EXPECT_GT(found, 20U);
}

TEST_F(Damaged, a_byte_between_contents_is_refused_by_verify_and_by_an_eager_load) {
  Painted arena = painted(200);
  arena.paint_run(0, 200, 3);  // so long a run begins at a block of its own
  save(arena.arena().snapshot(), whole, unsynced());
  std::string bytes = bytes_of(whole);
  bytes[5000] = 'x';
  put_bytes(bad, bytes);
  EXPECT_NE(refusal([&] { verify(bad); }).find("byte 5000, between"), std::string::npos);
  EXPECT_NE(loading(bad, false).find("byte 5000, between"), std::string::npos);
  EXPECT_EQ(loading(bad, true), "");
}

TEST_F(Damaged, eagerly_a_flipped_bit_that_a_layer_hides_is_found) {
  std::string bytes = bytes_of(whole);
  const std::size_t last = bytes.rfind(std::string(1, '\5'), bytes.size() - 300);  // of page 7, which the layer has
  bytes[last] = 'x';
  put_bytes(bad, bytes);
  EXPECT_NE(refusal([&] { verify(bad); }).find("page 7 "), std::string::npos);
  EXPECT_NE(refusal([&] { (void)load(bad, with_layers({layer}, false)); }).find("page 7 "), std::string::npos);
  EXPECT_TRUE(shows(load(bad, with_layers({layer})), before.picture()));
}

TEST_F(Damaged, says_which_page_and_where) {
  std::string bytes = bytes_of(whole);
  const std::size_t at = bytes.find(std::string(1, '\3'), 4096);
  bytes[at] = 'x';
  put_bytes(bad, bytes);
  const std::string why = refusal([&] { verify(bad); });
  EXPECT_NE(why.find("page 1 of the arena"), std::string::npos) << why;
  EXPECT_NE(why.find("at byte " + std::to_string(at)), std::string::npos) << why;
}

TEST_F(Damaged, checksums_that_are_wrong_themselves_are_not_taken_for_wrong_pages) {
  std::string bytes = bytes_of(whole);
  const std::size_t in_sums = bytes.size() - 128 - 3;
  bytes[in_sums] = static_cast<char>(bytes[in_sums] ^ 1);
  put_bytes(bad, bytes);
  const std::string why = refusal([&] { verify(bad); });
  EXPECT_NE(why.find("its checksums"), std::string::npos) << why;
  EXPECT_EQ(why.find("page"), std::string::npos) << why;
}

TEST_F(Damaged, another_files_end_is_not_taken) {
  save(before.arena().snapshot(), whole, unsynced());
  save(before.arena().snapshot(), folder / "twin", unsynced());  // the same content, so the same sums
  const std::string bytes = bytes_of(whole), twin = bytes_of(folder / "twin");
  ASSERT_EQ(bytes.size(), twin.size());
  put_bytes(bad, bytes.substr(0, bytes.size() - 128) + twin.substr(twin.size() - 128));
  EXPECT_NE(refusal([&] { (void)inspect(bad); }).find("another file's"), std::string::npos);
}

/// A head of other content, with the right checksum.
std::string with_head(std::string bytes, std::size_t at, std::uint32_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
  const std::uint64_t sum = files::checksum(std::as_bytes(std::span(bytes).first(4088)));
  std::memcpy(bytes.data() + 4088, &sum, sizeof sum);
  return bytes;
}

/// A file with another head, whose checksum is right.
void edit_head(const std::filesystem::path& path, const std::function<void(files::Head&)>& edit) {
  std::string bytes = bytes_of(path);
  files::Head head = files::decode_head(std::as_bytes(std::span(bytes)).first<files::head_bytes>());
  edit(head);
  const auto edited = files::encode(head);
  std::memcpy(bytes.data(), edited.data(), edited.size());
  put_bytes(path, bytes);
}

TEST_F(Damaged, a_layer_that_ends_before_what_lies_below_it_is_refused) {
  Painted arena = painted(64);
  arena.paint_run(0, 64, 3);
  const Snapshot first = arena.arena().snapshot();
  save(first, whole, unsynced());
  arena.paint(0, 4);
  save(arena.arena().snapshot(), layer, layer_on(first, whole));
  edit_head(layer, [](files::Head& head) { head.capacity = head.page_bytes; });
  for (const bool lazy : {true, false}) {
    const std::string why = refusal([&] { (void)load(whole, with_layers({layer}, lazy)); });
    EXPECT_NE(why.find("what lies below it"), std::string::npos) << why;
  }
  const std::string why = refusal([&] { squash({whole, layer}, bad, unsynced()); });
  EXPECT_NE(why.find("what lies below it"), std::string::npos) << why;
  EXPECT_FALSE(std::filesystem::exists(bad));
  LoadOptions options = with_layers({layer});
  options.capacity = arena.arena().capacity();
  EXPECT_TRUE(shows(load(whole, options), arena.picture()));
  options.capacity = page_size();
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { (void)load(whole, options); }));
}

TEST_F(Damaged, a_name_and_a_note_that_have_no_room_together_are_refused_by_squash) {
  edit_head(whole, [](files::Head& head) { head.name = std::string(2000, 'n'); });
  SaveOptions options = unsynced();
  options.note = std::string(1968, 'x');
  squash({whole}, bad, options);
  EXPECT_EQ(inspect(bad).name + inspect(bad).note, std::string(2000, 'n') + options.note);
  std::filesystem::remove(bad);
  options.note += 'x';
  EXPECT_TRUE(throws_exactly<std::invalid_argument>([&] { squash({whole}, bad, options); }));
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"layer", "whole"}));
}

TEST_F(Damaged, what_it_does_not_know_is_named) {
  const std::string bytes = bytes_of(whole);
  put_bytes(bad, "what is this" + bytes);
  EXPECT_NE(refusal([&] { (void)inspect(bad); }).find("no saved file"), std::string::npos);
  put_bytes(bad, with_head(bytes, 8, 2));
  EXPECT_NE(refusal([&] { (void)inspect(bad); }).find("version 2"), std::string::npos);
  put_bytes(bad, with_head(bytes, 12, 4));
  EXPECT_NE(refusal([&] { (void)inspect(bad); }).find("features"), std::string::npos);
  put_bytes(bad, with_head(bytes, 88, 99));
  EXPECT_NE(loading(bad, true).find("heap is of version 99"), std::string::npos);
  EXPECT_TRUE(throws_exactly<std::system_error>([&] { (void)load(folder / "nowhere", {}); }));
  EXPECT_NE(refusal([&] { (void)load(folder.path(), {}); }), "");
}

TEST_F(Damaged, layers_in_the_wrong_order_are_refused) {
  before.paint(3, 9);
  save(before.arena().snapshot(), folder / "next", layer_on(second, layer));
  EXPECT_TRUE(shows(load(whole, with_layers({layer, folder / "next"})), before.picture()));
  const auto why = [&](const std::filesystem::path& file, std::vector<std::filesystem::path> layers) {
    return refusal([&] { (void)load(file, with_layers(std::move(layers))); });
  };
  EXPECT_NE(why(whole, {folder / "next"}).find("another file than"), std::string::npos);
  EXPECT_NE(why(whole, {folder / "next", layer}), "");
  EXPECT_NE(why(whole, {layer, layer}), "");
  EXPECT_NE(why(whole, {whole}).find("no layer"), std::string::npos);
  EXPECT_NE(why(layer, {}).find("it is a layer"), std::string::npos);
}

}  // namespace
}  // namespace cow::test
