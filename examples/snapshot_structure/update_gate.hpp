// Lets a thread that updates without pause stand still between two updates, when another asks for it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace snapshot_structure {

/// The updating thread holds a lock all the time and looks between updates whether someone wants quiet: a load of a
/// word that hardly ever changes. Taking the lock anew for each update would cost as much as a small update, and mostly
/// have it again before the waiting thread is awake.
///
/// Both sides first wait awake, since a snapshot takes less time than putting a thread to sleep and waking it.
///
/// Lives outside the arena: a lock inside would be in each snapshot as it stood then, held by a thread that a clone
/// does not have.
class UpdateGate {
 public:
  /// Held by the thread that updates.
  class Updating {
   public:
    explicit Updating(UpdateGate& gate) : gate_(gate), lock_(gate.mutex_) {}

    /// To be called between two updates. Waits while someone wants quiet.
    void between_updates() {
      if (gate_.nobody_waits()) return;
      lock_.unlock();
      wait_awake([this] { return gate_.nobody_waits(); });
      lock_.lock();
      gate_.reopened_.wait(lock_, [this] { return gate_.nobody_waits(); });
    }

   private:
    UpdateGate& gate_;
    std::unique_lock<std::mutex> lock_;
  };

  /// While this exists, no update is under way, and all earlier ones are visible to the thread that made it.
  class Quiet {
   public:
    explicit Quiet(UpdateGate& gate) : gate_(gate) {
      gate_.wanted_.fetch_add(1, std::memory_order_relaxed);
      if (!wait_awake([this] { return gate_.mutex_.try_lock(); })) gate_.mutex_.lock();
    }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;
    ~Quiet() {
      gate_.wanted_.fetch_sub(1, std::memory_order_relaxed);
      gate_.mutex_.unlock();
      gate_.reopened_.notify_one();
    }

   private:
    UpdateGate& gate_;
  };

 private:
  bool nobody_waits() const noexcept { return wanted_.load(std::memory_order_relaxed) == 0; }

  /// Tries for some microseconds; gives whether it came true.
  template <class Condition>
  static bool wait_awake(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
    do {
      if (condition()) return true;
    } while (std::chrono::steady_clock::now() < end);
    return false;
  }

  std::mutex mutex_;
  std::condition_variable reopened_;
  std::atomic<int> wanted_ = 0;
};

}  // namespace snapshot_structure
