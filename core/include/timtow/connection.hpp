// One WebSocket connection on a loop: a Session, the Transport it speaks through, and its
// deadlines.
#pragma once

#include <any>
#include <bit>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "timtow/event.hpp"
#include "timtow/forwarded.hpp"
#include "timtow/handshake.hpp"
#include "timtow/loop.hpp"
#include "timtow/metrics.hpp"
#include "timtow/security.hpp"
#include "timtow/session.hpp"

namespace timtow {

class Connection;

// What an application wants to hear. Each may be empty. All are called on the loop's thread, and
// may do everything: send, close, abort, destroy the server. One that throws fails its connection,
// and no other: it is closed with 1011, or its request answered 500, and on_close or on_error tells
// of errc::handler_threw.
struct Handlers {
  // A request: accept() it, respond() to it or reject() it, now or later (Limits::handshake_time
  // runs). When empty, upgrades are accepted, with a subprotocol that ServerOptions name, and other
  // requests answered 426. Upgrades from pages that ServerOptions::origins keep out do not get
  // here.
  std::function<void(Connection&, const Request&)> on_request;
  // Client: the answer to our upgrade. One that accepts it comes before on_open, one that refuses
  // before on_error.
  std::function<void(Connection&, const Response&)> on_response;
  // The connection is open. (On draft 76 not with its accept(), but when the client has said all.)
  std::function<void(Connection&)> on_open;
  std::function<void(Connection&, const Message&)> on_message;
  // When given, messages come in pieces as they arrive, and on_message is not called.
  std::function<void(Connection&, const Piece&)> on_piece;
  // A ping, which has been answered; a pong.
  std::function<void(Connection&, Bytes)> on_ping;
  std::function<void(Connection&, Bytes)> on_pong;
  // The output has fallen to the low water after it had passed the high water. Not called of a
  // connection that is closing.
  std::function<void(Connection&)> on_drain;
  // The connection that was open is closed, however that came. Called once, as the last.
  std::function<void(Connection&, const Closed&)> on_close;
  // What concerns no open connection: a handshake that failed, accept() running out of descriptors,
  // an on_close that threw. What this one throws is dropped: there is nobody left to tell.
  std::function<void(const Error&)> on_error;
};

// Handlers are given a reference that is good until they return. Who wants to keep a connection
// keeps a shared_ptr (keep()): one to a closed connection is still good, and what it is asked to
// send is refused with errc::not_open. All but id() is for the loop's thread only.
//
// No handler is called from inside a call of these, as long as that is made in an event of the
// loop: what a call leads to, on_close too, comes when the event is over.
class Connection final : private TransportEvents, private Deferred, private TimerQueue::Entry {
 public:
  // Who holds connections: a Server, or a Client. It lives as long as the last of them.
  class Owner : private MemoryHolder {
   public:
    // What its connections call.
    const Handlers& handlers() const noexcept { return *called_; }
    // Null when it is over.
    std::shared_ptr<Connection> find(std::uint64_t id) const noexcept;

   protected:
    static void tell(const std::function<void(const Error&)>& on_error,
                     const Error& error) noexcept;

    Owner(Loop& loop, Handlers handlers) noexcept
        : MemoryHolder(loop), handlers_(std::move(handlers)) {}
    ~Owner();

    // From now on nothing is called. The handlers stay: we may be inside one of them.
    void mute() noexcept;
    bool is_muted() const noexcept { return called_ != &handlers_; }
    // Something failed of which no connection's event tells.
    virtual void report(const Error& error) noexcept { tell(called_->on_error, error); }

    // A connection that is not connected yet. `self` is this. Throws std::bad_alloc.
    Connection& add(std::shared_ptr<Owner> self, Loop& loop, Role role,
                    const SessionOptions& options);
    // Takes back what add() gave.
    void remove(std::uint64_t id) noexcept;
    std::size_t size() const noexcept { return size_; }
    // Calls the function for all that are here now, inside a batch: before that ends, none goes.
    template <typename Function>
    void for_all(Function function) {
      const Walk walk{walks_};
      for (std::size_t i = 0, count = held_.size(); i < count; ++i)
        if (held_[i].connection != nullptr) function(*held_[i].connection);
    }

