// See local_server.h.
#include "runtime/local_server.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "posix/system.h"
#include "runtime/local_mail.h"
#include "runtime/local_protocol.h"
#include "runtime/local_socket.h"
#include "runtime/safe_mode.h"

namespace holdfast::runtime {
namespace {

namespace asio = boost::asio;
using Socket = asio::local::stream_protocol::socket;
using Acceptor = asio::local::stream_protocol::acceptor;
using ErrorCode = boost::system::error_code;

constexpr std::size_t kReadBuffer = 64 * limits::kKiB;
constexpr std::size_t kReadPause = limits::kLocalBacklog / 2;
constexpr Duration kAcceptPause = std::chrono::seconds(1);

}  // namespace

/// The loop-thread half of the server.
class LocalServer::Hub {
 public:
  Hub(posix::EventLoop& loop, Device& device, ListeningSocket socket, Options options);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  [[nodiscard]] Status start();
  /// To all clients that asked for events.
  void tell(const std::string& line);
  void deliver(const std::vector<Mail>& mail);
  /// Without safe mode: those that acknowledged messages to an earlier run may go on.
  void restore_groups();

 private:
  class Client;
  class Mailbox;

  void accept();
  void accepted(Socket socket);
  void pause_accepting(const ErrorCode& error);
  void refuse(Socket& socket, const std::string& why);
  void forget(std::uint64_t client);
  [[nodiscard]] LocalGroups::Outlet group_outlet();
  void log(LogLevel level, std::string line) const {
    log_->write({level, LogArea::local_api, std::move(line)});
  }

  posix::EventLoop& loop_;
  Device& device_;
  ListeningSocket file_;
  std::filesystem::path history_;
  std::string page_;
  std::shared_ptr<Logger> log_;
  Looks looks_;
  LocalAccess access_;
  std::unique_ptr<env::Clock> clock_ = posix::make_clock();
  LogMessage log_message_;
  std::string safe_mode_;
  std::function<void()> leave_safe_mode_;
  std::function<void(BootReason, const std::string&)> going_down_;
  Acceptor acceptor_;
  posix::Timer accept_timer_;
  bool accept_failing_ = false;
  /// Gone with the hub: an accept that was finished before may still be delivered after.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<Mailbox> mailbox_;
  std::map<std::uint64_t, std::shared_ptr<Client>> clients_;
  LocalGroups groups_;
  JobBoard jobs_;
  std::uint64_t next_client_ = 1;
  std::uint64_t next_subscription_ = 1;
};

/// Where the device's handlers leave lines for the loop thread. One wake-up per batch.
class LocalServer::Hub::Mailbox : public std::enable_shared_from_this<Mailbox> {
 public:
  Mailbox(posix::EventLoop& loop, Hub& hub) : loop_(loop), hub_(hub) {}

  void put(Mail mail) {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    mail_.push_back(std::move(mail));
    if (mail_.size() == 1) loop_.post([self = shared_from_this()] { self->deliver(); });
  }

  void deliver() {
    if (closed_) return;
    std::vector<Mail> mail;
    {
      const std::lock_guard lock(mutex_);
      mail.swap(mail_);
    }
    hub_.deliver(mail);
  }

  /// From here on neither loop nor hub is touched. Loop thread.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }

 private:
  posix::EventLoop& loop_;
  Hub& hub_;
  std::mutex mutex_;
  std::vector<Mail> mail_;
  bool closed_ = false;  // written on the loop thread only, under the lock
};

/// One connection. Kept alive by its pending operations; `hub_` is null once it has been closed.
class LocalServer::Hub::Client : public std::enable_shared_from_this<Client> {
 public:
  /// No grant: everything is allowed.
  Client(Hub& hub, std::uint64_t number, pid_t pid, std::shared_ptr<Grant> grant, Socket socket)
      : hub_(&hub),
        number_(number),
        pid_(pid),
        grant_(std::move(grant)),
        socket_(std::move(socket)) {}

  void read();
  void take_mail(const Mail& mail);
  void tell(const std::string& line);
  [[nodiscard]] bool has_room() const { return unread() <= kReadPause && !doomed_; }
  /// A message that it is to acknowledge.
  void give(const std::string& line);
  /// Writes what has been gathered, unless a write is under way.
  void flush();
  /// The last chance of what is unwritten; then the socket is gone.
  void close();

