// Promise: a save goes where its path led when it began, whatever the process does meanwhile; what it replaces keeps
// its permissions, and links stay links.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>
#include <functional>
#include <stdexcept>
#include <system_error>

#include "files/saved.hpp"
#include "kernel/os.hpp"
#include "support/environment.hpp"
#include "support/limits.hpp"
#include "support/throws.hpp"

namespace cow::test {
namespace {

constexpr std::size_t pages = 2000;

struct stat status_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}
unsigned permissions_of(const std::filesystem::path& path) { return status_of(path).st_mode & 07777; }

class CurrentFolder {
 public:
  explicit CurrentFolder(const std::filesystem::path& path) { std::filesystem::current_path(path); }
  ~CurrentFolder() { std::filesystem::current_path(before_); }
  CurrentFolder(const CurrentFolder&) = delete;
  CurrentFolder& operator=(const CurrentFolder&) = delete;

 private:
  std::filesystem::path before_ = std::filesystem::current_path();
};

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(::umask(mask)) {}
  ~Umask() { ::umask(before_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  mode_t before_;
};

class Destination : public testing::Test {
 protected:
  Destination() {
    arena.paint_run(0, pages, 3);
    snapshot = arena.arena().snapshot();
  }

  /// Saves, and calls `once` when a part is written.
  void save_with(const std::filesystem::path& path, bool sync, const std::function<bool()>& once) {
    SaveOptions options;
    options.sync = sync;
    bool called = false;
    options.progress = [&](const SaveProgress&) { return std::exchange(called, true) || once(); };
    save(snapshot, path, options);
    EXPECT_TRUE(called);
  }
  std::string why_not(const std::filesystem::path& path) {
    try {
      save(snapshot, path, unsynced());
    } catch (const std::system_error& error) {
      return error.what();
    }
    return "";
  }
  bool is_saved(const std::filesystem::path& path) { return bool(shows(load(path, {}), arena.picture())); }

  Folder folder{memory_folder()}, other{memory_folder()};
  Painted arena = painted(pages);
  Snapshot snapshot;
};

TEST_F(Destination, is_where_the_path_led_when_the_save_began_though_the_process_goes_to_another_folder) {
  for (const bool sync : {true, false}) {
    const CurrentFolder back(folder.path());
    save_with("a", sync, [&] { return std::filesystem::current_path(other.path()), true; });
    EXPECT_EQ(other.names(), std::vector<std::string>{});
    EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
    std::filesystem::remove(folder / "a");
  }
}

TEST_F(Destination, nothing_is_left_there_when_a_save_is_stopped_after_the_process_has_gone_to_another_folder) {
  const CurrentFolder back(folder.path());
  EXPECT_THROW(save_with("a", false, [&] { return std::filesystem::current_path(other.path()), false; }),
               std::system_error);
  EXPECT_EQ(folder.names(), std::vector<std::string>{});
}

TEST_F(Destination, is_a_folder_that_is_renamed_meanwhile) {
  std::filesystem::create_directory(folder / "old");
  save_with(folder / "old" / "a", true, [&] { return std::filesystem::rename(folder / "old", folder / "new"), true; });
  EXPECT_TRUE(is_saved(folder / "new" / "a"));
}

TEST_F(Destination, is_left_alone_by_a_fork_child_of_the_progress_function) {
  for (const bool goes_on : {true, false}) {
    pid_t child = -1;
    const auto fork_once = [&] {
      child = ::fork();
      if (child == 0) return goes_on;
      int status = 0;
      ::waitpid(child, &status, 0);
      EXPECT_TRUE(WIFEXITED(status));
      EXPECT_EQ(WEXITSTATUS(status), 0);
      EXPECT_EQ(folder.names().size(), 1U) << "the child has removed the file that its parent writes";
      return true;
    };
    try {
      save_with(folder / "a", false, fork_once);
      if (child == 0) ::_exit(1);
    } catch (const std::logic_error& error) {
      if (child == 0) ::_exit(std::string(error.what()).find("fork() child") == std::string::npos);
      throw;
    } catch (...) {
      if (child == 0) ::_exit(2);
      throw;
    }
    EXPECT_TRUE(is_saved(folder / "a"));
    EXPECT_EQ(folder.names(), std::vector<std::string>{"a"});
    std::filesystem::remove(folder / "a");
  }
}

TEST_F(Destination, of_a_squash_is_left_alone_by_a_fork_child_of_the_progress_function) {
  save(snapshot, folder / "a", unsynced());
  pid_t child = -1;
  SaveOptions options = unsynced();
  options.progress = [&](const SaveProgress&) {
    if (child != -1) return true;
    child = ::fork();
    if (child != 0) ::waitpid(child, nullptr, 0);
    return child != 0;
  };
  try {
    squash({folder / "a"}, folder / "b", options);
  } catch (const std::exception&) {
    if (child == 0) ::_exit(0);
    throw;
  }
  EXPECT_TRUE(is_saved(folder / "b"));
}

TEST_F(Destination, keeps_the_permissions_and_the_owner_of_the_file_that_is_replaced) {
  const Umask mask(022);
  for (const unsigned permissions : {0600U, 0640U, 0666U, 0444U, 0777U}) {
    put_bytes(folder / "a", "old");
    ASSERT_EQ(::chmod((folder / "a").c_str(), permissions), 0);
    const bool given = ::chown((folder / "a").c_str(), 1234, 5678) == 0;  // root alone may
    save(snapshot, folder / "a", unsynced());
    const struct stat status = status_of(folder / "a");
    EXPECT_EQ(status.st_mode & 07777, permissions);
    EXPECT_EQ(status.st_uid, given ? 1234 : ::getuid());
    EXPECT_EQ(status.st_gid, given ? 5678 : ::getgid());
    std::filesystem::remove(folder / "a");
  }
}

TEST_F(Destination, of_a_file_that_only_its_owner_may_read_is_never_shown_to_others) {
  put_bytes(folder / "a", "old");
  ASSERT_EQ(::chmod((folder / "a").c_str(), 0600), 0);
  save_with(folder / "a", false, [&] {
    for (const std::string& name : folder.names()) EXPECT_EQ(permissions_of(folder / name), 0600U) << name;
    return true;
  });
}

TEST_F(Destination, gets_the_permissions_of_the_umask_where_there_was_no_file) {
  for (const mode_t mask : {022U, 027U, 077U}) {
    const Umask set(mask);
    save(snapshot, folder / "a", unsynced());
    EXPECT_EQ(permissions_of(folder / "a"), 0666 & ~mask);
    std::filesystem::remove(folder / "a");
  }
}

TEST_F(Destination, is_what_a_link_leads_to_and_the_link_stays) {
  std::filesystem::create_directory(folder / "sub");
  std::filesystem::create_symlink("sub/second", folder / "first");
  std::filesystem::create_symlink("third", folder / "sub" / "second");
  save(snapshot, folder / "first", {});  // what the last link leads to is not there yet
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "first"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "sub" / "second"));
  EXPECT_TRUE(std::filesystem::is_regular_file(folder / "sub" / "third"));
  const auto before = status_of(folder / "sub" / "third").st_ino;
  std::filesystem::create_symlink(folder / "first", other / "absolute");
  save(snapshot, other / "absolute", {});
  EXPECT_NE(status_of(folder / "sub" / "third").st_ino, before);
  EXPECT_TRUE(is_saved(other / "absolute"));
  EXPECT_EQ(other.names(), std::vector<std::string>{"absolute"});
  std::filesystem::create_symlink("loop", folder / "loop");
  EXPECT_NE(why_not(folder / "loop"), "");
}

