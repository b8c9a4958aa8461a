#include "tls_filter.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "explain.hpp"
#include "timtow/tls.hpp"

namespace timtow::tls {
namespace {

// Of plain text. Four of these, as they go out, fit one of the pool's larger blocks.
constexpr std::size_t record_size = 16'000;
// Written together, and so the most that waits here of what a connection writes.
constexpr std::size_t records_in_write = 4;
// What we answer by ourselves (tickets, updates of keys) adds to that. Beyond this nothing is read:
// who sends what has to be answered, and takes no answer, waits.
constexpr std::size_t most_ciphertext = 128UL * 1024;
// Where in the loop's scratch ciphertext is read to. Plain text that is put to its front does not
// reach what is still to be decrypted: it is never ahead of that by more than a record, whose
// beginning an earlier read may have brought.
constexpr std::size_t ciphertext_at = 32UL * 1024;

// For a browser that was told http:// where it is https://.
constexpr std::string_view answer_to_http =
    "HTTP/1.1 400 Bad Request\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 48\r\n"
    "Connection: close\r\n"
    "\r\n"
    "This port speaks TLS: ask for https:// or wss://";

// A walk through what is to be written, in records.
class Records {
 public:
  explicit Records(const Gather& bytes) noexcept : bytes_(bytes), part_(bytes.front()) {}

  // The next one; `room` is where those are put together that lie apart.
  Bytes next(MutableBytes room) noexcept {
    if (part_.empty()) part_ = bytes_[++index_];
    if (part_.size() >= room.size() || index_ + 1 == bytes_.size()) return take(room.size());
    std::size_t size = 0;
    while (true) {
      const Bytes some = take(room.size() - size);
      std::memcpy(room.data() + size, some.data(), some.size());
      size += some.size();
      if (size == room.size() || index_ + 1 == bytes_.size()) return room.first(size);
      part_ = bytes_[++index_];
    }
  }

 private:
  Bytes take(std::size_t most) noexcept {
    const Bytes some = part_.first(std::min(part_.size(), most));
    part_ = part_.subspan(some.size());
    return some;
  }

  const Gather& bytes_;
  std::size_t index_ = 0;
  Bytes part_;
};

}  // namespace

TlsFilter::TlsFilter(Loop& loop, TransportEvents& above, Ssl ssl, std::shared_ptr<void> keep,
                     std::string host)
    : loop_(loop),
      charge_(loop.pool()),
      above_(above),
      keep_(std::move(keep)),
      ssl_(std::move(ssl)),
      held_(loop.pool()),
      ciphertext_(loop.pool()),
      host_(std::move(host)),
      is_client_(SSL_is_server(ssl_.get()) == 0) {
  BIO* const bio = BIO_new(method());
  if (bio == nullptr) throw std::bad_alloc{};
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  if (SSL_set_app_data(ssl_.get(), this) != 1) throw std::bad_alloc{};
}

TlsFilter::~TlsFilter() {
  // A session can be continued, however its connection has ended. (RFC 8446 has no other rule.)
  if (is_secured_ && !error_)
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
}

// -- What OpenSSL calls ---------------------------------------------------------------------------

BIO_METHOD* TlsFilter::method() {
  static const BioMethod method = [] {
    BioMethod made{BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "timtow")};
    if (made == nullptr) throw std::bad_alloc{};
    BIO_meth_set_read(made.get(), bio_read);
    BIO_meth_set_write(made.get(), bio_write);
    BIO_meth_set_ctrl(made.get(), bio_control);
    return made;
  }();
  return method.get();
}

int TlsFilter::bio_read(BIO* bio, char* to, int size) {
  TlsFilter& us = *static_cast<TlsFilter*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t count = std::min(us.input_.size(), static_cast<std::size_t>(size));
  if (count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(to, us.input_.data(), count);
  us.input_ = us.input_.subspan(count);
  return static_cast<int>(count);
}

int TlsFilter::bio_write(BIO* bio, const char* from, int size) {
  TlsFilter& us = *static_cast<TlsFilter*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (us.has_said_all_) return size;  // to nobody: a handshake may go on that is good for nothing
  us.no_memory_ = !us.ciphertext_.append(as_bytes({from, static_cast<std::size_t>(size)}));
  return us.no_memory_ ? -1 : size;
}

long TlsFilter::bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH; }

// -- What the connection wants --------------------------------------------------------------------

