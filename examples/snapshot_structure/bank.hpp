// A bank in an arena: an ordered index of accounts, and the updates that keep its books in balance.
// Knows nothing of snapshots or threads; it works the same in the arena, in a view and in a clone.
#pragma once

#include <cow/arena.hpp>

#include <algorithm>
#include <boost/interprocess/offset_ptr.hpp>
#include <boost/intrusive/set.hpp>
#include <boost/intrusive/slist.hpp>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <new>
#include <random>
#include <stdexcept>

namespace snapshot_structure {

namespace intrusive = boost::intrusive;

// Links hold distances, not addresses: a view shows the same bytes at another address, where they still lead to each
// other.
using OffsetLinks = intrusive::void_pointer<boost::interprocess::offset_ptr<void>>;
using InIndex = intrusive::set_base_hook<OffsetLinks, intrusive::link_mode<intrusive::normal_link>>;
using InUnused = intrusive::slist_base_hook<OffsetLinks, intrusive::link_mode<intrusive::normal_link>>;

/// Open, in the index; or unused, in the list of those that can be opened.
struct Account : InIndex, InUnused {
  std::uint64_t number = 0;
  std::int64_t balance = 0;
};

struct AccountNumber {
  using type = std::uint64_t;
  std::uint64_t operator()(const Account& account) const noexcept { return account.number; }
};

using Index = intrusive::set<Account, intrusive::base_hook<InIndex>, intrusive::key_of_value<AccountNumber>,
                             intrusive::constant_time_size<false>>;
using Unused = intrusive::slist<Account, intrusive::base_hook<InUnused>, intrusive::constant_time_size<false>>;

/// What is wrong with the books; nothing is, in a consistent bank.
enum class Fault { none, order, money, open_count, unused_count };

struct Audit {
  Fault fault = Fault::none;
  std::uint64_t updates = 0;  ///< how many the bank has seen
  std::uint64_t digest = 0;   ///< of all numbers and balances: the same content gives the same digest
};

/// Lies at the start of its arena, and its accounts behind it. One thread at a time may call what changes it.
///
/// Invariants, true between any two updates and false within most: all balances and the reserve add up to `total`; the
/// index holds `open` accounts in ascending order, and the list of unused ones the rest.
class Bank {
 public:
  static constexpr std::int64_t opening_balance = 1000;

  /// Sets up a bank in an arena that was never written: half of its accounts are open.
  static Bank& found(cow::Arena& arena, std::size_t account_count, std::uint64_t seed) {
    if (bytes_for(account_count) > arena.capacity()) throw std::invalid_argument("the arena is too small for the bank");
    arena.prepare_write(arena.data(), bytes_for(account_count));  // one call, where each page would cost a fault
    Bank* const bank = new (arena.data()) Bank(account_count);
    std::mt19937_64 random(seed);
    while (bank->open_ < account_count / 2) bank->open_account(random);
    return *bank;
  }

  /// The bank in an arena or in a view, given its first byte.
  static const Bank& at(const std::byte* start) noexcept { return *reinterpret_cast<const Bank*>(start); }

  static constexpr std::size_t bytes_for(std::size_t account_count) noexcept {
    return sizeof(Bank) + account_count * sizeof(Account);
  }

  /// Takes money from one account and gives it to another. In between, it is nowhere.
  template <class Random>
  void transfer(Random& random) {
    Account& giver = some_account(random);
    const std::int64_t amount = giver.balance / 2;
    giver.balance -= amount;
    some_account(random).balance += amount;
    ++updates_;
  }

  /// Puts an account into the index: several nodes change while the tree is brought into balance.
  template <class Random>
  void open_account(Random& random) {
    const std::uint64_t number = some_number(random);
    Index::insert_commit_data place;
    if (unused_.empty() || !index_.insert_unique_check(number, place).second) return;
    Account& account = unused_.front();
    unused_.pop_front();
    account.number = number;
    account.balance = std::min(reserve_, opening_balance);
    reserve_ -= account.balance;
    index_.insert_unique_commit(account, place);
    ++open_;
    ++updates_;
  }

  /// Takes an account out of the index; its money goes to the reserve.
  template <class Random>
  void close_account(Random& random) {
    if (open_ <= 1) return;
    Account& account = some_account(random);
    index_.erase(index_.iterator_to(account));
    reserve_ += account.balance;
    account.balance = 0;
    unused_.push_front(account);
    --open_;
    ++updates_;
  }

  /// Goes through all the books. Reads only; safe on books in any state in which the links lead to accounts.
  Audit audit() const noexcept {
    Audit audit{Fault::none, updates_, 0xcbf2'9ce4'8422'2325};
    std::int64_t money = reserve_;
    std::size_t count = 0;
    std::uint64_t last_number = 0;
    for (const Account& account : index_) {
      if (count != 0 && account.number <= last_number) return failed(audit, Fault::order);
      last_number = account.number;
      money += account.balance;
      audit.digest = (audit.digest ^ account.number) * 0x100'0000'01b3;
      audit.digest = (audit.digest ^ static_cast<std::uint64_t>(account.balance)) * 0x100'0000'01b3;
      ++count;
    }
    if (count != open_) return failed(audit, Fault::open_count);
    if (money != total_) return failed(audit, Fault::money);
    if (static_cast<std::size_t>(std::distance(unused_.begin(), unused_.end())) != account_count_ - open_) {
      return failed(audit, Fault::unused_count);
    }
    return audit;
  }

  std::uint64_t updates() const noexcept { return updates_; }

 private:
  explicit Bank(std::size_t account_count)
      : account_count_(account_count),
        total_(static_cast<std::int64_t>(account_count) * opening_balance),
        reserve_(total_) {
    Account* const first = reinterpret_cast<Account*>(this + 1);
    for (std::size_t i = account_count; i > 0; --i) unused_.push_front(*new (first + i - 1) Account);
  }

  static Audit failed(Audit audit, Fault fault) noexcept {
    audit.fault = fault;
    return audit;
  }

  template <class Random>
  std::uint64_t some_number(Random& random) const {
    return std::uniform_int_distribution<std::uint64_t>(0, 16 * account_count_)(random);
  }

  template <class Random>
  Account& some_account(Random& random) {
    const auto found = index_.lower_bound(some_number(random));
    return found != index_.end() ? *found : *index_.begin();
  }

  Index index_;
  Unused unused_;
  std::size_t account_count_;
  std::size_t open_ = 0;
  std::int64_t total_;
  std::int64_t reserve_;  ///< money that is in no account
  std::uint64_t updates_ = 0;
};

static_assert(alignof(Account) <= alignof(Bank), "the accounts follow the bank without a gap");

}  // namespace snapshot_structure
