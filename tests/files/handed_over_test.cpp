// Promise: a saved file goes through a pipe; in a sealed memory file another process loads it and cannot write to it; a
// heap comes along with its root, and raw pointers hold at the saved address.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "files/saved.hpp"
#include "support/child.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 600;

Painted something() {
  Painted before = painted(pages);
  before.paint_run(1, 300, 3);
  for (std::size_t page = 400; page < pages; page += 9) before.paint(page, page);
  return before;
}

TEST(HandedOver, through_a_pipe) {
  Painted before = something();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::thread writer([&] {
    save(before.arena().snapshot(), ends[1], {});
    ::close(ends[1]);
  });
  const Arena loaded = load(ends[0], {});
  writer.join();
  ::close(ends[0]);
  EXPECT_TRUE(shows(loaded, before.picture()));
}

TEST(HandedOver, through_a_pipe_that_ends_early_is_refused) {
  Painted before = something();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::thread reader([&] {
    char some[100000];
    for (std::size_t got = 0; got < sizeof some;) {
      const ssize_t more = ::read(ends[0], some, sizeof some - got);
      if (more <= 0) break;
      got += static_cast<std::size_t>(more);
    }
    ::close(ends[0]);
  });
  EXPECT_TRUE(throws_exactly<std::system_error>([&] { save(before.arena().snapshot(), ends[1], {}); }));  // no SIGPIPE
  reader.join();
  ::close(ends[1]);
  int short_ends[2];
  ASSERT_EQ(::pipe2(short_ends, O_CLOEXEC), 0);
  ASSERT_EQ(::write(short_ends[1],
                    "\x89"
                    "cow",
                    4),
            4);
  ::close(short_ends[1]);
  EXPECT_TRUE(throws_exactly<std::runtime_error>([&] { (void)load(short_ends[0], {}); }));
  ::close(short_ends[0]);
}

void send_descriptor(int socket, int fd) {
  char byte = 'x';
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ASSERT_EQ(::sendmsg(socket, &message, 0), 1);
}

int received_descriptor(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) return -1;
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  return fd;
}

Picture expected_picture() {
  Picture picture(pages, 0);
  std::fill_n(picture.begin() + 1, 300, 3);
  for (std::size_t page = 400; page < pages; page += 9) picture[page] = page;
  return picture;
}

COW_CHILD_BODY(load_what_comes_by_the_socket) {
  const int fd = received_descriptor(std::stoi(argument));
  CHECK_IN_CHILD(fd != -1);
  Painted loaded(load(fd, {}), expected_picture());
  CHECK_IN_CHILD(loaded.is_right());
  loaded.paint_run(0, pages, 9);  // in memory of its own
  CHECK_IN_CHILD(loaded.is_right());
  CHECK_IN_CHILD(::write(fd, "x", 1) == -1 && errno == EPERM);
  CHECK_IN_CHILD(::mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
  CHECK_IN_CHILD(shows(load(fd, {}), expected_picture()));
  return 0;
}

TEST(HandedOver, in_a_sealed_memory_file_by_a_socket) {
  Painted before = something();
  const int file = ::memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  save(before.arena().snapshot(), file, {});
  ASSERT_EQ(::fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  const Child child = start_child("load_what_comes_by_the_socket", std::to_string(ends[1]));
  send_descriptor(ends[0], file);
  const ChildResult result = wait_for(child);
  EXPECT_TRUE(result.exited_with(0)) << result.how();
  EXPECT_TRUE(shows(load(file, {}), before.picture()));
  for (const int fd : {file, ends[0], ends[1]}) ::close(fd);
}

struct Node {
  Node* next;
  int value;
};

TEST(SavedHeap, tells_what_capacity_it_was_made_for_where_it_is_loaded_at_another) {
  const Folder folder(memory_folder());
  {
    Arena arena({.capacity = 64 * page_size()});
    const Heap heap(arena);
    save(arena.snapshot(), folder / "heap");
  }
  Arena larger = load(folder / "heap", {.capacity = 128 * page_size()});
  const auto refused = throws_exactly<std::invalid_argument>([&] { const Heap heap(larger); });
  EXPECT_TRUE(refused);
  const std::string made_for = "was made for " + std::to_string(64 * page_size());
  EXPECT_NE(std::string(refused.message()).find(made_for), std::string::npos) << refused.message();
}

TEST(SavedHeap, comes_along_with_its_root_and_raw_pointers_at_the_saved_address) {
  const Folder folder;
  {
    Arena arena({.capacity = std::size_t{64} << 20});
    Heap heap(arena);
    Node* first = nullptr;
    for (int i = 0; i < 1000; ++i) first = heap.create<Node>(first, i);
    heap.set_root(first);
    save(arena.snapshot(), folder / "a", unsynced());
  }
  EXPECT_EQ(inspect(folder / "a").heap_version, 1U);
  LoadOptions options;
  options.at_saved_address = true;
  Arena arena = load(folder / "a", options);
  Heap heap(arena);
  int sum = 0;
  for (const Node* node = heap.root<Node>(); node != nullptr; node = node->next) sum += node->value;
  EXPECT_EQ(sum, 999 * 500);
  EXPECT_TRUE(heap.check().ok());
  for (int i = 0; i < 1000; ++i) heap.set_root(heap.create<Node>(heap.root<Node>(), i));
  EXPECT_TRUE(heap.check().ok());
  Arena clone = arena.clone();
  EXPECT_TRUE(Heap(clone).check().ok());
}

}  // namespace
}  // namespace cow::test
