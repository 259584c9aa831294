// cow::save(): a version's pages to a file, in order; or, where nobody else has the version, those that writers are
// changing first, and what is kept of written ones given back.
#include "cow/save.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "arena/operation.hpp"
#include "arena/version_reader.hpp"
#include "files/error.hpp"
#include "files/options.hpp"
#include "files/output.hpp"
#include "files/reader.hpp"
#include "files/version_source.hpp"
#include "files/writer.hpp"
#include "kernel/disk.hpp"

namespace cow {
namespace {

using files::Head;
using files::Output;
using files::PageLook;
using files::PageNews;
using files::Place;
using files::Writer;

class Save {
 public:
  Save(Version& version, Version* since, const SaveOptions& options, Output& output, Head head)
      : version_(version),
        pages_(files::pages_to_look_at(version, since, output.doing())),
        look_(version, since, output.doing()),
        options_(options),
        output_(output),
        writer_(output, std::move(head), files::level_of(options)),
        in_place_(output.can_seek() && options.compression == Compression::none) {
    for (const Pages& run : pages_) total_ += run.count;
  }

  void all() {
    for (const Pages& run : pages_) {
      for (Page p = run.first; p < run.end();) {
        const Pages some{p, std::min(PageLook::end_from(p), run.end()) - p};
        write(some, run.end() - some.end());
        p = some.end();
        done_ += some.count;
        if (is_due()) tell();
      }
    }
    finish();
  }

  /// With pages that writers change put before the others, and let go of.
  void all_and_let_go() {
    if (options_.compression == Compression::none && output_.can_seek()) writer_.plan(places());
    const os::Result<BookBuffer> memory = BookBuffer::reserve(PageSet::bytes_for(version_.books.pages));
    files::fail_if(memory.error, output_.doing());
    PageSet written(memory.value.data(), version_.books.pages);
    for (const Pages& run : pages_) {
      for (Page p = written.next_absent(run.first, run.end()); p < run.end(); p = written.next_absent(p, run.end())) {
        const Page end = std::min({written.next(p), PageLook::end_from(p), run.end()});
        write_new({p, end - p}, written);
        if (!is_due()) continue;
        write_kept(written);
        (void)let_go(version_, written);
        tell();
      }
    }
    finish();
  }

  std::uint64_t pages() const noexcept { return writer_.pages(); }

 private:
  std::vector<Place> places() const {
    std::vector<Place> places;
    places.reserve(pages_.size());
    for (const Pages& run : pages_) places.push_back({run.first.value, run.count, 0});
    files::place_all(places, version_.books.bytes(1));
    return places;
  }

  /// `more`: pages behind them that will be looked at.
  void write(Pages run, std::uint64_t more) {
    const auto news = look_.look(run, in_place_);
    written_.clear();
    for (std::uint64_t i = 0, count = 0; i < run.count; i += count) {
      count = 1;
      while (i + count < run.count && news[i + count] == news[i]) ++count;
      const std::uint64_t first = run.first.value + i;
      if (news[i] == PageNews::zeros) writer_.put_zeros(first, count);
      if (news[i] != PageNews::content) continue;
      writer_.put(first, look_.content(i, count), run.count - i - count + more, look_.sums(i, count));
      written_.push_back({i, count, writer_.place_of_last()});
    }
    if (!look_.still()) write_again(run);
    look_.leave();
  }

  /// Over what was written: its checksums are right, but a writer was there before its bytes were taken.
  void write_again(Pages run) {
    look_.copy(run);
    for (const Place& part : written_) output_.write(part.offset, look_.content(part.first, part.pages));
  }

  void write_new(Pages run, PageSet& written) {
    write(run, 0);
    written.insert(run);
    done_ += run.count;
  }

  bool is_to_be_written(Page p) const noexcept {
    const auto behind =
        std::upper_bound(pages_.begin(), pages_.end(), p, [](Page page, const Pages& run) { return page < run.first; });
    return behind != pages_.begin() && p < std::prev(behind)->end();
  }

  /// What writers have changed since the version, and is not written yet.
  void write_kept(PageSet& written) {
    kept_.clear();
    files::fail_if(list_kept(version_, kept_), output_.doing());
    std::sort(kept_.begin(), kept_.end());
    for (const Page* p = kept_.begin(); p != kept_.end();) {
      Pages run{*p++, 1};
      if (written.contains(run.first) || !is_to_be_written(run.first)) {
        written.insert(run);  // what is not to be written may go at once
        continue;
      }
      while (p != kept_.end() && *p == run.end() && *p < PageLook::end_from(run.first) && !written.contains(*p) &&
             is_to_be_written(*p)) {
        ++p, ++run.count;
      }
      write_new(run, written);
    }
  }

