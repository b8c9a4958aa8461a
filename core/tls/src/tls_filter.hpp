// TLS between a connection and its transport, without a socket: OpenSSL reads what a read of the
// transport brought, and writes to a queue that is written to the transport at once.
//
// - What a connection writes counts as taken when its ciphertext is: so what a peer does not take
//   waits in the connection, where the limits are, and here is a batch of it at most.
// - What was read is decrypted to where the connection wants it. What it does not want yet stays as
//   it came, and then nothing more is read.
// - Every event lasts a Loop::Batch, and who was closed goes when that ends: nobody is at work on
// it
//   any more.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "openssl.hpp"
#include "timtow/outbox.hpp"
#include "timtow/pool.hpp"
#include "timtow/security.hpp"

namespace timtow::tls {

class TlsFilter final : public Filter, private Deferred, private Security {
 public:
  // The SSL is as its role wants it, and has not begun. `keep` is what it needs as long as it
  // lives; `host` whom a client wants to talk to. Throws std::bad_alloc.
  TlsFilter(Loop& loop, TransportEvents& above, Ssl ssl, std::shared_ptr<void> keep,
            std::string host);
  ~TlsFilter() override;

  const std::string& host() const noexcept { return host_; }
  // For whom the peer's certificate is, which is not for the host.
  void note_names(std::string names) noexcept { names_ = std::move(names); }

 private:
  // Transport
  std::size_t write(const Gather& bytes, std::error_code& error) noexcept override;
  void write_later(const Gather& rest) noexcept override;
  void want_read(bool wanted) noexcept override;
  void shutdown_write() noexcept override;
  void close(How how) noexcept override;
  Endpoint peer() const override { return below_->peer(); }
  const Security* security() const noexcept override { return this; }
  // TransportEvents
  void opened(Transport& below) noexcept override;
  MutableBytes read_space() noexcept override;
  void received(MutableBytes bytes) noexcept override;
  void ended() noexcept override;
  void written(std::size_t taken) noexcept override;
  void failed(std::error_code cause) noexcept override;
  // Deferred
  void run_deferred() noexcept override;
  // Security
  std::string_view version() const noexcept override;
  std::string_view cipher() const noexcept override;
  std::string_view application_protocol() const noexcept override;
  std::string peer_subject() const override;
  bool is_resumed() const noexcept override;
  const Error& error() const noexcept override { return error_; }

  // What OpenSSL calls.
  static BIO_METHOD* method();
  static int bio_read(BIO* bio, char* to, int size);
  static int bio_write(BIO* bio, const char* from, int size);
  static long bio_control(BIO*, int command, long, void*);

  void advance() noexcept;
  bool shake_hands() noexcept;
  bool is_interrupted() const noexcept;
  void tell_written() noexcept;
  void deliver() noexcept;
  bool decrypt(MutableBytes& space, std::size_t& size) noexcept;
  bool encrypt(Bytes record, std::error_code& error) noexcept;
  bool flush(std::error_code& error) noexcept;
  void stop(int result) noexcept;
  void tell_outcome() noexcept;
  void broke(std::error_code cause) noexcept;
  void tell_end_of_failed() noexcept;
  void end_output(std::error_code& error) noexcept;
  void say_close_notify() noexcept;
  void keep_input() noexcept;
  bool has_pending() const noexcept;
  void update_reading() noexcept;

  // What comes of the peer's side of the stream in the end.
  enum class Outcome : unsigned char { none, end, failure };

  // What OpenSSL holds of a connection at rest, about, in the budget of the pool.
  struct Charge {
    static constexpr std::size_t size = 16 * 1024;
    explicit Charge(Pool& charged) : pool(charged) {
      if (!pool.charge(size)) throw std::bad_alloc{};
    }
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    ~Charge() { pool.refund(size); }
    Pool& pool;
  };

  Loop& loop_;
  const Charge charge_;
  TransportEvents& above_;
  Transport* below_ = nullptr;
  std::shared_ptr<void> keep_;
  Ssl ssl_;
  Bytes input_;               // what OpenSSL reads: what a read brought, or held_
  Buffer held_;               // ciphertext that the connection does not want yet
  Outbox ciphertext_;         // that the transport has not taken
  std::size_t promised_ = 0;  // bytes of plain text in it, which the connection is told when it is
  Error error_;
  std::error_code broken_;  // the transport was found broken where no event may tell it
  std::string host_;
  std::string names_;

  Outcome outcome_ = Outcome::none;
  bool told_ = false;      // of the outcome ...
  bool end_told_ = false;  // ... and, when that is a failure, of the end behind it
  bool is_client_ : 1 = false;
  bool is_secured_ : 1 = false;  // the handshake is done
  bool wants_read_ : 1 = true;   // the connection does, ...
  bool reads_ : 1 = true;        // ... and what the transport was told
  bool waiting_ : 1 = false;     // the transport will tell written()
  bool later_ : 1 = false;       // we will
  bool has_said_all_ : 1 = false;
  bool fin_due_ : 1 = false;    // when close_notify is said, and the ciphertext gone
  bool no_memory_ : 1 = false;  // for ciphertext
  bool closed_ : 1 = false;
};

}  // namespace timtow::tls