std::size_t TlsFilter::write(const Gather& bytes, std::error_code& error) noexcept {
  if (error_) {
    if (told_) error = error_.code;  // or else it is told by failed(), behind what came before it
    return 0;
  }
  // A server has nothing to say yet, unless it gives up: and that nobody could read.
  if (!is_secured_ && !is_client_) error = timtow::errc::handshake_incomplete;
  if (!is_secured_ || waiting_ || is_interrupted()) return 0;
  std::array<std::byte, record_size> room;
  Records records{bytes};
  std::size_t taken = 0;
  while (taken < bytes.size_bytes()) {
    std::size_t batch = 0;
    for (std::size_t i = 0; i < records_in_write && taken + batch < bytes.size_bytes(); ++i) {
      const Bytes record = records.next(room);
      if (!encrypt(record, error)) return taken;
      batch += record.size();
    }
    if (!flush(error)) {
      promised_ = batch;
      return taken;
    }
    taken += batch;
  }
  return taken;
}

void TlsFilter::write_later(const Gather&) noexcept { later_ = true; }

void TlsFilter::want_read(bool wanted) noexcept {
  wants_read_ = wanted;
  if (wanted && has_pending())
    loop_.defer(*this);
  else
    update_reading();
}

void TlsFilter::shutdown_write() noexcept {
  fin_due_ = true;
  end_output(broken_);
  if (broken_) loop_.defer(*this);
}

void TlsFilter::close(How how) noexcept {
  if (how == How::graceful) {
    say_close_notify();
    std::error_code ignored;
    flush(ignored);
  }
  below_->close(how);
  closed_ = true;
  loop_.defer(*this);
}

// -- What the transport tells ---------------------------------------------------------------------

void TlsFilter::opened(Transport& below) noexcept {
  const Loop::Batch batch{loop_};
  below_ = &below;
  above_.opened(*this);
  if (is_client_) advance();
}

MutableBytes TlsFilter::read_space() noexcept { return loop_.scratch().subspan(ciphertext_at); }

void TlsFilter::received(MutableBytes bytes) noexcept {
  const Loop::Batch batch{loop_};
  if (outcome_ != Outcome::none) return;  // nothing behind it matters
  input_ = bytes;
  advance();
  if (!closed_) keep_input();
}

void TlsFilter::ended() noexcept {
  const Loop::Batch batch{loop_};
  if (outcome_ == Outcome::end) return;
  if (outcome_ == Outcome::none) {
    outcome_ = Outcome::failure;
    error_ = is_secured_ ? make_error(errc::truncated,
                                      "the stream was cut short: it ended without close_notify")
                         : make_error(timtow::errc::handshake_incomplete,
                                      "the stream ended inside the TLS handshake");
  }
  tell_end_of_failed();
}

void TlsFilter::written(std::size_t taken) noexcept {
  const Loop::Batch batch{loop_};
  waiting_ = false;
  ciphertext_.sent(taken);
  std::error_code error;
  if (!flush(error)) return error ? broke(error) : void();
  end_output(error);
  if (error) return broke(error);
  tell_written();
  if (!closed_) update_reading();
}

void TlsFilter::failed(std::error_code cause) noexcept {
  const Loop::Batch batch{loop_};
  if (below_ == nullptr) {  // it never came to be
    above_.failed(cause);
    closed_ = true;
    return loop_.defer(*this);
  }
  broke(cause);
}

void TlsFilter::run_deferred() noexcept {
  if (closed_) {
    delete this;
    return;
  }
  if (broken_) return broke(std::exchange(broken_, {}));
  input_ = {held_.data(), held_.size()};
  advance();
  if (!closed_) keep_input();
}

// -- The way in -----------------------------------------------------------------------------------

// Goes as far as the input allows.
void TlsFilter::advance() noexcept {
  if (outcome_ == Outcome::none && shake_hands()) deliver();
  if (closed_) return;
  std::error_code error;
  flush(error);
  end_output(error);
  if (error && !error_) return above_.failed(error);
  tell_outcome();
}

// True when nothing of OpenSSL's own is under way: the handshake, or a message behind it.
bool TlsFilter::shake_hands() noexcept {
  if (is_secured_ && !is_interrupted()) return true;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) {
    stop(result);
    return false;
  }
  is_secured_ = true;
  tell_written();
  return !closed_;
}

// Whether a message of the peer's to OpenSSL (a ticket, perhaps) has come in part. Until it is
// whole, OpenSSL lets nobody say anything: so it is read, whatever the connection wants.
bool TlsFilter::is_interrupted() const noexcept {
  return is_secured_ && outcome_ == Outcome::none && SSL_in_init(ssl_.get()) != 0;
}

// That the connection may write again, if it waits for that.
void TlsFilter::tell_written() noexcept {
  if (!later_ || waiting_ || !is_secured_ || is_interrupted()) return;
  later_ = false;
  above_.written(std::exchange(promised_, 0));
}

void TlsFilter::deliver() noexcept {
  bool more = true;
  while (more && wants_read_ && !closed_) {
    const MutableBytes space = above_.read_space();
    MutableBytes left = space;
    std::size_t size = 0;
    while (more && !left.empty()) more = decrypt(left, size);
    if (size > 0) above_.received(space.first(size));
  }
}