TEST_F(Destination, is_not_what_another_users_link_in_a_folder_for_everybody_leads_to) {
  put_bytes(other / "target", "old");
  std::filesystem::create_symlink(other / "target", folder / "link");
  ASSERT_EQ(::chmod(folder.path().c_str(), 01777), 0);
  save(snapshot, folder / "link", unsynced());  // one's own is followed
  EXPECT_TRUE(is_saved(other / "target"));
  if (::lchown((folder / "link").c_str(), 1234, 5678) != 0) GTEST_SKIP() << "only root can give a link away";
  put_bytes(other / "target", "old");
  EXPECT_NE(why_not(folder / "link").find("another user's link"), std::string::npos);
  EXPECT_EQ(bytes_of(other / "target"), "old");
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  save(snapshot, folder / "link", unsynced());
  EXPECT_TRUE(is_saved(other / "target"));
}

TEST_F(Destination, of_a_layer_is_not_its_base_though_named_by_a_link) {
  save(snapshot, folder / "a", unsynced());
  std::filesystem::create_symlink("a", folder / "link");
  const std::string old = bytes_of(folder / "a");
  EXPECT_TRUE(throws_exactly<std::invalid_argument>(
      [&] { save(arena.arena().snapshot(), folder / "link", layer_on(snapshot, folder / "a")); }));
  EXPECT_TRUE(bytes_of(folder / "a") == old);
}

