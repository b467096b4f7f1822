// From a claim to a certificate of one's own, and from a certificate to its successor: which step
// is next, whatever was cut, refused or lost before.
//
// Purpose:  the key is on disk before anybody is asked for its certificate; the certificate is on
//           disk before it is registered; it has been let in before it is used and the claim may
//           go. A certificate is given up only when the service no longer knows its token and the
//           broker does not let it in, so that there are never two in force by accident: one that
//           was never registered is not in force, and the service deletes it.
// Method:   next() says what to do, done() hears how it went, in turns. Every wait is an order with
//           a time. The service, not a clock, says whether a token is too old: at a first boot
//           nobody knows how late it is.
// Threads:  one. Whoever carries the orders out may block.
// Errors:   none; each is a pause with a reason, and a later try. What only an operator can mend is
//           tried rarely (`blocked`).
// Source:   AWS IoT Core, "Device provisioning MQTT API": certificates wait an hour for
//           registration, each answer comes on the connection that asked.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"
#include "env/random.h"
#include "holdfast/types.h"
#include "identity/provision_journal.h"

namespace holdfast::identity {

/// Pauses grow from the first to the cap, with full jitter, on top of kSpacing.
inline constexpr Duration kProvisionFirst = std::chrono::seconds(1);
inline constexpr Duration kProvisionCap = std::chrono::minutes(2);
/// ... and so far after "too many": a fleet that is switched on at once shares ten a second.
inline constexpr Duration kThrottledCap = std::chrono::minutes(15);
/// AWS IoT Core takes one connect a second from one client id.
inline constexpr Duration kSpacing = std::chrono::milliseconds(1100);
/// What only an operator can mend is tried after half of this to all of it.
inline constexpr Duration kBlockedFor = std::chrono::hours(1);
/// So often in a row a server must say no to a certificate before that is believed.
inline constexpr unsigned kProvisionRefusals = 3;
/// So many questions for a certificate may stay without an answer: each may have made one.
inline constexpr unsigned kAsksUnanswered = 5;

struct ProvisionPlan {
  bool csr = true;      ///< The key is made here; else by the service.
  bool renewal = false; /*!< A successor of the active one, asked for with it. The agent's rotation
                             tries it, and not we. */
  bool retire_claim = false;  ///< The claim's files go at the end.
};

/// What there is when it begins.
struct ProvisionStart {
  ProvisionJournal journal;
  bool has_active = false;          ///< Some credential is in use already,
  bool active_is_journals = false;  ///< ... and it is the journal's (of a done one: perhaps).
};

enum class ProvisionOrder : std::uint8_t {
  make_key,        ///< Outcome::key.
  write,           ///< The journal.
  connect,         ///< With the claim, or with what is to be renewed.
  subscribe,       ///< To the answers to the next question.
  ask,             ///< For a certificate: Outcome::certificate; with CSR if there is a key.
  register_thing,  ///< Outcome::registration.
  leave,           ///< Ends that connection.
  verify,          ///< A connection with the journal's certificate, which is ended at once.
  install,         ///< Journal's certificate and key go to the slot: active, of a renewal next.
  retire_claim,    ///< Removes the claim's files.
  wait,            ///< Until Order::until, without a connection.
  end,             ///< There is nothing left to do.
};

/// Why an order was not carried out.
struct ProvisionTrouble {
  enum class Kind : std::uint8_t {
    passing,    ///< Network, broker, disk: it may be better in a moment.
    throttled,  ///< Too many at once.
    refused,    ///< A server said no to the certificate that we came with, in words.
    hung_up,    ///< A server ended it without a word: some refuse so.
    denied,     ///< It knows the certificate, and its policy says no.
    token,      ///< The ownership token is not, or no longer, good.
    final,      ///< Nothing changes by trying again.
    unanswered  ///< The question was sent; nothing came back.
  };
  Kind kind = Kind::passing;
  std::string words;  ///< For people, with what to do.
};

/// How an order went. Only the fields that its order names count.
struct ProvisionOutcome {
  bool done = true;
  ProvisionTrouble trouble{};  ///< If not.
  Secret key{};                ///< PEM. Of `ask` only where the service made it.
  std::string certificate{};   ///< PEM.
  std::string certificate_id{};
  Secret token{};
  std::string thing{};          ///< Of register_thing; may be empty.
  std::string configuration{};  ///< Of register_thing; may be empty.
};

class Provisioning {
 public:
  struct Order {
    ProvisionOrder what = ProvisionOrder::end;
    BootTime until = kNever;  ///< Of `wait`.
  };

