// The worker's process and the pipes to it.
#include "worker.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include "bound_child.hpp"
#include "competitors/memory.hpp"

namespace bench {
namespace {

enum class Outcome { done, ended, wrong };

struct Reply {
  Outcome outcome = Outcome::done;
  Sample sample;
  std::array<char, 160> note{};
};
static_assert(std::is_trivially_copyable_v<Reply> && sizeof(Reply) < 4096, "one atomic write into a pipe");

int reply_descriptor = -1;  // in the worker: where give_up() answers

void send(const Reply& reply) noexcept {
  if (::write(reply_descriptor, &reply, sizeof reply) != sizeof reply) ::_exit(1);
}

Reply reply_with(Outcome outcome, std::string_view note) noexcept {
  Reply reply;
  reply.outcome = outcome;
  note.copy(reply.note.data(), reply.note.size() - 1);
  return reply;
}

void serve(const TrialMaker& make, int commands) {
  const std::unique_ptr<Trial> trial = make();
  trial->check();
  send(reply_with(Outcome::done, trial->note()));
  unsigned cycles = 0;
  while (::read(commands, &cycles, sizeof cycles) == sizeof cycles) {
    std::vector<Sample> samples;
    for (unsigned i = 0; i < cycles; ++i) samples.push_back(trial->cycle());
    Reply reply = reply_with(Outcome::done, trial->note());
    reply.sample = median_of(samples);
    send(reply);
  }
}

[[noreturn]] void run_worker(const TrialMaker& make, int commands) {
  try {
    serve(make, commands);
  } catch (const WrongAnswer& error) {
    send(reply_with(Outcome::wrong, std::string("WRONG ANSWER: ") + error.what()));
  } catch (const std::exception& error) {
    send(reply_with(Outcome::ended, error.what()));
  }
  ::_exit(0);
}

}  // namespace

void give_up(const char* why) noexcept {
  send(reply_with(Outcome::ended, why));
  ::_exit(0);
}

Worker::Worker(const TrialMaker& make) {
  std::array<int, 2> commands{}, replies{};
  if (::pipe2(commands.data(), O_CLOEXEC) != 0 || ::pipe2(replies.data(), O_CLOEXEC) != 0) throw_errno("pipe");
  pid_ = fork_bound_child();
  if (pid_ < 0) throw_errno("fork of a worker");
  if (pid_ == 0) {
    ::close(commands[1]);
    ::close(replies[0]);
    reply_descriptor = replies[1];
    run_worker(make, commands[0]);
  }
  ::close(commands[0]);
  ::close(replies[1]);
  commands_ = commands[1];
  replies_ = replies[0];
  alive_ = true;
  receive();
}

Worker::~Worker() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(commands_);
  ::close(replies_);
}

std::optional<Sample> Worker::round(unsigned cycles) {
  if (!alive_ || ::write(commands_, &cycles, sizeof cycles) != sizeof cycles) return std::nullopt;
  return receive();
}

std::optional<Sample> Worker::receive() {
  Reply reply;
  if (::read(replies_, &reply, sizeof reply) != sizeof reply) {
    reply = reply_with(Outcome::ended, "its process died");
    int status = 0;
    if (::waitpid(std::exchange(pid_, -1), &status, 0) > 0 && WIFSIGNALED(status)) {
      reply = reply_with(Outcome::ended, std::string("its process died: ") + ::strsignal(WTERMSIG(status)));
    }
  }
  note_ = reply.note.data();
  wrong_ = reply.outcome == Outcome::wrong;
  alive_ = reply.outcome == Outcome::done;
  if (!alive_) return std::nullopt;
  return reply.sample;
}

}  // namespace bench
