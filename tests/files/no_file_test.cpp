// Promise: what is no file that can be read at any offset is refused at once, with what to do; a descriptor of it
// loads.
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <array>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <thread>

#include <fcntl.h>

#include "files/saved.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 30;

class NoFile : public testing::Test {
 protected:
  NoFile() { arena.paint_run(3, 20, 3); }

  static std::string refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  }
  /// By each call that opens a file; by the one that says something else, if there is such.
  std::string refusals(const std::filesystem::path& path) {
    const std::string why = refusal([&] { (void)inspect(path); });
    EXPECT_EQ(refusal([&] { (void)load(path, {}); }), why);
    EXPECT_EQ(refusal([&] { verify(path); }), why);
    EXPECT_EQ(refusal([&] { squash({path}, folder / "into", unsynced()); }), why);
    return why;
  }

  Folder folder{memory_folder()};
  Painted arena = painted(pages);
};

TEST_F(NoFile, pipes_devices_and_sockets_are_refused_and_nobody_waits_for_their_other_end) {
  ::alarm(20);  // ends a test that waits
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder / "socket").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  for (const std::filesystem::path& path :
       {folder / "pipe", folder / "socket", std::filesystem::path("/dev/zero"), std::filesystem::path("/dev/null")}) {
    const std::string why = refusals(path);
    EXPECT_NE(why.find("it is a pipe, a device or a socket"), std::string::npos) << path << ": " << why;
    EXPECT_NE(why.find(path.filename().string()), std::string::npos) << why;
  }
  ::close(socket);
  ::alarm(0);
}

TEST_F(NoFile, a_folder_is_refused_with_what_to_name_instead) {
  EXPECT_NE(refusals(folder.path()).find("it is a folder; name the saved file in it"), std::string::npos);
  const int fd = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  EXPECT_NE(refusal([&] { (void)load(fd, {}); }).find("it is a folder"), std::string::npos);
  ::close(fd);
}

TEST_F(NoFile, a_descriptor_of_an_endless_device_is_refused_by_its_first_bytes) {
  const int fd = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  EXPECT_NE(refusal([&] { (void)load(fd, {}); }).find("it is no saved file"), std::string::npos);
  ::close(fd);
}

TEST_F(NoFile, a_descriptor_that_does_not_wait_is_refused_with_what_to_do) {
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  EXPECT_NE(refusal([&] { (void)load(ends[0], {}); }).find("O_NONBLOCK"), std::string::npos);
  for (const int end : ends) ::close(end);
}

TEST_F(NoFile, a_named_pipe_carries_a_save_from_descriptor_to_descriptor) {
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const Snapshot snapshot = arena.arena().snapshot();
  std::thread writer([&] {
    const int fd = ::open((folder / "pipe").c_str(), O_WRONLY | O_CLOEXEC);
    save(snapshot, fd, {});
    ::close(fd);
  });
  const int fd = ::open((folder / "pipe").c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_TRUE(shows(load(fd, {}), arena.picture()));
  ::close(fd);
  writer.join();
}

TEST_F(NoFile, files_without_a_name_load) {
  const Snapshot snapshot = arena.arena().snapshot();
  const int memory = ::memfd_create("saved", MFD_CLOEXEC);
  save(snapshot, memory, {});
  EXPECT_TRUE(shows(load(memory, {}), arena.picture()));
  ::close(memory);
  save(snapshot, folder / "a", unsynced());
  const int fd = ::open((folder / "a").c_str(), O_RDONLY | O_CLOEXEC);
  std::filesystem::remove(folder / "a");
  EXPECT_TRUE(shows(load(fd, {}), arena.picture()));
  ::close(fd);
}

}  // namespace
}  // namespace cow::test
