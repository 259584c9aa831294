// See files/tool/arguments.hpp.
#include "files/tool/arguments.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

namespace cow::tool {

const char* const help_text =
    R"(usage: cow-file COMMAND [OPTIONS] FILE...

Looks into saved files of the cow library, checks, compares and joins them.

  info FILE...               what each file says of itself
  verify FILE...             reads all of each file and checks it
  diff A B                   where two saved states differ; each is FILE[,LAYER...]
  squash -o INTO FILE...     one file in place of a file and its layers, oldest first
  extract -o INTO FILE...    the content, raw, of a file and its layers; "-" is standard output

  -o, --output PATH          where squash and extract write
      --offset N --bytes N   extract: only these bytes of the arena
      --zstd[=LEVEL]         squash: compressed (level 1)
      --note TEXT            squash: a new note
      --no-sync              squash: do not wait for the disk
      --json                 info, verify and diff: for programs
  -q, --quiet                all but info: no progress bar
      --help, --version

Exit codes: 0 all well; 1 a file is damaged, no saved file, or does not fit, or diff found differences;
2 wrong use; 3 not possible (no such file, no space left).
)";

namespace {

/// Decimal, or hexadecimal as diff prints it.
std::uint64_t number(std::string_view text, const std::string& option) {
  std::string_view digits = text;
  const bool in_hex = digits.substr(0, 2) == "0x";
  if (in_hex) digits.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, in_hex ? 16 : 10);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    throw WrongUse(option + " wants a number, not \"" + std::string(text) + "\"");
  }
  return value;
}

int level(std::string_view text, const std::string& option) {
  constexpr std::uint64_t beyond_all = 1000;
  return static_cast<int>(std::min(number(text, option), beyond_all));
}

/// A name with a comma in it is one, if there is such a file.
Chain chain_of(std::string_view text) {
  std::error_code ignored;
  if (std::filesystem::exists(text, ignored)) return {text};
  Chain chain;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    if (comma == at) throw WrongUse("an empty name in \"" + std::string(text) + "\"");
    chain.emplace_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return chain;
}

/// Which commands take an option; the others refuse it.
constexpr std::pair<std::string_view, std::string_view> takers[] = {
    {"--output", "squash extract"}, {"--offset", "extract"},
    {"--bytes", "extract"},         {"--zstd", "squash"},
    {"--note", "squash"},           {"--no-sync", "squash"},
    {"--json", "info verify diff"}, {"--quiet", "verify diff squash extract"},
};

bool takes(std::string_view commands, std::string_view command) {
  for (std::size_t at = 0; at <= commands.size();) {
    const std::size_t space = std::min(commands.find(' ', at), commands.size());
    if (commands.substr(at, space - at) == command) return true;
    at = space + 1;
  }
  return false;
}

class Parser {
 public:
  Parser(int argc, char** argv) : words_(argv + 1, argv + argc) {}

  Arguments all() {
    for (bool options = true; at_ < words_.size();) {
      const std::string word = words_[at_++];
      if (options && word == "--") {
        options = false;
      } else if (options && word.size() > 1 && word[0] == '-') {
        option(word);
      } else if (arguments_.command.empty()) {
        arguments_.command = word;
      } else {
        arguments_.chains.push_back(chain_of(word));
      }
    }
    check();
    return std::move(arguments_);
  }

 private:
  void option(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    given_.insert(name == "-o" ? "--output" : name == "-q" ? "--quiet" : name);
    const auto value = [&] {
      if (equals != std::string::npos) return word.substr(equals + 1);
      if (at_ == words_.size()) throw WrongUse(name + " wants a value");
      return words_[at_++];
    };
    if (name == "-o" || name == "--output") {
      arguments_.output = value();
    } else if (name == "--offset") {
      arguments_.offset = number(value(), name);
    } else if (name == "--bytes") {
      arguments_.bytes = number(value(), name);
    } else if (name == "--note") {
      arguments_.note = value();
    } else if (name == "--zstd") {
      arguments_.zstd = true;
      arguments_.zstd_level = equals == std::string::npos ? 1 : level(value(), name);
    } else if (word == "--json") {
      arguments_.json = true;
    } else if (word == "--no-sync") {
      arguments_.sync = false;
    } else if (word == "-q" || word == "--quiet") {
      arguments_.quiet = true;
    } else if (word == "--help" || word == "-h" || word == "--version") {
      arguments_.command = word == "-h" ? "--help" : word;
    } else {
      throw WrongUse("there is no option " + word);
    }
  }

  void check() const {
    const std::string& command = arguments_.command;
    if (command == "--help" || command == "--version") return;
    const bool writes = command == "squash" || command == "extract";
    if (!writes && command != "info" && command != "verify" && command != "diff") {
      throw WrongUse(command.empty() ? "which command?" : "there is no command \"" + command + "\"");
    }
    check_options();
    if (arguments_.chains.empty()) throw WrongUse(command + " of which file?");
    if (command == "diff" && arguments_.chains.size() != 2) throw WrongUse("diff compares two");
    if (writes && arguments_.output.empty()) throw WrongUse(command + " wants --output");
  }

  void check_options() const {
    for (const auto& [option, commands] : takers) {
      if (given_.count(std::string(option)) == 0 || takes(commands, arguments_.command)) continue;
      std::string others(commands);
      for (std::size_t at = 0; (at = others.find(' ', at)) != std::string::npos; at += 2) others.replace(at, 1, ", ");
      throw WrongUse(arguments_.command + " has no option " + std::string(option) + ", which is for: " + others);
    }
  }

  const std::vector<std::string> words_;
  std::size_t at_ = 0;
  std::set<std::string> given_;  // by their long names
  Arguments arguments_;
};

}  // namespace

Arguments parse(int argc, char** argv) { return Parser(argc, argv).all(); }

}  // namespace cow::tool