  /// Whether it is time for a look at what writers have done, and a call of the caller's progress.
  bool is_due() noexcept {
    if (done_ - due_ < PageLook::pages_at_once()) return false;
    due_ = done_;
    return true;
  }

  void tell() const {
    if (!options_.progress) return;
    const SaveProgress progress{version_.books.bytes(done_), version_.books.bytes(total_)};
    const bool go_on = options_.progress(progress);
    output_.check_process();
    if (go_on) return;
    throw std::system_error(std::make_error_code(std::errc::operation_canceled),
                            "cow: " + output_.doing() + ", stopped by its progress function");
  }

  void finish() {
    tell();
    writer_.finish();
  }

  Version& version_;
  const std::vector<Pages> pages_;
  PageLook look_;
  const SaveOptions& options_;
  Output& output_;
  Writer writer_;
  const bool in_place_;         // what others wait for is not read in place, nor what is written only later
  std::vector<Place> written_;  // of the run that was looked at last; counted from its beginning
  BookVector<Page> kept_;
  std::uint64_t done_ = 0, total_ = 0;
  std::uint64_t due_ = 0;  // of those done, when it was time last
};

/// What arenas are mapped from must not change, and reading it would give what was just written.
void check_that_nobody_shows(const Version& version, const Output& output) {
  if (!output.changes() || !version.books.family.file.saved().has(*output.changes())) return;
  throw std::invalid_argument("cow: " + output.doing() +
                              ", a file that the arena or a relative is mapped from; save to its path, which replaces "
                              "it, or to another file");
}

/// The file that a layer lies on, as its head has it.
files::Id checked_base(const SaveOptions& options, const Output& output) {
  const std::string& doing = output.doing();
  const bool layer = static_cast<bool>(options.since);
  if (layer != !options.base.empty()) {
    throw std::invalid_argument("cow: " + doing +
                                ": SaveOptions::since and base belong together: a version, and the "
                                "file that it was saved to");
  }
  if (!layer) return {};
  Version& since = usable(Access::version(options.since), "save");
  const files::Reader base = files::Reader::open(options.base);
  if (base.head().content != files::content_of(since, doing)) {
    throw std::invalid_argument("cow: " + doing + ": " + base.name() + " is not what SaveOptions::since was saved to");
  }
  if (output.replaces(base.file())) {
    throw std::invalid_argument("cow: " + doing + ": a layer cannot take the place of " + base.name() +
                                ", which it lies on; save it to another path, or without SaveOptions::since");
  }
  return base.head().id;
}

SaveReport save_version(Version& version, Output& output, const SaveOptions& options, bool let_go_of_it) {
  const auto begin = std::chrono::steady_clock::now();
  Version* const since = Access::version(options.since);
  if (since != nullptr && &since->books.family != &version.books.family) {
    throw std::invalid_argument("cow: " + output.doing() + ": SaveOptions::since is of another arena, no relative");
  }
  check_that_nobody_shows(version, output);
  Head head = files::head_of(version, output.doing());
  head.base_id = checked_base(options, output);
  if (since != nullptr) head.flags |= files::flag_layer;
  head.note = options.note;
  files::fail_if(os::random_bytes(head.id.data(), head.id.size()), output.doing());
  Save save(version, since, options, output, std::move(head));
  if (let_go_of_it) {
    save.all_and_let_go();
  } else {
    save.all();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return {save.pages(), output.bytes_written(), seconds.count()};
}

}  // namespace

SaveReport save(const Snapshot& snapshot, const std::filesystem::path& path, const SaveOptions& options) {
  Version& version = usable(Access::version(snapshot), "save");
  files::check_options(options);
  files::PathOutput output(path, options.sync);
  return save_version(version, output, options, false);
}

SaveReport save(Snapshot&& snapshot, const std::filesystem::path& path, const SaveOptions& options) {
  const Snapshot last = std::move(snapshot);
  Version& version = usable(Access::version(last), "save");
  files::check_options(options);
  files::PathOutput output(path, options.sync);
  return save_version(version, output, options, true);
}

SaveReport save(const Snapshot& snapshot, int fd, const SaveOptions& options) {
  Version& version = usable(Access::version(snapshot), "save");
  files::check_options(options);
  files::DescriptorOutput output(fd);
  return save_version(version, output, options, false);
}

}  // namespace cow