TEST_F(Destination, is_refused_where_it_is_no_file) {
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_NE(why_not(folder / "pipe").find("save to its descriptor"), std::string::npos);
  EXPECT_TRUE(S_ISFIFO(status_of(folder / "pipe").st_mode));
  if (::mknod((folder / "device").c_str(), S_IFCHR | 0600, 0) == 0) {  // root alone may
    EXPECT_NE(why_not(folder / "device").find("save to its descriptor"), std::string::npos);
    EXPECT_TRUE(S_ISCHR(status_of(folder / "device").st_mode));
  }
  EXPECT_NE(why_not(folder.path()).find("name a file in it"), std::string::npos);
}

/// Standard input, closed for as long as an object lives: what is opened next gets its number.
class WithoutInput {
 public:
  WithoutInput() : input_(::dup(0)) { ::close(0); }
  ~WithoutInput() {
    ::dup2(input_, 0);
    ::close(input_);
  }
  WithoutInput(const WithoutInput&) = delete;
  WithoutInput& operator=(const WithoutInput&) = delete;

 private:
  int input_;
};

TEST_F(Destination, is_no_other_file_than_the_one_that_a_descriptors_link_leads_to) {
  const auto link_of = [](int fd) { return std::filesystem::path("/proc/self/fd") / std::to_string(fd); };
  const std::filesystem::path gone = folder / "gone";
  const int memory = ::memfd_create("mine", MFD_CLOEXEC), deleted = ::open(gone.c_str(), O_RDWR | O_CREAT, 0600);
  std::filesystem::remove(gone);
  for (const int fd : {memory, deleted}) {
    EXPECT_NE(why_not(link_of(fd)).find("save to its descriptor"), std::string::npos) << why_not(link_of(fd));
  }
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  EXPECT_NE(why_not(link_of(pipe[1])).find("save to its descriptor"), std::string::npos) << why_not(link_of(pipe[1]));
  EXPECT_EQ(folder.names(), std::vector<std::string>{});
  EXPECT_FALSE(std::filesystem::exists("/memfd:mine (deleted)"));

  const int named = ::open((folder / "a").c_str(), O_RDWR | O_CREAT, 0600);
  EXPECT_EQ(why_not(link_of(named)), "");
  EXPECT_TRUE(is_saved(folder / "a"));
  for (const int fd : {memory, deleted, pipe[0], pipe[1], named}) ::close(fd);
}

TEST_F(Destination, has_nothing_left_in_it_where_the_new_file_gets_no_number_of_its_own) {
  const WithoutInput closed;
  for (std::int64_t nth = 1; nth < 12; ++nth) {
    os::fail_after(nth);
    (void)why_not(folder / "a");
    os::fail_after(0);
    for (const std::string& name : folder.names()) EXPECT_EQ(name, "a") << "call " << nth;
  }
}

TEST_F(Destination, names_the_limit_where_no_number_is_left) {
  if (under_asan) GTEST_SKIP() << "UndefinedBehaviorSanitizer looks at memory by a descriptor";
  std::string why;
  {
    const WithoutInput closed;
    const LoweredLimit limit(RLIMIT_NOFILE, 3);
    why = why_not(folder / "a");
  }
  EXPECT_NE(why.find("RLIMIT_NOFILE"), std::string::npos) << why;
  EXPECT_EQ(folder.names(), std::vector<std::string>{});
  {
    const DescriptorsLeft none(0);
    why = why_not(folder / "a");
  }
  EXPECT_NE(why.find("RLIMIT_NOFILE"), std::string::npos) << why;
}

TEST_F(Destination, has_nothing_left_in_it_where_the_program_closes_all_descriptors_meanwhile) {
  const auto close_all = [&] {
    const rlim_t most = 1024;
    for (int fd = 3; fd < static_cast<int>(most); ++fd) ::close(fd);
    return true;
  };
  EXPECT_THROW(save_with(folder / "a", false, close_all), std::system_error);
  EXPECT_EQ(folder.names(), std::vector<std::string>{});
}

}  // namespace
}  // namespace cow::test
