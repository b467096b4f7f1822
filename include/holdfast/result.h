// Errors are values: every fallible call of Holdfast returns a Result or a Status.
//
// Purpose:  carry either a value, or an Error with a code to switch on and one sentence to read.
// Threads:  plain values; no shared state.
// Errors:   nothing here throws, except std::bad_alloc from copying strings.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace holdfast {

/// What kind of thing went wrong. Switch on this; print Error::message.
enum class Errc : std::uint8_t {
  invalid_argument,  ///< The caller passed something that can never work.
  invalid_config,    ///< A configuration key is wrong; the message names key and line.
  not_found,         ///< A file, lane, message or subscription does not exist.
  permission,        ///< The operating system or the broker forbids it.
  io,                ///< Reading or writing failed; see Error::os_error.
  no_space,          ///< The disk, or a limit of ours on it, is full.
  read_only,         ///< The file system only allows reading.
  corrupt,           ///< Bytes on disk or on the wire do not make sense.
  too_large,         ///< Over a named limit.
  full,              ///< A bounded queue has no room now; try again later.
  timeout,           ///< A deadline passed.
  in_use,            ///< Somebody else holds the lock, the port or the client id.
  unsupported,       ///< This build, engine or broker cannot do it.
  closed,            ///< The object has been stopped.
  protocol,          ///< A peer broke the protocol.
  internal,          ///< A bug in Holdfast; please report it.
};

/// The name of a code as it stands in the source, such as "invalid_config".
[[nodiscard]] std::string_view to_string(Errc code) noexcept;

/// One failure: a code for the program, a sentence for the person.
struct Error {
  Errc code = Errc::internal;
  std::string message;  ///< One sentence, no trailing full stop, never a secret.
  int os_error = 0;     ///< errno, when the operating system was the cause; else 0.

  /// Puts context before the message ("context: message"), on the way up to the caller.
  [[nodiscard]] Error with(std::string_view context) && {
    message.insert(0, std::string(context) + ": ");
    return std::move(*this);
  }
};

/// Either a T or an Error. Test it before use; reading the wrong side is a bug and asserts.
template <class T>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return Error{…};` are how functions end.
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  /// Whether a value is held; the same as testing the Result itself.
  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  /// The value. REQUIRES: ok(). Asserts otherwise; nothing is thrown.
  [[nodiscard]] T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }

  /// The failure. REQUIRES: !ok(). Asserts otherwise; move it out to add context.
  [[nodiscard]] const Error& error() const& {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] Error&& error() && {
    assert(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}  // NOLINT: see above

  /// Whether it succeeded; the same as testing the Status itself.
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  explicit operator bool() const noexcept { return ok_; }

  [[nodiscard]] const Error& error() const& {
    assert(!ok_);
    return error_;
  }
  [[nodiscard]] Error&& error() && {
    assert(!ok_);
    return std::move(error_);
  }

 private:
  Error error_{};
  bool ok_ = true;
};

/// What a call returns that gives no value.
using Status = Result<void>;

}  // namespace holdfast
