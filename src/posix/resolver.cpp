// getaddrinfo() cannot be cancelled and may take many seconds, so each look-up gets a detached
// thread of its own that is abandoned, not awaited. The thread and the resolver share one Lookup;
// whoever comes last frees it. limits::kLookupsAtOnce bounds the threads of the whole process.
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>

#include "base/check.h"
#include "base/limits.h"
#include "posix/os_error.h"
#include "posix/system.h"

namespace holdfast::posix {

namespace {

using Addresses = Result<std::vector<env::Address>>;

constexpr std::size_t kThreadStack = 512 * limits::kKiB;  // glibc's resolver needs well under half
constexpr auto kLongLookup = std::chrono::seconds(1);     // a server's own "try later" is faster

std::atomic<std::size_t> lookups_running{0};

struct FreeAddrinfo {
  void operator()(addrinfo* list) const noexcept { ::freeaddrinfo(list); }
};
using AddrinfoPtr = std::unique_ptr<addrinfo, FreeAddrinfo>;

std::vector<env::Address> to_addresses(const addrinfo* list) {
  std::vector<env::Address> found;
  for (; list != nullptr; list = list->ai_next) {
    if (list->ai_family != AF_INET && list->ai_family != AF_INET6) continue;
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(list->ai_addr, list->ai_addrlen, text.data(),
                      static_cast<socklen_t>(text.size()), nullptr, 0, NI_NUMERICHOST) == 0) {
      found.push_back(env::Address{text.data(), list->ai_family == AF_INET6, {}});
    }
  }
  return found;
}

int ask(const std::string& host, int flags, AddrinfoPtr& out) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (code == 0) out.reset(list);
  return code;
}

Error lookup_error(const std::string& host, int code, int os_error, bool took_long) {
  Errc errc = Errc::io;
  switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
      errc = Errc::not_found;
      break;
    case EAI_AGAIN:  // No server answered, or one answered at once that it cannot tell now.
      errc = took_long ? Errc::timeout : Errc::io;
      break;
    default:
      break;
  }
  std::string words = host + ": " + ::gai_strerror(code);
  if (code == EAI_SYSTEM) words += " (" + os_words(os_error) + ")";
  return Error{errc, words, code == EAI_SYSTEM ? os_error : 0};
}

// "localhost" is always this machine (RFC 6761), also when the hosts file lost it, and also when
// AI_ADDRCONFIG would hide its IPv4 address on a network that has IPv6 only.
Addresses look_up(const std::string& host) {
  const bool local = host == "localhost";
  const auto began = std::chrono::steady_clock::now();
  AddrinfoPtr list;
  const int code = ask(host, local ? 0 : AI_ADDRCONFIG | AI_CANONNAME, list);
  const int os_error = errno;
  if (code == 0) {
    auto found = to_addresses(list.get());
    // getaddrinfo() has the name in the first entry only, and the name itself where there is none.
    if (list->ai_canonname != nullptr) {
      for (env::Address& address : found) address.canonical = list->ai_canonname;
    }
    if (!found.empty()) return found;
  }
  if (local) return std::vector<env::Address>{{"::1", true}, {"127.0.0.1", false}};
  if (code == 0) return Error{Errc::not_found, host + ": no address for it", 0};
  return lookup_error(host, code, os_error,
                      std::chrono::steady_clock::now() - began >= kLongLookup);
}

// One look-up under way. `loop` is cleared, under the mutex, when nobody wants the answer.
struct Lookup {
  std::mutex mutex;
  EventLoop* loop = nullptr;
  env::Resolver::Done done;  // loop thread only
  std::string host;

  void abandon() {
    const std::lock_guard hold(mutex);
    loop = nullptr;
  }
};

void deliver(const std::shared_ptr<Lookup>& lookup, Addresses answer) {
  // std::function wants copies, Result is moved: a shared box serves both.
  auto box = std::make_shared<Addresses>(std::move(answer));
  const std::lock_guard hold(lookup->mutex);
  if (lookup->loop == nullptr) return;
  lookup->loop->post([lookup, box] {
    {
      const std::lock_guard again(lookup->mutex);
      if (lookup->loop == nullptr) return;
      lookup->loop = nullptr;
    }
    const env::Resolver::Done done = std::exchange(lookup->done, nullptr);
    done(std::move(*box));
  });
}

