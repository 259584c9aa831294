// See files/output.hpp. The order on the disk: content, its end, its name.
#include "files/output.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include "files/error.hpp"
#include "kernel/disk.hpp"

namespace cow::files {
namespace {

constexpr std::size_t worth_a_call = std::size_t{1} << 16;

std::string random_text() {
  std::uint64_t number = 0;
  fail_if(os::random_bytes(&number, sizeof number), "choosing a name for a new file");
  std::string text(16, '0');
  for (char& c : text) c = "0123456789abcdef"[number & 15], number >>= 4;
  return text;
}

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

PathOutput::PathOutput(const std::filesystem::path& path, bool sync)
    : Output("saving to \"" + path.string() + "\""), path_(path), sync_(sync) {
  if (!path.has_filename()) fail({EISDIR}, doing());
  const std::filesystem::path directory = directory_of(path);
  if (sync) directory_ = OwnedFile(value_or_fail(os::open_directory(directory.c_str()), doing()));
  const std::string name = path.filename().string().substr(0, 200);  // a name may have 255 bytes
  part_ = directory / ("." + name + "." + random_text() + ".cow-part");
  file_ = OwnedFile(value_or_fail(os::create_to_write(part_.c_str()), doing()));
}

PathOutput::~PathOutput() {
  if (!part_.empty() && file_.get().number != -1) os::remove_file(part_.c_str());
}

void PathOutput::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  const bool follows = offset == waiting_at_ + waiting_.size() && waiting_.size() < worth_a_call;
  if (!follows || bytes.size() >= worth_a_call) write_waiting();
  if (bytes.size() < worth_a_call) {
    if (waiting_.empty()) waiting_at_ = offset;
    waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
  } else {
    fail_if(os::write_to_disk(file_.get(), bytes.data(), bytes.size(), offset), doing());
  }
  written_ += bytes.size();
}

void PathOutput::write_waiting() {
  if (waiting_.empty()) return;
  fail_if(os::write_to_disk(file_.get(), waiting_.data(), waiting_.size(), waiting_at_), doing());
  waiting_.clear();
}

void PathOutput::commit(std::uint64_t offset, std::span<const std::byte> last) {
  write_waiting();
  if (sync_) fail_if(os::sync_content(file_.get()), doing());
  write(offset, last);
  write_waiting();
  if (sync_) fail_if(os::sync_content(file_.get()), doing());
  fail_if(os::rename_over(part_.c_str(), path_.c_str()), doing());
  part_.clear();
  if (sync_) fail_if(os::sync_names(directory_.get()), doing());
}

DescriptorOutput::DescriptorOutput(int fd) : Output("saving to descriptor " + std::to_string(fd)), fd_(fd) {}

void DescriptorOutput::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  static constexpr std::array<std::byte, 4096> zeros{};
  while (written_ < offset) {
    const std::size_t some = std::min<std::uint64_t>(zeros.size(), offset - written_);
    fail_if(os::write_on(fd_, zeros.data(), some), doing());
    written_ += some;
  }
  fail_if(os::write_on(fd_, bytes.data(), bytes.size()), doing());
  written_ += bytes.size();
}

}  // namespace cow::files
