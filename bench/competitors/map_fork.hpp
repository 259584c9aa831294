// Map competitor: fork() of a process that holds a std::map. The child reads the old on demand and times itself, so
// that no waiting between processes is counted; it is reaped when dropped, which is not counted either.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <map>
#include <utility>

#include "bound_child.hpp"
#include "competitors/memory.hpp"
#include "competitors/ordered_map.hpp"

namespace bench {

class MapFork {
 public:
  static constexpr std::string_view label = "std::map, fork";
  static constexpr bool drop_counts = false;

  explicit MapFork(std::span<const Key> keys) {
    for (const Key key : keys) map_.emplace(key, key);
    if (::pipe(ask_.data()) != 0 || ::pipe(answer_.data()) != 0) throw_errno("pipe");
  }
  MapFork(const MapFork&) = delete;
  MapFork& operator=(const MapFork&) = delete;
  ~MapFork() {
    drop();
    for (const int descriptor : {ask_[0], ask_[1], answer_[0], answer_[1]}) ::close(descriptor);
  }

  void drop() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(std::exchange(child_, -1), nullptr, 0);
  }
  void snapshot() {
    child_ = fork_bound_child();
    if (child_ < 0) throw_errno("fork");
    if (child_ == 0) answer_until_killed();
  }
  void update(std::span<const Update> updates) {
    for (const Update& update : updates) map_.find(update.key)->second = update.value;
  }
  Reading read_old(std::span<const Key> keys) {
    const std::size_t count = keys.size();
    Reading reading;
    if (::write(ask_[1], &count, sizeof count) < 0 || ::write(ask_[1], keys.data(), keys.size_bytes()) < 0 ||
        ::read(answer_[0], &reading, sizeof reading) != sizeof reading) {
      throw_errno("asking the child");
    }
    return reading;
  }
  std::uint64_t read_new(std::span<const Key> keys) const { return timed_sum(map_, keys).sum; }

 private:
  static constexpr std::size_t most_keys = 4096;

  [[noreturn]] void answer_until_killed() {
    static std::array<Key, most_keys> keys;
    for (std::size_t count = 0; ::read(ask_[0], &count, sizeof count) == sizeof count && count <= most_keys;) {
      receive(keys.data(), count * sizeof(Key));
      const Reading reading = timed_sum(map_, std::span(keys).first(count));
      if (::write(answer_[1], &reading, sizeof reading) < 0) break;
    }
    ::_exit(1);
  }

  void receive(void* out, std::size_t bytes) const {
    for (std::size_t done = 0; done < bytes;) {
      const auto got = ::read(ask_[0], static_cast<std::byte*>(out) + done, bytes - done);
      if (got <= 0) ::_exit(1);
      done += static_cast<std::size_t>(got);
    }
  }

  std::map<Key, std::uint64_t> map_;
  std::array<int, 2> ask_{}, answer_{};
  pid_t child_ = -1;
};
static_assert(OrderedMap<MapFork>);

}  // namespace bench
