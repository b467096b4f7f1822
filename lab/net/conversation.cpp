#include "lab/net/conversation.h"

#include <algorithm>
#include <utility>

#include <boost/asio/error.hpp>

#include "base/check.h"
#include "lab/net/describe.h"

namespace holdfast::lab::net {

using mqtt::Ending;
using mqtt::other;
using mqtt::Side;
using mqtt::Wish;
using mqtt::Wishes;

namespace {

const char* name_of(Side side) { return side == Side::device ? "device" : "broker"; }
const char* way_from(Side side) { return side == Side::device ? "up" : "down"; }

}  // namespace

// One side. It is open until its stream has ended, or was ended here; `closing` when the end comes
// as soon as what waits is written; `silent` when nothing is read or written any more, although
// the stream is open.
struct Conversation::End {
  End(posix::EventLoop& loop, std::shared_ptr<Stream> taken)
      : stream(std::move(taken)), framer(kLargestPacket), patience(loop) {}

  std::shared_ptr<Stream> stream;
  mqtt::Framer framer;
  posix::Timer patience;    // While closing: for a peer that does not take what waits.
  std::string waiting;      // Not yet given to the stream.
  std::size_t written = 0;  // Given to it, under way.
  bool reading = false;
  bool deaf = false;  // Garbage came: nothing more is read.
  bool told = false;  // The stages know that it is over.
  bool closing = false;
  bool silent = false;
  bool open = true;