  /// `random` must outlive this.
  Provisioning(ProvisionPlan plan, ProvisionStart start, env::Random& random);

  /// What to do now. Each order but wait and end is answered by one done(); the same order comes
  /// again until then.
  [[nodiscard]] Order next(BootTime now);
  void done(BootTime now, WallTime wall, ProvisionOutcome outcome);
  /// Something has changed that may help: a pause ends now.
  void nudge() { until_ = BootTime::min(); }

  /// What `write` writes, and the other orders work with.
  [[nodiscard]] const ProvisionJournal& journal() const { return journal_; }
  [[nodiscard]] const ProvisioningState& state() const { return shown_; }
  [[nodiscard]] bool renewal() const { return plan_.renewal; }

 private:
  using Kind = ProvisionTrouble::Kind;
  enum class State : std::uint8_t {
    /// Waits for: a key. Next: writing, then connecting.
    making_key,
    /// Waits for: the journal to be on disk. Next: after_.
    writing,
    /// Waits for: a connection as whom we ask. Next: subscribing.
    connecting,
    /// Waits for: the subscriptions. Interrupted by: the connection's end.
    /// Next: asking, or registering where there is a certificate.
    subscribing,
    /// Waits for: a certificate. Interrupted by: the connection's end; the answer's time being up.
    /// Next: writing, then subscribing.
    asking,
    /// Waits for: the registration. Interrupted by: as before.
    /// Next: writing, then leaving; leaving in doubt, where the token is no longer good.
    registering,
    /// Waits for: the connection's end, as bounded as any. Next: verifying (a renewal: installing).
    leaving,
    /// Waits for: the new certificate to be let in or not. Next: installing; connecting, where it
    /// is in doubt whether it was registered; making_key or connecting, once it surely was not.
    verifying,
    /// Waits for: the slot. Next: writing, then retiring or over.
    installing,
    /// Waits for: the claim's files to go. Next: over.
    retiring,
    /// Waits for: a time. Interrupted by: nudge(). Next: after_.
    pausing,
    /// Waits for nothing.
    over,
  };

  void begin(const ProvisionStart& start);
  void begin_anew();
  void enter(State state);
  void write_then(ProvisionPhase phase, State after);
  void finish();
  void pause(BootTime now, State after, const ProvisionTrouble& trouble, bool blocked);
  void succeeded(WallTime wall, ProvisionOutcome& outcome);
  void failed(BootTime now, const ProvisionTrouble& trouble);
  void failed_with_claim(BootTime now, const ProvisionTrouble& trouble);
  void failed_with_new(BootTime now, const ProvisionTrouble& trouble);
  void give_up_certificate();
  [[nodiscard]] ProvisioningStep step() const;

  ProvisionPlan plan_;
  env::Random& random_;
  ProvisionJournal journal_;
  State state_ = State::over;
  State written_ = State::over;       ///< What is next after writing.
  State paused_ = State::over;        ///< Where the pause began,
  State resumed_ = State::over;       ///< and where it goes on.
  BootTime until_ = kNever;           ///< ... when.
  Duration range_ = kProvisionFirst;  ///< Of the next pause.
  unsigned refusals_ = 0;             ///< In a row, of the certificate that we come with.
  unsigned new_refusals_ = 0;         ///< In a row, of the new one.
  unsigned unanswered_ = 0;           ///< In a row.
  bool in_doubt_ = false;             ///< Whether the certificate was registered.
  std::string claim_said_;            ///< Why the claim is refused, while the new one is tried.
  ProvisioningState shown_;
};

}  // namespace holdfast::identity