// Adds what is in the next record. False when there is none.
bool TlsFilter::decrypt(MutableBytes& space, std::size_t& size) noexcept {
  ERR_clear_error();
  std::size_t count = 0;
  const int result = SSL_read_ex(ssl_.get(), space.data(), space.size(), &count);
  if (result != 1) {
    stop(result);
    return false;
  }
  space = space.subspan(count);
  size += count;
  return true;
}

// Why OpenSSL does not go on, if it is not that more has to come.
void TlsFilter::stop(int result) noexcept {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return;
    case SSL_ERROR_ZERO_RETURN:
      outcome_ = Outcome::end;
      return;
    default:
      break;
  }
  outcome_ = Outcome::failure;
  error_ = no_memory_ ? out_of_memory() : explain(ssl_.get(), host_, names_);
  if (error_.code == errc::plain_http && !ciphertext_.append(as_bytes(answer_to_http)))
    error_ = out_of_memory();
}

void TlsFilter::tell_outcome() noexcept {
  if (told_ || outcome_ == Outcome::none || (is_secured_ && !wants_read_)) return;
  told_ = true;
  outcome_ == Outcome::end ? above_.ended() : above_.failed(error_.code);
}

// The transport is of no use any more.
void TlsFilter::broke(std::error_code cause) noexcept {
  error_ ? tell_end_of_failed() : above_.failed(cause);
}

void TlsFilter::tell_end_of_failed() noexcept {
  if (!std::exchange(told_, true)) above_.failed(error_.code);
  if (!closed_ && !std::exchange(end_told_, true)) above_.ended();
}

// What was not read yet stays, unless nothing behind the end matters.
void TlsFilter::keep_input() noexcept {
  const Bytes left = std::exchange(input_, {});
  if (left.empty() || outcome_ != Outcome::none) {
    held_.release();
  } else if (held_.holds(left.data())) {
    held_.drop(held_.size() - left.size());
  } else if (!held_.append(left.data(), left.size())) {
    outcome_ = Outcome::failure;
    error_ = out_of_memory();
    tell_outcome();
    if (closed_) return;
  }
  update_reading();
}

bool TlsFilter::has_pending() const noexcept {
  return !held_.empty() || SSL_pending(ssl_.get()) > 0 || (outcome_ != Outcome::none && !told_);
}

void TlsFilter::update_reading() noexcept {
  const bool reads = (wants_read_ || is_interrupted()) && ciphertext_.size() <= most_ciphertext;
  if (reads == reads_) return;
  reads_ = reads;
  below_->want_read(reads);
}

// -- The way out ----------------------------------------------------------------------------------

bool TlsFilter::encrypt(Bytes record, std::error_code& error) noexcept {
  ERR_clear_error();
  std::size_t written = 0;
  if (SSL_write_ex(ssl_.get(), record.data(), record.size(), &written) == 1) return true;
  error_ = no_memory_ ? out_of_memory() : explain(ssl_.get(), host_, names_);
  outcome_ = Outcome::failure;
  told_ = true;
  error = error_.code;
  return false;
}

// Writes the ciphertext that there is. True when all of it is gone.
bool TlsFilter::flush(std::error_code& error) noexcept {
  while (!ciphertext_.empty() && !waiting_) {
    const Gather bytes = ciphertext_.output();
    const std::size_t taken = below_->write(bytes, error);
    if (error) return false;
    ciphertext_.sent(taken);
    if (taken == bytes.size_bytes()) continue;
    if (!ciphertext_.own()) {
      error = timtow::errc::no_memory;
      return false;
    }
    waiting_ = true;
    below_->write_later(ciphertext_.output());
  }
  return ciphertext_.empty();
}

// Says close_notify and ends the stream, if that is due, as soon as it can be said.
void TlsFilter::end_output(std::error_code& error) noexcept {
  if (!fin_due_ || error || is_interrupted()) return;
  say_close_notify();
  has_said_all_ = true;
  if (!flush(error)) return;
  fin_due_ = false;
  below_->shutdown_write();
}

void TlsFilter::say_close_notify() noexcept {
  if (!is_secured_ || error_ || (SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

// -- What was agreed on ---------------------------------------------------------------------------

std::string_view TlsFilter::version() const noexcept {
  return is_secured_ ? SSL_get_version(ssl_.get()) : "";
}

std::string_view TlsFilter::cipher() const noexcept {
  return is_secured_ ? SSL_get_cipher_name(ssl_.get()) : "";
}

std::string_view TlsFilter::application_protocol() const noexcept {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string TlsFilter::peer_subject() const {
  const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return {};
  const Bio text{BIO_new(BIO_s_mem())};
  if (text == nullptr) throw std::bad_alloc{};
  X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  const char* data = nullptr;
  const long size = BIO_get_mem_data(text.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

bool TlsFilter::is_resumed() const noexcept { return SSL_session_reused(ssl_.get()) != 0; }

}  // namespace timtow::tls
