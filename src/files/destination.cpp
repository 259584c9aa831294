// See files/destination.hpp.
#include "files/destination.hpp"

#include <array>
#include <cerrno>

#include "files/error.hpp"

namespace cow::files {
namespace {

constexpr int most_links = 40;  // as the kernel has it

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

std::filesystem::path link_at(const Destination& to, const std::string& doing) {
  if (!os::link_can_be_trusted(*to.old, value_or_fail(os::kind_of(to.directory.get()), doing))) {
    fail({EACCES}, doing + ", which is another user's link in a folder for everybody");
  }
  std::array<char, 4096> text;
  const auto length = os::read_link(to.directory.get(), to.name.c_str(), text.data(), text.size());
  return std::string(text.data(), value_or_fail(length, doing));
}

void check_kind(const os::FileKind& old, const std::string& doing) {
  if (old.what == os::FileKind::What::directory) fail({EISDIR}, doing);
  if (old.is_regular()) return;
  throw std::system_error(
      std::make_error_code(std::errc::not_supported),
      "cow: " + doing + ", which is a pipe, a device or a socket; open it, and save to its descriptor");
}

/// What a link in /proc leads to, as a descriptor's number does, whatever its text says; else nothing.
std::optional<os::FileKind> behind_link_of_proc(const Destination& to, const std::string& doing) {
  if (!os::is_of_proc(to.directory.get())) return {};
  const os::FileKind behind = value_or_fail(os::kind_behind(to.directory.get(), to.name.c_str()), doing);
  check_kind(behind, doing);
  return behind;
}

void check_that_it_leads_to(const os::FileKind& wanted, const Destination& to, const std::string& doing) {
  if (to.old && to.old->device == wanted.device && to.old->file == wanted.file) return;
  throw std::system_error(std::make_error_code(std::errc::not_supported),
                          "cow: " + doing + ", which leads to an open file without a name; save to its descriptor");
}

}  // namespace

Destination Destination::of(const std::filesystem::path& path, const std::string& doing) {
  Destination to;
  std::filesystem::path rest = path;
  std::optional<os::FileKind> wanted;
  for (int links = 0;; ++links) {
    if (links > most_links) fail({ELOOP}, doing);
    if (!rest.has_filename()) fail({rest.empty() ? ENOENT : EISDIR}, doing);
    const std::filesystem::path directory = directory_of(rest);
    to.directory = OwnedFile(value_or_fail(
        links == 0 ? os::open_directory(directory.c_str()) : os::open_directory(to.directory.get(), directory.c_str()),
        doing));
    to.name = rest.filename().string();
    const auto there = os::kind_of(to.directory.get(), to.name.c_str());
    if (there.error.code == ENOENT) break;
    to.old = value_or_fail(there, doing);
    if (to.old->what != os::FileKind::What::link) break;
    if (!wanted) wanted = behind_link_of_proc(to, doing);
    rest = link_at(to, doing);
    to.old.reset();
  }
  if (wanted) check_that_it_leads_to(*wanted, to, doing);
  if (to.old) check_kind(*to.old, doing);
  return to;
}

}  // namespace cow::files
