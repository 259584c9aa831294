// Map competitor: LMDB, a B+tree that is copy-on-write page by page. On a memory file system and without syncing:
// nothing here waits for a disk. A snapshot is a read transaction; the updates are one write transaction.
#pragma once

#ifdef COW_BENCH_WITH_LMDB

#include <lmdb.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "competitors/ordered_map.hpp"

namespace bench {

class MapLmdb {
 public:
  static constexpr std::string_view label = "LMDB";
  static constexpr bool drop_counts = true;

  explicit MapLmdb(std::span<const Key> keys) {
    const std::string path = "/dev/shm/cow_bench." + std::to_string(::getpid());
    must(mdb_env_create(&environment_));
    must(mdb_env_set_mapsize(environment_, std::size_t{1} << 30));
    must(mdb_env_open(environment_, path.c_str(), MDB_NOSUBDIR | MDB_NOSYNC | MDB_WRITEMAP | MDB_NOTLS, 0600));
    ::unlink(path.c_str());  // nothing is left behind, however this process ends
    ::unlink((path + "-lock").c_str());
    MDB_txn* load = begin(0);
    must(mdb_dbi_open(load, nullptr, MDB_INTEGERKEY, &table_));
    for (const Key key : keys) put(load, {key, key});
    must(mdb_txn_commit(load));
  }
  MapLmdb(const MapLmdb&) = delete;
  MapLmdb& operator=(const MapLmdb&) = delete;
  ~MapLmdb() {
    drop();
    mdb_env_close(environment_);
  }

  void drop() {
    if (snapshot_ != nullptr) mdb_txn_abort(snapshot_);
    snapshot_ = nullptr;
  }
  void snapshot() { snapshot_ = begin(MDB_RDONLY); }
  void update(std::span<const Update> updates) {
    MDB_txn* transaction = begin(0);
    for (const Update& update : updates) put(transaction, update);
    must(mdb_txn_commit(transaction));
  }
  Reading read_old(std::span<const Key> keys) { return timed(snapshot_, keys); }
  std::uint64_t read_new(std::span<const Key> keys) {
    MDB_txn* transaction = begin(MDB_RDONLY);
    const Reading reading = timed(transaction, keys);
    mdb_txn_abort(transaction);
    return reading.sum;
  }

 private:
  static void must(int result) {
    if (result != 0) throw std::runtime_error(std::string("LMDB: ") + mdb_strerror(result));
  }

  MDB_txn* begin(unsigned flags) {
    MDB_txn* transaction = nullptr;
    must(mdb_txn_begin(environment_, nullptr, flags, &transaction));
    return transaction;
  }

  void put(MDB_txn* transaction, Update update) {
    MDB_val key{sizeof update.key, &update.key};
    MDB_val value{sizeof update.value, &update.value};
    must(mdb_put(transaction, table_, &key, &value, 0));
  }

  Reading timed(MDB_txn* transaction, std::span<const Key> keys) {
    Stopwatch watch;
    Reading reading;
    for (Key wanted : keys) {
      MDB_val key{sizeof wanted, &wanted};
      MDB_val value{};
      must(mdb_get(transaction, table_, &key, &value));
      reading.sum += *static_cast<const std::uint64_t*>(value.mv_data);
    }
    reading.ns = watch.lap_ns();
    return reading;
  }

  MDB_env* environment_ = nullptr;
  MDB_dbi table_ = 0;
  MDB_txn* snapshot_ = nullptr;
};
static_assert(OrderedMap<MapLmdb>);

}  // namespace bench

#endif
