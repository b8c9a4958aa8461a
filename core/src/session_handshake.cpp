// Session: the opening handshake, from the first byte to the first frame.
#include <algorithm>
#include <array>
#include <new>

#include "session_work.hpp"
#include "timtow/digest.hpp"

namespace timtow {
namespace {

Error nothing_waits() noexcept {
  return make_error(errc::no_request, "no request waits for an answer");
}

// What is wrong with a head of which that byte cannot be. A record of TLS begins with 0x16, or with
// 0x15 if it is an alert.
Error bad_byte(Bytes head, std::size_t at) noexcept {
  const auto byte = std::to_integer<unsigned>(head[at]);
  if (at == 0 && (byte == 0x16 || byte == 0x15))
    return make_error(errc::bad_request, "the peer speaks TLS, and here is plain text (ws://)");
  return make_error(errc::bad_request,
                    "byte %zu of the head is a control character, or half a CRLF: 0x%02X", at,
                    byte);
}

// The status that answers a failed handshake.
int status_for(const std::error_code& code) noexcept {
  if (code == errc::handshake_timeout) return 408;
  if (code == errc::handshake_too_large) return 431;
  if (code == errc::no_memory || code == errc::memory_budget || code == errc::cancelled) return 503;
  return 400;
}

}  // namespace

// Gathers the head in Work::carry, where it stays until it is answered.
std::optional<Event> Session::next_head() noexcept {
  try {
    Buffer& carry = work_->carry;
    if (!work_->handshake) work_->handshake = std::make_unique<Handshake>();
    while (!input_.empty() && state_.phase == Phase::head) {
      const std::size_t before = carry.size();
      const std::size_t part = std::min(input_.size(), options_.limits.handshake_bytes - before);
      if (!carry.append(input_.data(), part)) throw std::bad_alloc{};
      HeadScanner& scanner = work_->handshake->scanner;
      const auto result = scanner.scan({reinterpret_cast<const char*>(carry.data()), carry.size()});
      const std::size_t scanned = scanner.scanned();
      if (result == HeadScanner::Result::incomplete) {
        input_ = input_.subspan(part);
        if (carry.size() < options_.limits.handshake_bytes) break;
        fail_handshake(make_error(errc::handshake_too_large,
                                  "over %zu bytes of head came, which is Limits::handshake_bytes",
                                  options_.limits.handshake_bytes));
      } else if (result == HeadScanner::Result::bad) {
        fail_handshake(bad_byte({carry.data(), carry.size()}, scanned));
      } else {
        input_ = input_.subspan(scanned - before);
        const std::string_view head{reinterpret_cast<const char*>(carry.data()), scanned};
        if (auto event = !is_client_ ? take_request(head) : take_response(head)) return event;
      }
    }
  } catch (const std::bad_alloc&) {
    fail_handshake(out_of_memory());
  }
  return std::nullopt;
}

// -- Server ---------------------------------------------------------------------------------------

std::optional<Event> Session::take_request(std::string_view head) {
  Request& request = work_->handshake->request;
  Refusal refusal = parse_request(head, options_.limits.handshake_headers, request);
  if (refusal) {
    refuse(refusal);
    return std::nullopt;
  }
  if (receive_request(request)) return std::nullopt;
  return Event{&request};
}

Refusal Session::receive_request(const Request& request) noexcept {
  try {
    if (is_client_ || state_.phase != Phase::head)
      return {500, make_error(errc::no_request, "this session cannot start with a request")};
    if (!need_work()) throw std::bad_alloc{};
    if (!work_->handshake) work_->handshake = std::make_unique<Handshake>();
    Refusal refusal = check_request(request, options_.drafts);
    if (refusal) {
      refuse(refusal);
      return refusal;
    }
    Handshake& handshake = *work_->handshake;
    handshake.is_upgrade = request.is_upgrade();
    handshake.key = request.headers["Sec-WebSocket-Key"];
    for (const auto& each : request.subprotocols()) handshake.subprotocols.emplace_back(each);
    if (handshake.is_upgrade && options_.drafts) take_version(request);
    const Compression* const compression = usable_compression();
    if (compression != nullptr && handshake.is_upgrade)
      handshake.codec =
          compression->accept(request.extensions(), outbox_.pool(), handshake.extension);
    state_.phase = Phase::deciding;
    return {};
  } catch (const std::bad_alloc&) {
    fail_handshake(out_of_memory());
    return {503, out_of_memory()};
  }
}

// Notes what is to be spoken, and what of a draft's request is to be answered.
void Session::take_version(const Request& request) {
  set_version(request.version());
  if (!is_hixie(version())) return;
  Handshake& handshake = *work_->handshake;
  handshake.terms = hixie_terms(request, request.host(), options_.secure);
  handshake.challenge = hixie_challenge(request);
  handshake.challenge_size = hixie_numbers;
}

void Session::went_to(const Request& request, std::string_view host, std::string_view scheme) {
  if (state_.phase != Phase::deciding || !is_hixie(version())) return;
  work_->handshake->terms = hixie_terms(request, host.empty() ? request.host() : host,
                                        scheme.empty() ? options_.secure : scheme == "https");
}

void Session::refuse(const Refusal& refusal) {
  set_error(refusal.error);
  end();
  if (!put_text(format_refusal(refusal, options_.drafts))) cut();
}

// The same, where nobody is left to answer for want of memory.
void Session::refuse_or_cut(const Refusal& refusal) noexcept {
  try {
    refuse(refusal);
  } catch (const std::bad_alloc&) {
    set_error(Error{make_error_code(errc::no_memory), {}});
    cut();
  }
}

Error Session::accept(const Accept& accept) noexcept {
  if (state_.phase != Phase::deciding) return nothing_waits();
  Handshake& handshake = *work_->handshake;
  if (!handshake.is_upgrade)
    return make_error(errc::not_an_upgrade, "the request asks for no WebSocket: respond() to it");
  try {
    if (Error error = check_accept(accept, handshake.offered())) return error;
    const bool hixie = is_hixie(version());
    if (hixie)
      if (Error error = check_hixie_accept(accept)) return error;
    std::string subprotocol{accept.subprotocol};
    const bool compress = accept.compress && handshake.codec != nullptr;
    const std::string_view extension = compress ? handshake.extension : std::string_view{};
    if (!put_text(hixie ? format_hixie_accept(accept, version(), handshake.terms)
                        : format_accept(accept, handshake.key, extension)))
      return out_of_memory();
    work_->subprotocol = std::move(subprotocol);
    if (compress) compress_with(std::move(handshake.codec));
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
  work_->carry.release();
  if (version() == ProtocolVersion::hixie_76) {
    state_.phase = Phase::proving;
    return {};
  }
  open();
  work_->handshake.reset();
  rest();
  return {};
}

Error Session::respond(const Reply& reply) noexcept {
  if (state_.phase != Phase::deciding) return nothing_waits();
  try {
    if (Error error = check_reply(reply)) return error;
    if (!put_text(format_reply(reply))) return out_of_memory();
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
  if (work_->handshake->is_upgrade)  // an answer to anything else is what was asked for
    set_error(make_error(errc::rejected, "the application answered %d", reply.status));
  end();
  return {};
}

Error Session::reject(const Refusal& refusal) noexcept {
  const bool before_a_request = !is_client_ && state_.phase == Phase::head;
  if (state_.phase != Phase::deciding && !before_a_request) return nothing_waits();
  refuse_or_cut(refusal);
  return {};
}

// -- Client ---------------------------------------------------------------------------------------

Error Session::request(const ClientRequest& request) noexcept {
  if (!is_client_ || state_.phase != Phase::head ||
      (work_ != nullptr && work_->handshake != nullptr))
    return make_error(errc::no_request, "request() is for a client session, and once");
  try {
    if (Error error = check_client_request(request)) return error;
    std::array<MaskingKey, 4> nonce;
    for (auto& part : nonce)
      if (!next_masking_key(part))
        return make_error(errc::no_entropy, "the system gives no randomness for the key");
    if (!need_work()) return out_of_memory();
    auto handshake = std::make_unique<Handshake>();
    handshake->key = base64(std::as_bytes(std::span{nonce}));
    handshake->subprotocols.assign(request.subprotocols.begin(), request.subprotocols.end());
    set_version(request.version);
    if (is_hixie(request.version)) {
      if (Error error = request_hixie(request, *handshake)) return error;
    } else {
      const Compression* const compression = usable_compression();
      const std::string offer = compression == nullptr ? std::string{} : compression->offer();
      if (!put_text(format_client_request(request, handshake->key, offer))) return out_of_memory();
    }
    work_->handshake = std::move(handshake);
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
  return {};
}

std::optional<Event> Session::take_response(std::string_view head) {
  Handshake& handshake = *work_->handshake;
  Response& response = handshake.response;
  Error error = parse_response(head, options_.limits.handshake_headers, response);
  // Interim responses say nothing final (RFC 9110 section 15.2).
  if (!error && response.status < 200 && response.status != 101) {
    response = {};
    handshake.scanner = {};
    work_->carry.release();
    return std::nullopt;
  }
  const Compression* const compression = usable_compression();
  if (error)
    response = {};  // it is no answer
  else
    error =
        is_hixie(version())
            ? check_hixie_response(response, version(), handshake.terms, handshake.offered())
            : check_response(response, handshake.key, handshake.offered(), compression != nullptr);
  std::unique_ptr<Codec> codec;
  if (!error && compression != nullptr)
    error = compression->confirm(response.headers.list("Sec-WebSocket-Extensions"), outbox_.pool(),
                                 codec);
  if (error) {
    fail_handshake(std::move(error));
    return std::nullopt;
  }
  work_->subprotocol = response.headers[subprotocol_header(version())];
  if (version() == ProtocolVersion::hixie_76) {
    state_.phase = Phase::proving;
    return std::nullopt;
  }
  if (codec != nullptr) compress_with(std::move(codec));
  open();
  state_.done = work_->carry_done = true;  // the event shows what is in it
  return Event{&response};
}

// -- Both -----------------------------------------------------------------------------------------

// Frames from now on.
void Session::open() noexcept {
  state_.phase = Phase::open;
  state_.hixie = is_hixie(version());
  heard_ = true;
}

// Null when there is none, and for a draft, which has other extensions.
const Compression* Session::usable_compression() const noexcept {
  return version() == ProtocolVersion::rfc6455 ? options_.compression : nullptr;
}

void Session::compress_with(std::unique_ptr<Codec> codec) noexcept {
  work_->codec = std::move(codec);
  sends_specially_ |= compressing;
}

void Session::fail_handshake(Error error) noexcept {
  if (!is_client_ && state_.phase == Phase::proving) {  // the response was sent
    set_error(std::move(error));
    return end();
  }
  if (!is_client_) {
    const int status = status_for(error.code);
    return refuse_or_cut({status, std::move(error)});
  }
  if (error.code == errc::bad_request) error.code = errc::bad_response;
  set_error(std::move(error));
  cut();  // there is nothing that a client could say to a server that speaks no WebSocket
}

}  // namespace timtow
