// str2 = str1; str1[1] = 'q'; str2[1] = 'w'; with a string that shares its pages and with std::string.
// See README.md beside this file for what it shows.
#include <cow/cow.hpp>

#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../support/command_line.hpp"
#include "../support/file_text.hpp"
#include "../support/measure.hpp"
#include "experiment.hpp"
#include "shared_string.hpp"

namespace {

using namespace copy_on_write_string;
using examples::pages_copied;

constexpr const char* usage_text = R"(usage: copy_on_write_string [OPTION]... [FILE]

Copies a long string and writes one letter to the original and one to the copy: with strings that
share their pages, and with std::string. FILE's content, over and over, is the string's
(default: a sentence).

  --mib N     the length of the string in MiB, 1 to 65536 (default: 256)
  --help      print this

Exit status: 0 all strings are right, and one page of each shared one was copied; 1 they are not,
or it could not run; 2 wrong usage.
)";

struct Options {
  std::size_t bytes = std::size_t{256} << 20;
  std::string file;
};

Options parse_options(std::span<const char* const> given) {
  Options options;
  for (examples::Arguments arguments(given); !arguments.empty();) {
    const std::string_view argument = arguments.next();
    if (argument == "--mib") options.bytes = arguments.number_after(argument, 1, 65'536) << 20;
    else if (argument.empty() || argument[0] == '-') examples::refuse("no such option", argument);
    else if (!options.file.empty()) examples::refuse("a second file", argument);
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

int run(std::span<const char* const> arguments) {
  const Options options = parse_options(arguments);
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
  return examples::done;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::run_program("copy_on_write_string", usage_text, argc, argv, run);
}