void* lookup_thread(void* argument) {
  {
    const std::unique_ptr<std::shared_ptr<Lookup>> lookup(
        static_cast<std::shared_ptr<Lookup>*>(argument));
    deliver(*lookup, look_up((*lookup)->host));
  }
  lookups_running.fetch_sub(1);
  return nullptr;
}

// Signals belong to the application's threads, so the new thread blocks them all.
int start_thread(const std::shared_ptr<Lookup>& lookup) {
  pthread_attr_t attributes;
  if (const int failed = ::pthread_attr_init(&attributes); failed != 0) return failed;
  ::pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  ::pthread_attr_setstacksize(&attributes, kThreadStack);
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  auto argument = std::make_unique<std::shared_ptr<Lookup>>(lookup);
  pthread_t thread{};
  const int failed = ::pthread_create(&thread, &attributes, lookup_thread, argument.get());
  if (failed == 0) static_cast<void>(argument.release());  // The thread owns it now.
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_attr_destroy(&attributes);
  return failed;
}

bool take_slot() {
  std::size_t running = lookups_running.load();
  while (running < limits::kLookupsAtOnce) {
    if (lookups_running.compare_exchange_weak(running, running + 1)) return true;
  }
  return false;
}

class SystemResolver final : public env::Resolver {
 public:
  explicit SystemResolver(EventLoop& loop) : loop_(loop), deadline_(loop) {}
  ~SystemResolver() override { cancel(); }
  SystemResolver(const SystemResolver&) = delete;
  SystemResolver& operator=(const SystemResolver&) = delete;

  void resolve(const std::string& host, Duration timeout, Done done) override {
    HF_CHECK(done != nullptr);
    cancel();
    lookup_ = std::make_shared<Lookup>();
    lookup_->loop = &loop_;
    lookup_->host = host;
    lookup_->done = [this, done = std::move(done)](Addresses answer) {
      deadline_.cancel();
      const Done call = done;  // `done` may start the next look-up, which destroys this one.
      lookup_.reset();
      call(std::move(answer));
    };
    begin(timeout);
  }

  void cancel() override {
    deadline_.cancel();
    if (lookup_) {
      lookup_->abandon();
      lookup_->done = nullptr;
    }
    lookup_.reset();
  }

 private:
  void begin(Duration timeout) {
    const std::string& host = lookup_->host;
    if (host.empty() || host.find('\0') != std::string::npos) {
      deliver(lookup_, Error{Errc::not_found, "the host name is empty or not a name", 0});
      return;
    }
    AddrinfoPtr list;
    if (ask(host, AI_NUMERICHOST, list) == 0) {  // Never asks anybody, so never blocks.
      deliver(lookup_, to_addresses(list.get()));
      return;
    }
    if (!take_slot()) {
      deliver(lookup_, Error{Errc::full,
                             host + ": " + std::to_string(limits::kLookupsAtOnce) +
                                 " earlier name look-ups are still waiting for an answer",
                             0});
      return;
    }
    if (const int failed = start_thread(lookup_); failed != 0) {
      lookups_running.fetch_sub(1);
      deliver(lookup_,
              Error{Errc::full, host + ": no thread for the look-up: " + os_words(failed), failed});
      return;
    }
    deadline_.arm_after(timeout, [this, timeout] { give_up(timeout); });
  }

  void give_up(Duration timeout) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
    lookup_->abandon();
    const Done done = std::exchange(lookup_->done, nullptr);
    done(Error{
        Errc::timeout,
        lookup_->host + ": no answer from the name servers within " + std::to_string(ms) + " ms",
        0});
  }

  EventLoop& loop_;
  Timer deadline_;
  std::shared_ptr<Lookup> lookup_;
};

}  // namespace

std::unique_ptr<env::Resolver> make_resolver(EventLoop& loop) {
  return std::make_unique<SystemResolver>(loop);
}

}  // namespace holdfast::posix
