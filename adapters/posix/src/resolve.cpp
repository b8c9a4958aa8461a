#include "timtow/posix/resolve.hpp"

#include <pthread.h>

#include <csignal>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "timtow/posix/socket.hpp"

namespace timtow::posix {
namespace {

struct Result {
  std::vector<Endpoint> addresses;
  Error error;
};

Error not_found(const Endpoint& name, int failure) {
  const std::error_code code = code_of_failure(failure, errc::host_not_found);
  return make_error(code, "looking up \"%s\" failed: %s", name.host.c_str(),
                    text_of_failure(failure));
}

Result find(const Endpoint& name, int flags) noexcept {
  try {
    int failure = 0;
    const Addresses found = look_up(name, flags, failure);
    if (failure != 0) return {{}, not_found(name, failure)};
    Result result;
    for (const addrinfo* each = found.get(); each != nullptr; each = each->ai_next)
      result.addresses.push_back(endpoint_of(each->ai_addr, each->ai_addrlen));
    return result;
  } catch (const std::bad_alloc&) {
    return {{}, make_error(errc::no_memory, "no memory to look up a name")};
  }
}

// Signals are for the application's threads: while this lives the thread has none, and those that
// it starts never have.
class NoSignals {
 public:
  NoSignals() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &usual_);
  }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &usual_, nullptr); }

 private:
  sigset_t usual_;
};

// Shared by the loop's thread, which may give the lookup up, and the one that waits.
class Lookup final : public std::enable_shared_from_this<Lookup> {
 public:
  Lookup(Loop& loop, Endpoint name, ResolveEvents& events)
      : name_(std::move(name)), loop_(&loop), events_(events) {}

  void start() {
    // What is an address already needs no thread.
    if (Result result = find(name_, AI_NUMERICHOST); !result.error) return tell(result);
    const NoSignals guard;
    try {
      std::thread{[self = shared_from_this()] { self->wait(); }}.detach();
    } catch (const std::system_error& error) {
      tell({{},
            make_error(error.code(), "no thread to look up \"%s\": %s", name_.host.c_str(),
                       error.what())});
    }
  }

  void give_up() noexcept {
    const std::lock_guard lock{mutex_};
    loop_ = nullptr;
  }

 private:
  // On a thread of its own.
  void wait() noexcept {
    try {
      tell(find(name_, 0));
    } catch (const std::bad_alloc&) {  // nobody can be told; who asked does not wait for ever
    }
  }

  void tell(Result result) {
    const std::lock_guard lock{mutex_};
    if (loop_ == nullptr) return;
    loop_->post([self = shared_from_this(), result = std::move(result)]() mutable {
      if (self->loop_ != nullptr) self->events_.resolved(std::move(result.addresses), result.error);
    });
  }

  const Endpoint name_;
  std::mutex mutex_;
  Loop* loop_;  // null when nobody waits any more; written by the loop's thread
  ResolveEvents& events_;
};

class Resolving final : public Pending {
 public:
  explicit Resolving(std::shared_ptr<Lookup> lookup) : lookup_(std::move(lookup)) {}
  ~Resolving() override { lookup_->give_up(); }

 private:
  std::shared_ptr<Lookup> lookup_;
};

}  // namespace

std::unique_ptr<Pending> resolve(Loop& loop, const Endpoint& name, ResolveEvents& events) {
  const auto lookup = std::make_shared<Lookup>(loop, name, events);
  auto resolving = std::make_unique<Resolving>(lookup);  // gives it up should start() fail
  lookup->start();
  return resolving;
}

}  // namespace timtow::posix