 private:
  void received(const ErrorCode& error, std::size_t count);
  void half_closed();
  void handle_lines();
  void handle(std::string_view line);
  [[nodiscard]] Status may(const LocalRequest& request);
  void answer(PublishRequest& request, std::string& id);
  void answer(AskRequest& request, std::string& id);
  void answer(SubscribeRequest& request, std::string& id);
  void answer(SubscribeUnmatchedRequest& request, std::string& id);
  void answer(AcknowledgeRequest& request, std::string& id);
  void answer(UnsubscribeRequest& request, std::string& id);
  void answer(StatusRequest& request, std::string& id);
  void answer(EventsRequest& request, std::string& id);
  void answer(ReconnectRequest&, std::string& id) {
    hub_->device_.reconnect_now();
    pending_ += ok_line(id);
  }
  void answer(PingRequest& request, std::string& id);
  void answer(PageRequest& request, std::string& id);
  void answer(HeartbeatRequest& request, std::string& id) {
    answer_with(hub_->device_.heartbeat(request.name, request.every), id);
  }
  void answer(HeartbeatEndRequest& request, std::string& id) {
    answer_with(hub_->device_.end_heartbeat(request.name), id);
  }
  void answer(JobsRequest& request, std::string& id) {
    hub_->jobs_.tell(number_, std::move(request.jobs));
    pending_ += ok_line(id);
  }
  void answer_with(const Status& done, const std::string& id) {
    pending_ += done ? ok_line(id) : error_line(id, done.error().message);
  }
  void answer(OutboxStatRequest& request, std::string& id) { look(request, id); }
  void answer(OutboxListRequest& request, std::string& id) { look(request, id); }
  void answer(OutboxMessageRequest& request, std::string& id) { look(request, id); }
  void answer(FateRequest& request, std::string& id) { look(request, id); }
  void answer(SafeModeEndRequest& request, std::string& id);
  void answer(PowerFailRequest& request, std::string& id);
  void answer(PowerBackRequest& request, std::string& id);
  void answer(GoingDownRequest& request, std::string& id);
  void answer(LogLevelRequest& request, std::string& id);
  void answer(LogsRequest& request, std::string& id);
  void answer(SendLogsRequest& request, std::string& id);
  void answer(HistoryRequest& request, std::string& id) {
    look(HistoryLook{hub_->history_, request.limit}, id);
  }
  template <class Request>
  void look(const Request& request, std::string& id);
  /// An answer that comes later counts among those that are owed, or is refused.
  [[nodiscard]] bool may_owe_look(const std::string& id);
  [[nodiscard]] LookAnswer later();
  [[nodiscard]] ReceiptHandler receipt_handler(std::string id);
  /// Sends `message` events of this subscription.
  [[nodiscard]] MessageHandler message_handler(std::uint64_t number);
  void subscribed(std::uint64_t number, const std::string& id,
                  const Result<SubscriptionId>& subscription);
  void written(const ErrorCode& error);
  void cut(const std::string& why);
  void leave();
  [[nodiscard]] std::size_t unread() const { return pending_.size() + writing_.size(); }

