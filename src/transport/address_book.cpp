#include "transport/address_book.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <boost/asio/ip/address.hpp>

#include "base/limits.h"
#include "transport/tcp_race.h"

namespace holdfast::transport {

namespace {

constexpr std::string_view kTitle = "holdfast-addresses 1 ";

bool is_numeric(const std::string& text) {
  boost::system::error_code error;
  boost::asio::ip::make_address(text, error);
  return !error;
}

/// A name that cannot be a word of a line is not worth a format that can carry it.
bool is_word(const std::string& host) {
  return !host.empty() && host.size() <= 253 &&
         std::all_of(host.begin(), host.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

/// From `then` to `now`; negative when the clock was, or is, wrong.
Duration age(WallTime then, WallTime now) {
  // The difference of any two stamps that are read fits; see read_line().
  return std::chrono::milliseconds(now.ms - then.ms);
}

bool is_within(Duration time, Duration limit) { return time >= Duration::zero() && time < limit; }

template <class Number>
bool read_number(std::string_view text, Number& out) {
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, out);
  return error == std::errc() && stopped == end;
}

Error damaged(std::string what) { return Error{Errc::corrupt, std::move(what), 0}; }

}  // namespace

AddressBook::AddressBook(const env::Clock& clock, Save save)
    : clock_(clock), save_(std::move(save)) {}

// ---- what is known ------------------------------------------------------------------------------

// A stamp in the future says nothing about the age, only that a clock was wrong, as it often is
// where a name service fails: at a start without a network. TLS guards such an address like any.
std::vector<env::Address> AddressBook::last_good(const env::Place& place) const {
  std::vector<env::Address> found;
  const WallTime now = clock_.wall();
  for (const Good& good : good_) {
    if (good.place == place && age(good.at, now) < kGoodFor) found.push_back(good.address);
  }
  return found;
}

std::optional<BootTime> AddressBook::failed_at(const env::Place& place,
                                               const env::Address& address) const {
  for (const Failed& failed : failed_) {
    if (failed.numeric != address.numeric || failed.place != place) continue;
    if (clock_.now() - failed.at < kFailedFor) return failed.at;
  }
  return std::nullopt;
}

// ---- what happens -------------------------------------------------------------------------------

void AddressBook::failed(const env::Place& place, const env::Address& address) {
  std::erase_if(failed_, [&](const Failed& each) {
    return each.numeric == address.numeric && each.place == place;
  });
  failed_.push_back({place, address.numeric, clock_.now()});
  if (failed_.size() > limits::kFailedAddresses) failed_.pop_front();
}

void AddressBook::worked(const env::Place& place, const env::Address& address, bool resolved) {
  std::erase_if(failed_, [&](const Failed& each) {
    return each.numeric == address.numeric && each.place == place;
  });
  if (!resolved || !is_word(place.host) || is_numeric(place.host)) return;
  const Good good{place, address, clock_.wall()};
  add(good);
  if (worth_saving(good)) save();
}

// In front; of its place and of all places only so many stay.
void AddressBook::add(Good good) {
  std::erase_if(good_, [&](const Good& each) {
    return each.address.numeric == good.address.numeric && each.place == good.place;
  });
  good_.insert(good_.begin(), std::move(good));
  std::vector<std::pair<env::Place, std::size_t>> counts;
  std::erase_if(good_, [&](const Good& each) {
    auto of_place = std::find_if(counts.begin(), counts.end(),
                                 [&](const auto& known) { return known.first == each.place; });
    if (of_place == counts.end()) {
      if (counts.size() == limits::kPlaces) return true;
      of_place = counts.insert(of_place, {each.place, 0});
    }
    return ++of_place->second > limits::kGoodAddresses;
  });
}

bool AddressBook::worth_saving(const Good& good) const {
  bool place_known = false;
  bool saved_lately = false;
  for (const Good& each : saved_) {
    const Duration old = age(each.at, good.at);
    saved_lately = saved_lately || is_within(old, kSaveEvery);
    if (each.place != good.place) continue;
    place_known = true;
    const bool same = each.address.numeric == good.address.numeric;
    if (same && is_within(old, kRestampAfter)) return false;
  }
  return !place_known || !saved_lately;
}

// ---- the file -----------------------------------------------------------------------------------

void AddressBook::save() {
  saved_ = good_;
  std::string text = std::string(kTitle) + std::to_string(good_.size()) + '\n';
  for (const Good& good : good_) {
    text += good.place.host + ' ' + std::to_string(good.place.port) + ' ' + good.address.numeric +
            ' ' + std::to_string(good.at.ms) + '\n';
  }
  save_(std::move(text));
}

Result<AddressBook::Good> AddressBook::read_line(std::string_view line) {
  std::array<std::string_view, 4> words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::size_t end = i + 1 < words.size() ? line.find(' ') : line.size();
    if (end == std::string_view::npos) return damaged("a line has too few words");
    words[i] = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  Good good;
  good.place.host = words[0];
  good.address.numeric = words[2];
  good.address.v6 = good.address.numeric.find(':') != std::string::npos;
  constexpr std::int64_t kFar = std::int64_t{1} << 43;  // the year 2248: differences stay small
  if (!is_word(good.place.host)) return damaged("a name is none");
  if (!read_number(words[1], good.place.port)) return damaged("a port is none");
  if (!is_numeric(good.address.numeric)) return damaged("an address is none");
  if (!read_number(words[3], good.at.ms) || good.at.ms < -kFar || good.at.ms > kFar) {
    return damaged("a time is none");
  }
  return good;
}

Status AddressBook::load(std::string_view text) {
  if (text.substr(0, kTitle.size()) != kTitle) return damaged("the first line is not ours");
  text.remove_prefix(kTitle.size());
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return damaged("the last line is cut");
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  std::size_t count = 0;
  if (lines.empty() || !read_number(lines.front(), count) || count != lines.size() - 1) {
    return damaged("the count of its lines is another");
  }
  if (count > limits::kPlaces * limits::kGoodAddresses) return damaged("it has too many lines");
  std::vector<Good> read;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    Result<Good> good = read_line(lines[i]);
    if (!good) return damaged("line " + std::to_string(i + 1) + ": " + good.error().message);
    read.push_back(std::move(good).value());
  }
  saved_ = read;
  std::reverse(read.begin(), read.end());  // The latest, added last, is in front.
  for (Good& good : read) add(std::move(good));
  return {};
}

// ---- the order ----------------------------------------------------------------------------------

std::vector<env::Address> order_of_attempts(const std::vector<env::Address>& addresses,
                                            const env::Place& place, const env::AddressBook* book) {
  std::vector<env::Address> hopeful;
  std::vector<std::pair<BootTime, env::Address>> doubtful;
  for (const env::Address& address : addresses) {
    const auto failed = book != nullptr ? book->failed_at(place, address) : std::nullopt;
    if (failed) {
      doubtful.emplace_back(*failed, address);
    } else {
      hopeful.push_back(address);
    }
  }
  std::vector<env::Address> order = interleave(hopeful);
  std::stable_sort(doubtful.begin(), doubtful.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [when, address] : doubtful) order.push_back(std::move(address));
  if (order.size() > kAddressesMax) order.resize(kAddressesMax);
  return order;
}

}  // namespace holdfast::transport