    // With what the sessions of these options, and the loop's pool, know.
    Metrics metrics(std::initializer_list<const SessionOptions*> all, Loop& loop) const noexcept;

    Handlers handlers_;
    Metrics metrics_;  // what connections and owners count themselves

   private:
    friend class Connection;
    // By their ids, and so in order. One that went leaves a gap, until there are many, and nobody
    // goes through them.
    struct Held {
      std::uint64_t id;
      std::shared_ptr<Connection> connection;
    };

    struct Walk {
      explicit Walk(unsigned& all) noexcept : walks(all) { ++walks; }
      Walk(const Walk&) = delete;
      Walk& operator=(const Walk&) = delete;
      ~Walk() { --walks; }
      unsigned& walks;
    };

    // Server: whether the application is to see the request; otherwise it is answered as the
    // Refusal says. `told`: what proxies in front tell of it. Throws std::bad_alloc.
    virtual Refusal admit(const Request&, Connection&, std::optional<Forwarded>&) { return {}; }
    // Server: whether the peer may stay, whom a PROXY header has named. Throws std::bad_alloc.
    virtual Refusal meet(Connection&) { return {}; }
    // Server: the subprotocol for an application without on_request, or why there has to be one.
    // Throws std::bad_alloc.
    virtual Refusal choose(const Request&, std::string_view&) { return {}; }
    // A connection is over, and was let go of; it had this tag.
    virtual void released(std::uint32_t tag) noexcept = 0;
    static std::size_t weight_of(const Held& held) noexcept;
    std::size_t largest() const noexcept override;
    std::size_t shed(std::size_t size, std::size_t wanted) noexcept override;
    std::size_t place_of(std::uint64_t id) const noexcept;

    const Handlers* called_ = &handlers_;
    std::vector<Held> held_;
    std::size_t size_ = 0;
    unsigned walks_ = 0;  // of for_all(), under way
    std::uint64_t last_id_ = 0;
    std::size_t alive_ = 0;        // connections, held by us or by others ...
    std::shared_ptr<Owner> self_;  // ... for which we live
  };

  // For owners. The transport's events go to events(); start() takes a transport that adopt() made,
  // with what was read from it before, inside a Loop::Batch.
  Connection(std::uint64_t id, Loop& loop, std::shared_ptr<Owner> owner, Role role,
             const SessionOptions& options) noexcept;
  ~Connection();
  TransportEvents& events() noexcept { return *this; }
  // Client: what to say first, before the transport is opened.
  Error request(const ClientRequest& request) noexcept { return session_.request(request); }
  // Closes with 1001 if it is open; otherwise it is over once its output is written, without
  // waiting for the peer to end the stream.
  void go_away();
  void start(Transport& transport, const Request* request, MutableBytes already_read) noexcept;
  // Server: answers in place of reading a request; or cuts the connection.
  void refuse(const Refusal& refusal, bool cut) noexcept;
  // Server: a PROXY header has told who the peer is. The owner may refuse it.
  void meet() noexcept;
  // What a server counts it by.
  std::uint32_t tag() const noexcept { return tag_; }
  void set_tag(std::uint32_t tag) noexcept { tag_ = tag; }

  // Null when it is over, which is after on_close.
  std::shared_ptr<Connection> keep() const noexcept { return owner_.find(id_); }

  // Unique in its server. The way to name a connection to other threads: post() to the loop, and
  // find() it there.
  std::uint64_t id() const noexcept { return id_; }

  // -- The opening handshake: answers to on_request ---------------------------------------------

  Error accept(const Accept& accept = {});
  Error respond(const Reply& reply);
  Error reject(int status, std::string_view body);

  // -- Messages: see Session for what they return -----------------------------------------------

  // What is sent in one event leaves in one write when the event is over. A large payload is
  // written at once, and only what the system does not take is copied.
  errc send(const Message& message);
  errc send(std::string_view text) { return send(Message{MessageType::text, as_bytes(text)}); }
  errc send(Bytes binary) { return send(Message{MessageType::binary, binary}); }
  errc send(const PreparedMessage& message);
  errc send_piece(const Message& piece, bool last);
  errc ping(Bytes payload = {});

