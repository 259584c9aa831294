// See files/tool/text.hpp.
#include "files/tool/text.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "words/amounts.hpp"

namespace cow::tool {
namespace {

/// Bytes of a well-formed UTF-8 character at `at`; 0 where there is none.
std::size_t character_at(const std::string& text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 && lead < 0xf5 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (length == 0 || lead >= 0xf5 || at + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(at + i) >> 6 != 2) return 0;
  }
  if ((lead == 0xe0 && byte(at + 1) < 0xa0) || (lead == 0xed && byte(at + 1) > 0x9f)) return 0;
  if ((lead == 0xf0 && byte(at + 1) < 0x90) || (lead == 0xf4 && byte(at + 1) > 0x8f)) return 0;
  return length;
}

std::string formatted(const char* format, unsigned long long value) {
  char text[40];
  (void)std::snprintf(text, sizeof text, format, value);
  return text;
}

/// A line for people: control characters would do things to a terminal.
std::string printable(const std::string& text) {
  std::string plain = text;
  std::replace_if(
      plain.begin(), plain.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }, ' ');
  return plain;
}

}  // namespace

std::string json_text(const std::string& text) {
  std::string json = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = character_at(text, at);
    const char c = text[at];
    if (length == 0) {
      json += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      json.append(1, '\\').append(1, c);
    } else if (static_cast<unsigned char>(c) < 32) {
      json += formatted("\\u%04llx", static_cast<unsigned char>(c));
    } else {
      json.append(text, at, length);
    }
    at += std::max<std::size_t>(length, 1);
  }
  return json + "\"";
}

std::string hex(const std::array<std::byte, 16>& id) {
  std::string text;
  for (const std::byte byte : id) text += formatted("%02llx", std::to_integer<unsigned>(byte));
  return text;
}

std::string describe(const std::string& path, const SavedFile& file) {
  std::string text = printable(path) + (file.is_layer() ? ": a layer\n" : ": a whole file\n");
  const auto line = [&text](const char* name, const std::string& value) {
    text.append("  ").append(name).append(12 - std::string(name).size(), ' ').append(value).append("\n");
  };
  line("arena", "\"" + printable(file.name) + "\" of " + readable_bytes(file.capacity) + ", at " +
                    formatted("0x%llx", file.address));
  line("content", readable_bytes(file.pages * file.page_bytes) + ", " + counted(file.pages, "page") + " of " +
                      readable_bytes(file.page_bytes) + (file.is_compressed ? ", compressed" : ""));
  line("file", readable_bytes(file.file_bytes));
  line("heap", file.heap_version == 0 ? "none" : "version " + std::to_string(file.heap_version));
  line("id", hex(file.id));
  if (file.is_layer()) line("lies on", hex(file.base_id));
  if (!file.note.empty()) line("note", printable(file.note));
  return text;
}

std::string describe_as_json(const std::string& path, const SavedFile& file) {
  std::string text = "{\"file\": " + json_text(path);
  const auto number = [&text](const char* name, std::uint64_t value) {
    text.append(", \"").append(name).append("\": ").append(std::to_string(value));
  };
  number("capacity", file.capacity);
  number("pages", file.pages);
  number("page_bytes", file.page_bytes);
  number("file_bytes", file.file_bytes);
  number("address", file.address);
  number("heap_version", file.heap_version);
  text += std::string(", \"compressed\": ") + (file.is_compressed ? "true" : "false");
  text += ", \"id\": \"" + hex(file.id) + "\", \"base_id\": ";
  text += file.is_layer() ? "\"" + hex(file.base_id) + "\"" : "null";
  return text + ", \"name\": " + json_text(file.name) + ", \"note\": " + json_text(file.note) + "}";
}

Bar::Bar(std::string title, bool quiet) : title_(std::move(title)), on_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

Bar::~Bar() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void Bar::show(std::uint64_t done, std::uint64_t total) {
  using std::chrono::milliseconds;
  const auto now = std::chrono::steady_clock::now();
  if (!on_ || now - begin_ < milliseconds(300) || now - last_ < milliseconds(50)) return;
  last_ = now;
  shown_ = true;
  constexpr std::uint64_t width = 30;
  const std::uint64_t filled = total == 0 ? width : done * width / total;
  std::string bar(filled, '#');
  bar.append(width - filled, '.');
  std::fprintf(stderr, "\r%s [%s] %s of %s\033[K", title_.c_str(), bar.c_str(), readable_bytes(done).c_str(),
               readable_bytes(total).c_str());
  std::fflush(stderr);
}

}  // namespace cow::tool
