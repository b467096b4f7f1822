// Which addresses of a name were good and which just failed.
//
// Purpose:  a list of addresses is tried beginning with those that did not just fail (history
//           counts: RFC 8305 section 4), and when the name service fails, those are tried at which
//           a broker last let us in.
// Bounds:   limits::kGoodAddresses for each of limits::kPlaces, limits::kFailedAddresses; good for
//           kGoodFor since the name service last gave the address, failed for kFailedFor.
// On disk:  the good ones, as text: a line "holdfast-addresses 1 COUNT", then COUNT lines of
//           HOST PORT ADDRESS MS, where MS is the wall clock's time (ms since 1970) at which it was
//           good. Written only when a restart would miss something: at once for a new name,
//           otherwise once in kSaveEvery at most, for an address or a stamp that is new.
// Trust:    the file is trusted with nothing. An address out of it is used only where TLS proves
//           who is there (connector.cpp).
// Threads:  loop thread only.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "env/address_book.h"
#include "env/clock.h"
#include "holdfast/result.h"

namespace holdfast::transport {

/// A week: a site whose name service breaks on a Friday is mended before; RFC 8767 gives resolvers
/// one to three days, but they cannot ask an old answer for its certificate.
inline constexpr Duration kGoodFor = std::chrono::hours(7 * 24);
/// As long as a peer is down that is being restarted; later it is worth a first place again.
inline constexpr Duration kFailedFor = std::chrono::minutes(10);
/// Flash is spared: brokers with many addresses give others each time.
inline constexpr Duration kSaveEvery = std::chrono::hours(1);
/// A stamp in the file that is older than this is renewed.
inline constexpr Duration kRestampAfter = std::chrono::hours(24);
static_assert(kSaveEvery < kRestampAfter && kRestampAfter < kGoodFor);

class AddressBook final : public env::AddressBook {
 public:
  /// Keeps the text whole in the place of the one before; must not block.
  using Save = std::function<void(std::string text)>;

  /// `clock` must outlive the book.
  AddressBook(const env::Clock& clock, Save save);

  /// Takes what Save was given in an earlier life. Errors: corrupt, with what is wrong; the book is
  /// then as it was.
  [[nodiscard]] Status load(std::string_view text);

  [[nodiscard]] std::vector<env::Address> last_good(const env::Place& place) const override;
  [[nodiscard]] std::optional<BootTime> failed_at(const env::Place& place,
                                                  const env::Address& address) const override;
  void worked(const env::Place& place, const env::Address& address, bool resolved) override;
  void failed(const env::Place& place, const env::Address& address) override;

 private:
  struct Good {
    env::Place place;
    env::Address address;
    WallTime at;
  };
  struct Failed {
    env::Place place;
    std::string numeric;
    BootTime at;
  };

  [[nodiscard]] static Result<Good> read_line(std::string_view line);
  [[nodiscard]] bool worth_saving(const Good& good) const;
  void add(Good good);
  void save();

  const env::Clock& clock_;
  Save save_;
  std::vector<Good> good_;     // the latest first
  std::vector<Good> saved_;    // what the file has
  std::deque<Failed> failed_;  // the latest last
};

/// The order in which to try `addresses`: as they came, families alternating (RFC 8305 section 4),
/// but those that failed lately come last, the one that failed longest ago first of them.
[[nodiscard]] std::vector<env::Address> order_of_attempts(
    const std::vector<env::Address>& addresses, const env::Place& place,
    const env::AddressBook* book);

}  // namespace holdfast::transport
