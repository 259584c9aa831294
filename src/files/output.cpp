// See files/output.hpp. The order on the disk: content, its end, its name.
#include "files/output.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>

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

}  // namespace

Output::Output(std::string doing) : doing_(std::move(doing)), process_(os::process_generation()) {}

void Output::check_process() const {
  if (of_this_process()) return;
  throw std::logic_error("cow: " + doing_ + " in a fork() child of the process that has begun it, and goes on with it");
}

void Output::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  check_process();
  do_write(offset, bytes);
}

void Output::commit(std::uint64_t offset, std::span<const std::byte> last) {
  check_process();
  do_commit(offset, last);
}

PathOutput::PathOutput(const std::filesystem::path& path, bool sync)
    : Output("saving to \"" + path.string() + "\""), to_(Destination::of(path, doing())), sync_(sync) {
  const os::Descriptor& directory = to_.directory.get();
  if (sync) to_sync_ = OwnedFile(value_or_fail(os::open_to_sync(directory), doing()));
  part_ = "." + to_.name.substr(0, 200) + "." + random_text() + ".cow-part";  // a name may have 255 bytes
  part_by_path_ = path;
  part_by_path_.replace_filename(part_);
  constexpr unsigned of_nobody_else = 0600, as_the_umask_says = 0666;
  file_ = OwnedFile(value_or_fail(
      os::create_to_write(directory, part_.c_str(), to_.old ? of_nobody_else : as_the_umask_says), doing()));
  if (to_.old) os::set_owner_and_permissions(file_.get(), *to_.old);
}

PathOutput::~PathOutput() {
  if (part_.empty() || file_.get().number == -1 || !of_this_process()) return;
  if (os::remove_file(to_.directory.get(), part_.c_str())) return;
  os::remove_file(part_by_path_.c_str());
}

void PathOutput::do_write(std::uint64_t offset, std::span<const std::byte> bytes) {
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

void PathOutput::do_commit(std::uint64_t offset, std::span<const std::byte> last) {
  write_waiting();
  if (sync_) fail_if(os::sync_content(file_.get()), doing());
  do_write(offset, last);
  write_waiting();
  if (sync_) fail_if(os::sync_content(file_.get()), doing());
  fail_if(os::rename_over(to_.directory.get(), part_.c_str(), to_.name.c_str()), doing());
  part_.clear();
  if (sync_) fail_if(os::sync_names(to_sync_.get()), doing());
}

DescriptorOutput::DescriptorOutput(int fd) : Output("saving to descriptor " + std::to_string(fd)), fd_(fd) {
  const os::FileKind kind = value_or_fail(os::kind_of(fd), this->doing());
  if (kind.what == os::FileKind::What::directory) fail({EISDIR}, this->doing());
  if (kind.is_regular()) is_ = kind;
}

void DescriptorOutput::do_write(std::uint64_t offset, std::span<const std::byte> bytes) {
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