  Hub* hub_;
  const std::uint64_t number_;
  const pid_t pid_;
  const std::shared_ptr<Grant> grant_;
  Socket socket_;
  std::vector<char> buffer_ = std::vector<char>(kReadBuffer);
  std::string input_;
  std::size_t taken_ = 0;    // bytes of input_ that have been handled
  std::size_t scanned_ = 0;  // bytes of input_ known to hold no newline after taken_
  std::string pending_;
  std::string writing_;
  bool reading_ = false;  // a read, or a turn of handle_lines(), is under way
  bool last_ = false;     // the peer sends no more; close once nothing is owed
  bool doomed_ = false;   // broke the rules; close once the reason is written
  bool wants_events_ = false;
  bool denied_ = false;  // and logged
  std::size_t owed_ = 0;
  std::size_t looks_owed_ = 0;
  std::map<std::uint64_t, SubscriptionId> subscriptions_;
  std::set<std::uint64_t> acknowledging_;  // subscriptions, too: members of groups
  std::shared_ptr<Meter> meter_ = std::make_shared<Meter>();
};

// ---- a client: reading --------------------------------------------------------------------------

void LocalServer::Hub::Client::read() {
  if (hub_ == nullptr || reading_ || last_ || doomed_) return;
  if (unread() > kReadPause) return;  // resumed by written()
  reading_ = true;
  socket_.async_read_some(asio::buffer(buffer_),
                          [self = shared_from_this()](const ErrorCode& error, std::size_t count) {
                            self->received(error, count);
                          });
}

void LocalServer::Hub::Client::received(const ErrorCode& error, std::size_t count) {
  reading_ = false;
  if (hub_ == nullptr) return;
  if (error == asio::error::eof) return half_closed();
  if (error) return leave();
  input_.append(buffer_.data(), count);
  handle_lines();
}

// A peer that has only shut down its sending side, as "printf … | nc -N -U" does, still gets what
// it is owed; one that is gone altogether is noticed by its hang-up.
void LocalServer::Hub::Client::half_closed() {
  last_ = true;
  if (!input_.empty()) {
    pending_ += error_line("", "the last line has no newline and was not handled; end it with one");
  }
  socket_.async_wait(Socket::wait_error, [self = shared_from_this()](const ErrorCode& error) {
    if (!error) self->leave();
  });
  // The wait reports what happens from now on; a hang-up before it is seen here.
  if (hung_up(socket_.native_handle())) return leave();
  flush();
}

void LocalServer::Hub::Client::handle_lines() {
  for (std::size_t lines = 0; hub_ != nullptr && !doomed_; ++lines) {
    const std::size_t end = input_.find('\n', std::max(scanned_, taken_));
    if (end == std::string::npos) {
      scanned_ = input_.size();
      break;
    }
    if (lines == kLocalLinesPerTurn || unread() > kReadPause) break;
    if (end - taken_ > limits::kLocalLine) break;  // refused below
    std::string_view line(input_.data() + taken_, end - taken_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) handle(line);
    taken_ = end + 1;
  }
  if (hub_ == nullptr) return;
  input_.erase(0, taken_);
  scanned_ -= std::min(scanned_, taken_);
  taken_ = 0;
  if (input_.find('\n', scanned_) > limits::kLocalLine && input_.size() > limits::kLocalLine) {
    pending_ += error_line("", "a line has more than " + std::to_string(limits::kLocalLine) +
                                   " bytes; send smaller messages");
    doomed_ = true;
  }
  flush();
  if (hub_ == nullptr || doomed_) return;
  if (input_.find('\n', scanned_) == std::string::npos) {
    read();
  } else if (unread() <= kReadPause) {  // else resumed by written()
    reading_ = true;
    hub_->loop_.post([self = shared_from_this()] {
      self->reading_ = false;
      self->handle_lines();
    });
  }
}

void LocalServer::Hub::Client::handle(std::string_view line) {
  auto parsed = parse_request(line);
  if (const auto* refusal = std::get_if<LocalRefusal>(&parsed)) {
    pending_ += error_line(refusal->id, refusal->error);
    return;
  }
  auto& request = std::get<LocalRequest>(parsed);
  const Status allowed = may(request);
  if (!allowed) {
    const bool later = allowed.error().code == Errc::full;
    if (!later && !std::exchange(denied_, true)) {
      hub_->log(LogLevel::warning,
                "process " + std::to_string(pid_) + ": " + allowed.error().message);
    }
    pending_ += error_line(request.id, allowed.error().message, later);
    return;
  }
  std::visit([&](auto& what) { answer(what, request.id); }, request.what);
}

Status LocalServer::Hub::Client::may(const LocalRequest& request) {
  if (!hub_->safe_mode_.empty() && is_of_application(request)) {
    return Error{Errc::closed, "safe mode: the agent " + hub_->safe_mode_ +
                                   "; until that is over, programs can only look and control"};
  }
  return grant_ == nullptr ? Status() : grant_->allows(request, hub_->clock_->now());
}

// ---- a client: requests -------------------------------------------------------------------------

void LocalServer::Hub::Client::answer(PublishRequest& request, std::string& id) {
  RejectReason rejected = RejectReason::queue_full;
  if (owed_ < kLocalReceiptsOwed) {
    const bool owes = request.receipt != WantedReceipt::none;
    const ReceiptScope scope = request.receipt == WantedReceipt::delivered ? ReceiptScope::settled
                                                                           : ReceiptScope::accepted;
    ReceiptHandler handler;
    if (owes) handler = receipt_handler(id);
    rejected =
        hub_->device_.publish(std::move(request.message), std::move(handler), scope).rejected;
    if (owes && rejected == RejectReason::none) ++owed_;
  }
  if (rejected == RejectReason::none) return;
  pending_ += error_line(id, to_string(rejected), rejected == RejectReason::queue_full);
}

ReceiptHandler LocalServer::Hub::Client::receipt_handler(std::string id) {
  struct Owed {
    std::shared_ptr<Mailbox> mailbox;
    std::uint64_t client;
    std::string id;
  };
  auto owed = std::make_shared<Owed>(Owed{hub_->mailbox_, number_, std::move(id)});
  return [owed = std::move(owed)](const Receipt& receipt) {
    if (!receipt.last) return;  // an `accepted` on the way to the `delivered` that was wanted
    owed->mailbox->put({owed->client, receipt_line(owed->id, receipt), Mail::Kind::receipt});
  };
}

void LocalServer::Hub::Client::answer(SubscribeRequest& request, std::string& id) {
  const std::uint64_t number = hub_->next_subscription_++;
  if (request.acknowledge) {
    const Status joined = hub_->groups_.join(number_, number, request);
    if (joined.ok()) acknowledging_.insert(number);
    pending_ += joined.ok() ? subscribed_line(id, number) : error_line(id, joined.error().message);
    return hub_->groups_.offer();
  }
  subscribed(
      number, id,
      hub_->device_.subscribe(std::move(request.filter), request.qos, message_handler(number)));
}

void LocalServer::Hub::Client::answer(SubscribeUnmatchedRequest&, std::string& id) {
  const std::uint64_t number = hub_->next_subscription_++;
  subscribed(number, id, hub_->device_.subscribe_unmatched(message_handler(number)));
}

MessageHandler LocalServer::Hub::Client::message_handler(std::uint64_t number) {
  return [mailbox = hub_->mailbox_, client = number_, number,
          meter = meter_](const InboundMessage& message) {
    if (meter->cut) return;
    std::string line = message_line(number, message);
    meter->add(line.size());
    mailbox->put({client, std::move(line), Mail::Kind::event});
  };
}

void LocalServer::Hub::Client::answer(AskRequest& request, std::string& id) {
  if (owed_ >= kLocalReceiptsOwed) {
    pending_ += error_line(id, to_string(RejectReason::queue_full), true);
    return;
  }
  auto handler = [mailbox = hub_->mailbox_, client = number_, id,
                  meter = meter_](const Response& response) {
    if (meter->cut) return;
    std::string line = response_line(id, response);
    meter->add(line.size());
    mailbox->put({client, std::move(line), Mail::Kind::response});
  };
  const Status asked =
      hub_->device_.request(std::move(request.message), request.timeout, std::move(handler));
  if (asked.ok()) {
    ++owed_;
  } else {
    pending_ += error_line(id, asked.error().message, asked.error().code == Errc::full);
  }
}

void LocalServer::Hub::Client::subscribed(std::uint64_t number, const std::string& id,
                                          const Result<SubscriptionId>& subscription) {
  if (!subscription) {
    pending_ += error_line(id, subscription.error().message);
    return;
  }
  subscriptions_.emplace(number, *subscription);
  pending_ += subscribed_line(id, number);
}

void LocalServer::Hub::Client::answer(AcknowledgeRequest& request, std::string& id) {
  pending_ += acknowledged_line(id, hub_->groups_.acknowledge(number_, request.deliveries));
  hub_->groups_.offer();
}

void LocalServer::Hub::Client::give(const std::string& line) {
  pending_ += line;
  flush();
}

void LocalServer::Hub::Client::answer(UnsubscribeRequest& request, std::string& id) {
  if (acknowledging_.erase(request.subscription) != 0) {
    hub_->groups_.leave(request.subscription, true);
    hub_->groups_.offer();
    pending_ += ok_line(id);
    return;
  }
  const auto found = subscriptions_.find(request.subscription);
  if (found == subscriptions_.end()) {
    pending_ += error_line(id, "field \"subscription\": this connection has none of that number");
    return;
  }
  const Status status = hub_->device_.unsubscribe(found->second);
  subscriptions_.erase(found);
  answer_with(status, id);
}

void LocalServer::Hub::Client::answer(StatusRequest&, std::string& id) {
  pending_ += status_line(id, hub_->device_.state(), hub_->device_.filters(),
                          hub_->device_.identity(), hub_->device_.log_state(),
                          hub_->device_.heartbeats(), hub_->jobs_.view(hub_->clock_->now()));
}

void LocalServer::Hub::Client::answer(PageRequest&, std::string& id) {
  pending_ += hub_->page_.empty()
                  ? error_line(id, "this agent serves no page; set page.listen and restart it")
                  : page_line(id, hub_->page_);
}

void LocalServer::Hub::Client::answer(LogLevelRequest& request, std::string& id) {
  if (request.level) {
    hub_->log_->set_level(request.area, *request.level);
    hub_->log_->write({LogLevel::info, LogArea::agent,
                       "log level of " +
                           std::string(request.area ? to_string(*request.area) : "all areas") +
                           ": " + std::string(to_string(*request.level)) + " (asked by process " +
                           std::to_string(pid_) + ")"});
  }
  pending_ += log_levels_line(id, hub_->log_->state());
}

void LocalServer::Hub::Client::answer(LogsRequest& request, std::string& id) {
  pending_ += logs_line(id, hub_->log_->last(request.limit));
}

void LocalServer::Hub::Client::answer(SendLogsRequest& request, std::string& id) {
  Result<Message> message = hub_->log_message_(request.topic, request.limit);
  if (!message) {
    pending_ += error_line(id, message.error().message);
    return;
  }
  PublishRequest publish{std::move(message).value(), WantedReceipt::accepted};
  answer(publish, id);
}

void LocalServer::Hub::Client::answer(EventsRequest&, std::string& id) {
  wants_events_ = true;
  pending_ += ok_line(id);
  pending_ += connection_line(hub_->device_.state().connection);
}

void LocalServer::Hub::Client::answer(PingRequest&, std::string& id) {
  pending_ += progress_line(id, hub_->device_.progress());
}

void LocalServer::Hub::Client::answer(SafeModeEndRequest&, std::string& id) {
  if (hub_->safe_mode_.empty() || !hub_->leave_safe_mode_) {
    pending_ += error_line(id, "the agent is not in safe mode");
    return;
  }
  hub_->leave_safe_mode_();
  pending_ += ok_line(id);
}

void LocalServer::Hub::Client::answer(PowerFailRequest& request, std::string& id) {
  if (!may_owe_look(id)) return;
  hub_->device_.power_fail(
      request.detail,
      [answer = later(), id](std::optional<Milliseconds> took) { answer(saved_line(id, took)); });
}

void LocalServer::Hub::Client::answer(PowerBackRequest&, std::string& id) {
  hub_->device_.power_back();
  pending_ += ok_line(id);
}

void LocalServer::Hub::Client::answer(GoingDownRequest& request, std::string& id) {
  if (!hub_->going_down_) {
    pending_ += error_line(id, "this program keeps no record of boots; holdfastd does");
  } else if (may_owe_look(id)) {
    hub_->looks_([note = hub_->going_down_, request, id, answer = later()](outbox::Outbox&) {
      note(request.reason, request.detail);
      answer(ok_line(id));
      return true;
    });
  }
}

bool LocalServer::Hub::Client::may_owe_look(const std::string& id) {
  if (looks_owed_ < kLocalLooksOwed) return ++looks_owed_ > 0;
  pending_ += error_line(id, to_string(RejectReason::queue_full), true);
  return false;
}

LookAnswer LocalServer::Hub::Client::later() {
  return [mailbox = hub_->mailbox_, client = number_](std::string line) {
    mailbox->put({client, std::move(line), Mail::Kind::look});
  };
}

template <class Request>
void LocalServer::Hub::Client::look(const Request& request, std::string& id) {
  if (may_owe_look(id)) hub_->looks_(make_look(request, std::move(id), later()));
}

// ---- a client: writing and leaving --------------------------------------------------------------

void LocalServer::Hub::Client::take_mail(const Mail& mail) {
  pending_ += mail.line;
  if (mail.kind != Mail::Kind::event) {  // bounded by kLocalReceiptsOwed and kLocalLooksOwed
    std::size_t& owed = mail.kind == Mail::Kind::look ? looks_owed_ : owed_;
    owed -= std::min<std::size_t>(owed, 1);
    if (mail.kind != Mail::Kind::response) return;
  }
  meter_->events -= mail.line.size();
  if (unread() > limits::kLocalBacklog || meter_->cut) {
    cut("does not read what it subscribed to fast enough; over " +
        std::to_string(limits::kLocalBacklog / limits::kKiB) + " KiB were waiting");
  }
}

void LocalServer::Hub::Client::tell(const std::string& line) {
  if (!wants_events_) return;
  pending_ += line;
  if (unread() > limits::kLocalBacklog) return cut("does not read the events it asked for");
  flush();
}

void LocalServer::Hub::Client::flush() {
  if (hub_ == nullptr || !writing_.empty()) return;
  if (pending_.empty()) {
    const bool idle = owed_ == 0 && looks_owed_ == 0 && subscriptions_.empty() &&
                      acknowledging_.empty() && !wants_events_;
    if (doomed_ || (last_ && idle)) leave();
    return;
  }
  writing_.swap(pending_);
  asio::async_write(
      socket_, asio::buffer(writing_),
      [self = shared_from_this()](const ErrorCode& error, std::size_t) { self->written(error); });
}

void LocalServer::Hub::Client::written(const ErrorCode& error) {
  if (hub_ == nullptr) return;
  if (error) return leave();
  writing_.clear();
  if (!acknowledging_.empty()) hub_->groups_.offer();
  flush();
  if (hub_ == nullptr || reading_ || last_ || doomed_) return;
  handle_lines();  // what waited while reading was paused; then reads on
}

void LocalServer::Hub::Client::cut(const std::string& why) {
  hub_->log(LogLevel::warning, "client " + std::to_string(number_) + " (process " +
                                   std::to_string(pid_) + ") " + why + "; cut");
  pending_.clear();
  leave();
}

void LocalServer::Hub::Client::leave() {
  if (hub_ == nullptr) return;
  Hub* const hub = hub_;
  close();
  hub->forget(number_);
}

void LocalServer::Hub::Client::close() {
  if (hub_ == nullptr) return;
  meter_->cut = true;
  hub_->jobs_.leave(number_, hub_->clock_->now());
  for (const auto& [number, subscription] : subscriptions_) {
    static_cast<void>(hub_->device_.unsubscribe(subscription).ok());
  }
  for (const std::uint64_t subscription : acknowledging_) {
    hub_->groups_.leave(subscription, false);
  }
  hub_ = nullptr;
  ErrorCode ignored;
  if (writing_.empty() && !pending_.empty()) {
    socket_.non_blocking(true, ignored);
    socket_.write_some(asio::buffer(pending_), ignored);
  }
  socket_.close(ignored);
}

// ---- the hub ------------------------------------------------------------------------------------

LocalServer::Hub::Hub(posix::EventLoop& loop, Device& device, ListeningSocket socket,
                      Options options)
    : loop_(loop),
      device_(device),
      file_(std::move(socket)),
      history_(std::move(options.history)),
      page_(std::move(options.page)),
      log_(std::move(options.log)),
      looks_(std::move(options.looks)),
      access_(std::move(options.access)),
      log_message_(std::move(options.log_message)),
      safe_mode_(std::move(options.safe_mode)),
      leave_safe_mode_(std::move(options.leave_safe_mode)),
      going_down_(std::move(options.going_down)),
      acceptor_(loop.context()),
      accept_timer_(loop),
      mailbox_(std::make_shared<Mailbox>(loop, *this)),
      groups_({loop, device, *clock_, log_, history_, std::move(options.write),
               options.acknowledgements ? std::move(options.acknowledgements)
                                        : std::make_shared<AckTally>(),
               (posix::make_random()->next() >> 32) << 20},  // a double holds all of them
              group_outlet()) {}

LocalGroups::Outlet LocalServer::Hub::group_outlet() {
  return {[this](std::uint64_t client) {
            const auto found = clients_.find(client);
            return found != clients_.end() && found->second->has_room();
          },
          [this](std::uint64_t client, const std::string& line) {
            const auto found = clients_.find(client);
            if (found != clients_.end()) found->second->give(line);
          }};
}

void LocalServer::Hub::restore_groups() {
  if (safe_mode_.empty()) groups_.restore();
}

LocalServer::Hub::~Hub() {
  mailbox_->deliver();
  mailbox_->close();
  accept_timer_.cancel();
  ErrorCode ignored;
  acceptor_.close(ignored);
  remove_socket_file(file_);
  for (const auto& [number, client] : clients_) client->close();
}

Status LocalServer::Hub::start() {
  ErrorCode failure;
  acceptor_.assign(asio::local::stream_protocol(), file_.fd.get(), failure);
  if (failure) {
    remove_socket_file(file_);
    return Error{Errc::io, file_.path.native() + ": " + failure.message(), failure.value()};
  }
  static_cast<void>(file_.fd.release());
  accept();
  return {};
}

void LocalServer::Hub::accept() {
  acceptor_.async_accept(
      [this, alive = std::weak_ptr(alive_)](const ErrorCode& error, Socket socket) {
        if (error == asio::error::operation_aborted || alive.expired()) return;
        if (error) return pause_accepting(error);
        accept_failing_ = false;
        accepted(std::move(socket));
        accept();
      });
}

void LocalServer::Hub::pause_accepting(const ErrorCode& error) {
  if (!std::exchange(accept_failing_, true)) {
    log(LogLevel::error,
        "cannot accept clients: " + error.message() + "; trying again each second");
  }
  accept_timer_.arm_after(kAcceptPause, [this] { accept(); });
}

void LocalServer::Hub::accepted(Socket socket) {
  const Peer peer = peer_of(socket.native_handle(), file_.group);
  if (!peer.allowed) {
    log(LogLevel::warning, "process " + std::to_string(peer.pid) +
                               " refused: neither our user nor in the socket's group");
    return refuse(socket, "permission denied; join the group of the socket file");
  }
  auto grant = access_.grant_of(peer);
  if (!grant) {
    log(LogLevel::warning,
        "process " + std::to_string(peer.pid) + " refused: " + grant.error().message);
    return refuse(socket, grant.error().message);
  }
  if (clients_.size() >= limits::kLocalClients) {
    log(LogLevel::warning, "process " + std::to_string(peer.pid) +
                               " refused: " + std::to_string(limits::kLocalClients) +
                               " clients are connected already");
    return refuse(socket, "too many clients; at most " + std::to_string(limits::kLocalClients) +
                              " connect at once");
  }
  const std::uint64_t number = next_client_++;
  auto client = std::make_shared<Client>(*this, number, peer.pid, std::move(grant).value(),
                                         std::move(socket));
  clients_.emplace(number, client);
  log(LogLevel::debug,
      "client " + std::to_string(number) + " (process " + std::to_string(peer.pid) + ") has come");
  client->read();
}

void LocalServer::Hub::refuse(Socket& socket, const std::string& why) {
  ErrorCode ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(error_line("", why, true)), ignored);
}