  [[nodiscard]] std::size_t pending() const { return waiting.size() + written; }
};

Conversation::Conversation(posix::EventLoop& loop, Trace& trace, std::shared_ptr<Stream> device,
                           std::shared_ptr<Stream> broker, Options options)
    : loop_(loop),
      trace_(trace),
      options_(std::move(options)),
      ends_{std::make_unique<End>(loop, std::move(device)),
            std::make_unique<End>(loop, std::move(broker))},
      timer_(loop),
      look_(loop) {}

Conversation::~Conversation() = default;

void Conversation::start() {
  trace_.event("open", options_.id);
  set_timer();
  read(Side::device);
  read(Side::broker);
}

void Conversation::kick(const Kick& kick) {
  if (over_) return;
  if (kick.how == Kick::How::disconnect && options_.packets && version_ == mqtt::Version::v5) {
    send(Side::device,
         mqtt::encode(version_, mqtt::Disconnect{mqtt::Type::disconnect, kick.reason, {}}));
  }
  for (const Side side : {Side::device, Side::broker}) {
    if (kick.how == Kick::How::silence) {
      close(side, Ending::silence);
      continue;
    }
    end_of(side).silent = false;
    end_of(side).told = true;
    close(side, kick.how == Kick::How::reset ? Ending::reset : Ending::after_sending);
  }
}

// ---- reading

void Conversation::read(Side side) {
  End& end = end_of(side);
  if (end.reading || end.deaf || end.closing || end.silent || !end.open ||
      end_of(other(side)).pending() > kPending) {
    return;
  }
  end.reading = true;
  end.stream->read(
      [self = shared_from_this(), side](const ErrorCode& error, std::string_view bytes) {
        End& from = self->end_of(side);
        from.reading = false;
        if (!from.open || from.silent || from.closing) return;
        if (error) {
          self->broke(side, error);
        } else {
          self->take(side, bytes);
          self->read(side);
        }
      });
}

void Conversation::take(Side side, std::string_view bytes) {
  (side == Side::device ? facts_.up : facts_.down) += bytes.size();
  if (options_.packets) {
    end_of(side).framer.feed(bytes);
    take_packets(side);
    set_timer();
  } else if (end_of(other(side)).open) {
    send(other(side), bytes);
  }
}

void Conversation::take_packets(Side side) {
  End& end = end_of(side);
  while (end.open && !end.closing && !end.silent) {
    const auto frame = end.framer.next();
    if (!frame) {
      end.deaf = true;
      trace_.event("garbage", options_.id,
                   {{"from", name_of(side)},
                    {"words", frame.error().message},
                    {"bytes", end.framer.rest().size()}});
      if (options_.stages.empty()) {
        close(Side::device, Ending::after_sending);
        close(Side::broker, Ending::after_sending);
        return;
      }
      const std::size_t index = side == Side::device ? 0 : options_.stages.size() - 1;
      Wishes wishes;
      options_.stages[index]->on_garbage(trace_.now(), side, end.framer.rest(), wishes);
      carry_out(index, wishes);
      return;
    }
    if (!*frame) return;
    // A view into the framer, which nobody touches while the frame is handled.
    take_frame(side, **frame);
  }
}

void Conversation::take_frame(Side side, std::string_view frame) {
  ++facts_.packets;
  const auto packet = mqtt::decode(version_, frame);
  if (packet && side == Side::device) {
    if (const auto* connect = std::get_if<mqtt::Connect>(&*packet)) {
      version_ = connect->version;
      facts_.client_id = connect->client_id;
    }
  }
  Json line{{"way", way_from(side)}};
  line.update(packet ? describe(*packet) : Json{{"malformed", packet.error().message}});
  line["bytes"] = frame.size();
  Handling handling{side, frame};
  handling_ = &handling;
  to_stage(side == Side::device ? 0 : options_.stages.size() - 1, side, frame);
  handling_ = nullptr;
  line["passed"] = handling.passed;
  if (!handling.notes.empty()) line["notes"] = std::move(handling.notes);
  trace_.event("packet", options_.id, line);
}

// ---- stages

void Conversation::to_stage(std::size_t index, Side from, std::string_view frame) {
  if (index >= options_.stages.size()) {  // Past an end; below the first wraps to here, too.
    send(other(from), frame);
    return;
  }
  Wishes wishes;
  options_.stages[index]->on_frame(trace_.now(), from, frame, wishes);
  carry_out(index, wishes);
}

void Conversation::carry_out(std::size_t index, Wishes& wishes) {
  for (Wish& wish : wishes.all) {
    const std::size_t next = wish.to == Side::device ? index - 1 : index + 1;
    switch (wish.kind) {
      case Wish::Kind::send:
        to_stage(next, other(wish.to), wish.bytes);
        break;
      case Wish::Kind::note:
        if (handling_ != nullptr) handling_->notes.push_back(wish.bytes);
        trace_.event("note", options_.id, {{"words", wish.bytes}});
        break;
      case Wish::Kind::close:
        // What the stages between here and the end still hold goes out before an orderly end.
        if (wish.ending == Ending::after_sending) {
          close_from(next, wish.to);
        } else {
          close(wish.to, wish.ending);
        }
        break;
    }
  }
}

void Conversation::close_from(std::size_t index, Side to) {
  if (index >= options_.stages.size()) {
    close(to, Ending::after_sending);
    return;
  }
  Wishes wishes;
  options_.stages[index]->on_closed(trace_.now(), other(to), wishes);
  carry_out(index, wishes);
}

void Conversation::tell_closed(Side side) {
  if (std::exchange(end_of(side).told, true)) return;
  close_from(side == Side::device ? 0 : options_.stages.size() - 1, other(side));
  set_timer();
}

void Conversation::set_timer() {
  if (over_) return;
  BootTime when = kNever;
  for (const auto& stage : options_.stages) when = std::min(when, stage->wake());
  if (when == kNever) {
    timer_.cancel();
  } else {
    timer_.arm_at(when, [this] { wake(); });
  }
}

void Conversation::wake() {
  const auto self = shared_from_this();
  const BootTime now = trace_.now();
  for (std::size_t index = 0; index < options_.stages.size(); ++index) {
    if (options_.stages[index]->wake() > now) continue;
    Wishes wishes;
    options_.stages[index]->on_wake(now, wishes);
    carry_out(index, wishes);
  }
  set_timer();
}

// ---- writing

void Conversation::send(Side to, std::string_view bytes) {
  End& end = end_of(to);
  if (handling_ != nullptr && handling_->from == other(to) && handling_->frame == bytes) {
    handling_->passed = true;
  } else if (options_.packets) {
    // Made or changed by a stage, or one that it had kept.
    Json line{{"way", way_from(other(to))}};
    line.update(describe(version_, bytes));
    line["by"] = "lab";
    line["passed"] = end.open && !end.closing && !end.silent;
    trace_.event("packet", options_.id, line);
  }
  if (!end.open || end.closing || end.silent || bytes.empty()) return;
  end.waiting += bytes;
  write(to);
}

void Conversation::write(Side to) {
  End& end = end_of(to);
  if (end.written != 0 || !end.open || end.silent) return;
  if (end.waiting.empty()) {
    if (!end.closing) return;
    end.open = false;
    end.patience.cancel();
    end.stream->close([] {});
    check_over();
    return;
  }
  end.written = end.waiting.size();
  end.stream->write(std::exchange(end.waiting, {}),
                    [self = shared_from_this(), to](const ErrorCode& error) {
                      End& written = self->end_of(to);
                      written.written = 0;
                      if (!written.open || written.silent) return;
                      if (error) {
                        self->broke(to, error);
                        return;
                      }
                      self->write(to);
                      self->read(other(to));
                    });
}

// ---- ends

// The peer has ended the connection, in order or not.
void Conversation::broke(Side side, const ErrorCode& error) {
  End& end = end_of(side);
  end.waiting.clear();
  const bool orderly = error == boost::asio::error::eof;
  trace_.event("end", options_.id,
               {{"side", name_of(side)}, {"by", "peer"}, {"how", words_of(error)}});
  if (orderly && end.written == 0) {
    end.closing = true;
    write(side);
  } else {
    cut(side);
  }
  // A fault that resets a connection resets it at both ends.
  if (error == to_code(StreamError::fault)) close(other(side), Ending::reset);
  tell_closed(side);
  check_over();
}

void Conversation::cut(Side side) {
  End& end = end_of(side);
  if (!std::exchange(end.open, false)) return;
  end.patience.cancel();
  end.stream->reset();
  check_over();
}

void Conversation::close(Side side, Ending ending) {
  End& end = end_of(side);
  if (!end.open || end.silent) return;
  if (ending == Ending::after_sending && end.closing) return;
  static constexpr const char* kHow[] = {"fin", "reset", "silence"};
  trace_.event(
      "end", options_.id,
      {{"side", name_of(side)}, {"by", "lab"}, {"how", kHow[static_cast<std::size_t>(ending)]}});
  switch (ending) {
    case Ending::after_sending:
      end.closing = true;
      end.patience.arm_after(kPatience, [self = shared_from_this(), side] { self->cut(side); });
      write(side);
      break;
    case Ending::reset:
      cut(side);
      break;
    case Ending::silence:
      end.silent = true;
      end.waiting.clear();
      look_.arm_after(kLook, [this] { look(); });
      break;
  }
  check_over();
}

// A silent side does not read, so it cannot see its peer go: that is asked for now and then.
void Conversation::look() {
  const auto self = shared_from_this();
  bool again = false;
  for (const Side side : {Side::device, Side::broker}) {
    End& end = end_of(side);
    if (!end.open || !end.silent) continue;
    if (!end.stream->peer_is_gone()) {
      again = true;
      continue;
    }
    trace_.event("end", options_.id,
                 {{"side", name_of(side)}, {"by", "peer"}, {"how", "gone while silent"}});
    cut(side);
    tell_closed(side);
  }
  if (again) look_.arm_after(kLook, [this] { look(); });
  check_over();
}

void Conversation::check_over() {
  if (over_) return;
  End& device = end_of(Side::device);
  End& broker = end_of(Side::broker);
  // A silence is for the other side's sake; without it there is nobody to be silent for.
  if (!device.open && broker.silent) cut(Side::broker);
  // An end that says its farewell is not open any more; nothing hangs on it.
  if (over_ || device.open || broker.open) return;
  over_ = true;
  timer_.cancel();
  look_.cancel();
  loop_.post([self = shared_from_this()] {
    self->options_.stages.clear();
    if (const auto over = std::exchange(self->options_.over, nullptr)) over();
  });
}

void Conversation::abandon() {
  kick({Kick::How::reset});
  options_.stages.clear();
}

}  // namespace holdfast::lab::net
