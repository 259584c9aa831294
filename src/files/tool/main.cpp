// cow-file: saved files from a shell. Exit codes and options: cow-file.1.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>

#include "cow/save.hpp"
#include "files/reader.hpp"
#include "files/tool/arguments.hpp"
#include "files/tool/content.hpp"
#include "files/tool/text.hpp"

namespace cow::tool {
namespace {

/// Runs f for each file; what is wrong with one is told, and the others follow. The exit code is the highest.
template <class F>
int for_each_file(const Arguments& arguments, F&& f) {
  int code = all_well;
  bool first = true;
  if (arguments.json) std::fputs("[", stdout);
  for (const Chain& chain : arguments.chains) {
    for (const auto& path : chain) {
      if (arguments.json && !first) std::fputs(",\n ", stdout);
      first = false;
      try {
        f(path);
      } catch (const std::system_error& error) {
        code = std::max(code, not_possible);
        std::fprintf(stderr, "cow-file: %s\n", error.what());
        if (arguments.json)
          std::printf("{\"file\": %s, \"error\": %s}", json_text(path.string()).c_str(),
                      json_text(error.what()).c_str());
      } catch (const std::runtime_error& error) {
        code = std::max(code, differs_or_damaged);
        std::fprintf(stderr, "cow-file: %s\n", error.what());
        if (arguments.json)
          std::printf("{\"file\": %s, \"error\": %s}", json_text(path.string()).c_str(),
                      json_text(error.what()).c_str());
      }
    }
  }
  if (arguments.json) std::fputs("]\n", stdout);
  return code;
}

int info(const Arguments& arguments) {
  return for_each_file(arguments, [&](const std::filesystem::path& path) {
    const SavedFile file = inspect(path);
    std::fputs((arguments.json ? describe_as_json(path.string(), file) : describe(path.string(), file)).c_str(),
               stdout);
  });
}

int check(const Arguments& arguments) {
  return for_each_file(arguments, [&](const std::filesystem::path& path) {
    Bar bar("verifying", arguments.quiet);
    files::Reader reader = files::Reader::open(path);
    reader.check_all([&](std::uint64_t done, std::uint64_t total) { bar.show(done, total); });
    if (arguments.json) {
      std::printf("{\"file\": %s, \"ok\": true}", json_text(path.string()).c_str());
    } else {
      std::printf("%s: all well\n", path.c_str());
    }
  });
}

int join(const Arguments& arguments) {
  std::vector<std::filesystem::path> files;
  for (const Chain& chain : arguments.chains) files.insert(files.end(), chain.begin(), chain.end());
  Bar bar("squashing", arguments.quiet);
  SaveOptions options;
  options.note = arguments.note;
  options.sync = arguments.sync;
  options.compression = arguments.zstd ? Compression::zstd : Compression::none;
  options.level = arguments.zstd_level;
  options.progress = [&bar](const SaveProgress& progress) {
    bar.show(progress.bytes_done, progress.bytes_total);
    return true;
  };
  squash(files, arguments.output, options);
  return all_well;
}

int run(const Arguments& arguments) {
  const std::string& command = arguments.command;
  if (command == "--help") return std::fputs(help_text, stdout), all_well;
  if (command == "--version") return std::puts("cow-file " COW_VERSION), all_well;
  if (command == "info") return info(arguments);
  if (command == "verify") return check(arguments);
  if (command == "diff") return diff(arguments);
  if (command == "squash") return join(arguments);
  return extract(arguments);
}

int guarded(int argc, char** argv) {
  try {
    const int code = run(parse(argc, argv));
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      throw std::system_error(errno, std::generic_category(), "standard output");
    return code;
  } catch (const WrongUse& error) {
    std::fprintf(stderr, "cow-file: %s\nTry: cow-file --help\n", error.what());
    return wrong_use;
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "cow-file: %s\n", error.what());
    return wrong_use;
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "cow-file: %s\n", error.what());
    return not_possible;
  } catch (const std::runtime_error& error) {
    std::fprintf(stderr, "cow-file: %s\n", error.what());
    return differs_or_damaged;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cow-file: %s\n", error.what());
    return not_possible;
  }
}

}  // namespace
}  // namespace cow::tool

int main(int argc, char** argv) { return cow::tool::guarded(argc, argv); }
