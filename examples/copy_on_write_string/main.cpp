// str2 = str1; str1[1] = 'q'; str2[1] = 'w'; with a string that shares its pages and with std::string.
// See README.md beside this file for what it shows.
#include <cow/cow.hpp>

#include <charconv>
#include <cstdio>
#include <exception>
#include <new>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../support/file_text.hpp"
#include "experiment.hpp"
#include "shared_string.hpp"

namespace {

using namespace copy_on_write_string;

constexpr const char* usage_text = R"(usage: copy_on_write_string [OPTION]... [FILE]

Copies a long string and writes one letter to the original and one to the copy: with strings that
share their pages, and with std::string. FILE's content, over and over, is the string's
(default: a sentence).

  --mib N     the length of the string in MiB, 1 to 65536 (default: 256)
  --help      print this

Exit status: 0 all strings are right, and one page of each shared one was copied; 1 they are not,
or it could not run; 2 wrong usage.
)";

enum ExitStatus { right = 0, failed = 1, wrong_usage = 2 };

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Options {
  std::size_t bytes = std::size_t{256} << 20;
  std::string file;
  bool help = false;
};

[[noreturn]] void refuse(const std::string& why, std::string_view argument) {
  throw UsageError(why + ": '" + std::string(argument) + "'");
}

std::size_t mib_to_bytes(std::string_view text) {
  std::size_t mib = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mib);
  if (error != std::errc{} || end != text.data() + text.size() || mib < 1 || mib > 65'536) {
    throw UsageError("--mib takes a number from 1 to 65536, not '" + std::string(text) + "'");
  }
  return mib << 20;
}

Options parse_options(std::span<const char* const> arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--help") options.help = true;
    else if (argument == "--mib") options.bytes = mib_to_bytes(i + 1 < arguments.size() ? arguments[++i] : "");
    else if (argument.empty() || argument[0] == '-') refuse("no such option", argument);
    else if (!options.file.empty()) refuse("a second file", argument);
    else options.file = argument;
  }
  return options;
}

std::string text_of(const std::string& path) {
  if (path.empty()) return "What is not written is never copied. ";
  std::string text = examples::file_text(path);
  if (text.empty()) throw std::runtime_error(path + " is empty");
  return text;
}

/// How many pages of a copied string are still those of both, and how many each of the two copied.
struct Pages {
  std::uint64_t shared = 0, copied_by_str1 = 0, copied_by_str2 = 0;
};

std::uint64_t pages_copied(const cow::ArenaStats& stats) { return stats.pages_moved + stats.pages_to_history; }

Pages pages_of(const SharedString& str1, const SharedString& str2) {
  const cow::ArenaStats first = str1.stats(), second = str2.stats();
  // The page that both wrote is shared no longer; what the copy has not written it borrows.
  return {second.pages_borrowed, pages_copied(first), pages_copied(second)};
}

Pages pages_of(const std::string&, const std::string& str2) {
  return {0, 0, (str2.size() + cow::page_size() - 1) / cow::page_size()};
}

void print_pointers(const char* what, const void* shared, const void* plain) {
  std::printf("%-34s %18p %18p\n", what, shared, plain);
}
void print_times(const char* what, double shared, double plain) {
  std::printf("%-34s %18.1f %18.1f\n", what, shared, plain);
}
void print_counts(const char* what, std::uint64_t shared, std::uint64_t plain) {
  std::printf("%-34s %18llu %18llu\n", what, static_cast<unsigned long long>(shared),
              static_cast<unsigned long long>(plain));
}

void print_table(const Outcome& shared, const Pages& shared_pages, const Outcome& plain, const Pages& plain_pages) {
  std::printf("%-34s %18s %18s\n", "", "SharedString", "std::string");
  print_pointers("str1 lies at", shared.addresses[0], plain.addresses[0]);
  print_pointers("str2 lies at", shared.addresses[1], plain.addresses[1]);
  print_times("protecting what was filled, us", shared.seal_us, plain.seal_us);
  print_times("str2 = str1, us", shared.copy_us, plain.copy_us);
  print_counts("memory that it took, KiB", shared.copy_bytes / 1024, plain.copy_bytes / 1024);
  print_times("str1[1] = 'q', us", shared.write_us[0], plain.write_us[0]);
  print_times("str2[1] = 'w', us", shared.write_us[1], plain.write_us[1]);
  print_counts("memory that the two took, KiB", shared.write_bytes / 1024, plain.write_bytes / 1024);
  print_counts("pages that both share, in the end", shared_pages.shared, plain_pages.shared);
  print_counts("pages copied for str1", shared_pages.copied_by_str1, plain_pages.copied_by_str1);
  print_counts("pages copied for str2", shared_pages.copied_by_str2, plain_pages.copied_by_str2);
}

ExitStatus run(const Options& options) {
  const std::string text = text_of(options.file);
  std::printf("A string of %zu MiB, in pages of %zu bytes\n\n", options.bytes >> 20, cow::page_size());

  Outcome plain;
  Pages plain_pages;
  {
    std::string str1, str2;
    str1.reserve(options.bytes);
    fill(str1, options.bytes, text);
    plain = copy_and_write(str1, str2, text);
    plain_pages = pages_of(str1, str2);
  }
  SharedString str1(options.bytes), str2;
  fill(str1, options.bytes, text);
  const Outcome shared = copy_and_write(str1, str2, text);
  const Pages shared_pages = pages_of(str1, str2);

  print_table(shared, shared_pages, plain, plain_pages);
  std::printf("\nstr1 begins '%.8s', str2 '%.8s'.\n", str1.data(), str2.data());
  if (!shared.contents_are_right || !plain.contents_are_right) {
    throw std::runtime_error("a string is not what it should be");
  }
  if (shared_pages.copied_by_str1 != 1 || shared_pages.copied_by_str2 != 1) {
    throw std::runtime_error("another number of pages than one was copied for a letter");
  }
  std::printf("Every other letter of all four was compared, and is what it was.\n");
  return right;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse_options({argv + 1, static_cast<std::size_t>(argc - 1)});
    if (options.help) {
      std::fputs(usage_text, stdout);
      return right;
    }
    return run(options);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "copy_on_write_string: %s\nTry copy_on_write_string --help\n", error.what());
    return wrong_usage;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "copy_on_write_string: out of memory\n");
    return failed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "copy_on_write_string: %s\n", error.what());
    return failed;
  }
}