  // Starts the closing handshake; on_close follows when it is done or Limits::close_time is over.
  errc close(CloseCode code = close_code::normal, std::string_view reason = {});
  // Cuts the connection without a word. on_close follows, with errc::cancelled. Behind on_close it
  // only stops waiting for the peer to end the stream.
  void abort();

  // Stops reading: no message comes until resume(), and the peer is slowed down. Idempotent.
  void pause();
  void resume();

  // The other end of the stream; empty when it is closed. Behind a PROXY header: whom that names,
  // or "unknown" where it names nobody. Throws std::bad_alloc.
  Endpoint peer() const;
  // Server: who the client is, as trusted proxies tell it (see ServerOptions::trusted_proxies),
  // from on_request on and for good; or else the peer. Throws std::bad_alloc.
  Endpoint client_address() const;

  bool is_open() const noexcept { return session_.is_open(); }
  std::string_view subprotocol() const noexcept { return session_.subprotocol(); }
  ProtocolVersion version() const noexcept { return session_.version(); }
  // Whether messages may be compressed: that was negotiated.
  bool is_compressing() const noexcept { return session_.is_compressing(); }
  // What TLS has agreed on, for as long as the handler runs; null of a connection without it, and
  // of one that is over.
  const Security* security() const noexcept {
    return transport_ == nullptr ? nullptr : transport_->security();
  }
  // Bytes that the peer has not taken yet, and whether they passed the high water.
  std::size_t output_size() const noexcept { return session_.output_size(); }
  bool is_congested() const noexcept { return session_.is_congested(); }

  // Whatever the application wants to keep with the connection. It is destroyed after on_close.
  // Throws std::bad_alloc.
  std::any& user_data();

 private:
  // TransportEvents
  void opened(Transport& transport) noexcept override;
  MutableBytes read_space() noexcept override;
  void received(MutableBytes bytes) noexcept override;
  void ended() noexcept override;
  void written(std::size_t taken) noexcept override;
  void failed(std::error_code cause) noexcept override;
  // TimerQueue::Entry and Deferred
  void due(TimePoint now) noexcept override;
  void run_deferred() noexcept override;

  void broke(std::error_code cause) noexcept;
  void serve() noexcept;
  void pump() noexcept;
  template <typename Call>
  bool guard(Call call) noexcept;
  [[gnu::cold]] void handler_threw(const char* what) noexcept;
  void dispatch(const Event& event);
  [[gnu::noinline]] void dispatch_other(const Event& event);
  void reject(const Refusal& refusal) noexcept;
  bool is_admitted(const Request& request) noexcept;
  void answer(const Request& request);
  void open_if_accepted();
  [[gnu::cold]] void count_end(const Closed& closed) noexcept;
  [[gnu::noinline]] errc send_otherwise(const Message& message);
  [[gnu::always_inline]] inline bool write_output() noexcept;
  void align() noexcept;
  void serve_later() noexcept;
  void set_deadline(TimePoint deadline) noexcept;
  [[gnu::noinline]] bool settle() noexcept;
  bool settle_ending() noexcept;
  void settle_congestion() noexcept;
  void shed(Error error) noexcept;

  bool pumping_ = false;
  bool opened_ = false;  // on_open was called, and on_close is owed
  // What is not as usual; told from one comparison.
  struct Unusual {
    bool open_due : 1 = false;  // accepted: on_open is owed
    bool stalled : 1 = false;   // a write took less than all, which is ours now ...
    bool waiting : 1 = false;   // ... and write_later() was called: written() will come
    bool shut_down : 1 = false;
    bool read_stopped : 1 = false;  // as the transport was told
    bool drain_due : 1 = false;     // congested: on_drain is owed
    bool to_be_heard : 1 = false;   // the deadline has come, and is put off (was_held_up())
    unsigned char nothing : 1 = 0;

    bool any() const noexcept { return std::bit_cast<std::uint8_t>(*this) != 0; }
  } unusual_;
  std::uint32_t tag_ = 0;
  std::uint64_t id_;
  Loop& loop_;
  Owner& owner_;
  Transport* transport_ = nullptr;
  Session session_;
  // What few connections have.
  struct Extra {
    std::any user_data;
    std::optional<Endpoint> client;  // that a proxy told of
  };
  Extra& extra();
  std::unique_ptr<Extra> extra_;
};

}  // namespace timtow