void LocalServer::Hub::forget(std::uint64_t client) {
  clients_.erase(client);
  groups_.offer();  // what it has left to others
}

void LocalServer::Hub::deliver(const std::vector<Mail>& mail) {
  std::vector<std::shared_ptr<Client>> touched;
  for (const Mail& one : mail) {
    const auto found = clients_.find(one.client);
    if (found == clients_.end()) continue;
    const std::shared_ptr<Client> client = found->second;  // taking mail may end it
    client->take_mail(one);
    if (touched.empty() || touched.back() != client) touched.push_back(client);
  }
  for (const auto& client : touched) client->flush();
}

void LocalServer::Hub::tell(const std::string& line) {
  const auto clients = clients_;  // telling may end one
  for (const auto& [number, client] : clients) client->tell(line);
}

// ---- the face -----------------------------------------------------------------------------------

LocalServer::LocalServer(std::unique_ptr<Hub> hub) : hub_(std::move(hub)) {}

LocalServer::~LocalServer() = default;

Result<std::unique_ptr<LocalServer>> LocalServer::open(posix::EventLoop& loop, Device& device,
                                                       Options options) {
  Result<ListeningSocket> socket =
      options.passed ? adopt(std::move(options.passed), options.socket) : listen_at(options.socket);
  if (!socket) return std::move(socket).error().with("local.socket");
  auto hub = std::make_unique<Hub>(loop, device, std::move(socket).value(), std::move(options));
  if (Status started = hub->start(); !started) {
    return std::move(started).error().with("local.socket");
  }
  hub->restore_groups();
  return std::unique_ptr<LocalServer>(new LocalServer(std::move(hub)));
}

void LocalServer::connection_changed(const ConnectionState& state) {
  hub_->tell(connection_line(state));
}

void LocalServer::identity_changed(const IdentityState& state) { hub_->tell(identity_line(state)); }

void LocalServer::heartbeat_changed(const HeartbeatState& state) {
  hub_->tell(heartbeat_line(state));
}

}  // namespace holdfast::runtime
