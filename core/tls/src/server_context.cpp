#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "context.hpp"
#include "tls_filter.hpp"

namespace timtow::tls {
namespace {

constexpr std::string_view protocol = "http/1.1";

// One of its own for each certificate, the first is for those who ask for no other. A connection
// keeps the set that it began with.
using Set = std::vector<SslContext>;

// SNI (RFC 6066 section 3).
int choose_certificate(SSL* ssl, int*, void* argument) {
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  for (const SslContext& each : *static_cast<const Set*>(argument)) {
    X509* const certificate = SSL_CTX_get0_certificate(each.get());
    if (X509_check_host(certificate, name, 0, 0, nullptr) != 1) continue;
    SSL_set_SSL_CTX(ssl, each.get());
    break;
  }
  return SSL_TLSEXT_ERR_OK;
}

// ALPN (RFC 7301): each name has its length in front.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  for (unsigned at = 0; at < offered_size; at += 1U + offered[at]) {
    const std::string_view name{reinterpret_cast<const char*>(offered) + at + 1, offered[at]};
    if (name != protocol) continue;
    *chosen = offered + at + 1;
    *size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

Error ask_for_certificates(SSL_CTX* context, const ServerContext::Options& options) {
  if (options.client_certificates == ClientCertificates::none) return {};
  const std::string& file = options.client_ca_file;
  if (Error error = use_issuers(context, file)) return error;
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(file.c_str()));
  const bool required = options.client_certificates == ClientCertificates::required;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
  return {};
}

std::shared_ptr<Set> load(const ServerContext::Options& options, Error& error) {
  auto set = std::make_shared<Set>();
  if (options.certificates.empty())
    error = make_error(errc::bad_file, "a server needs a certificate, and none is given");
  for (const Certificate& each : options.certificates) {
    SSL_CTX* const context =
        set->emplace_back(make_context(TLS_server_method(), options.min_version)).get();
    error = use_certificate(context, each);
    if (!error) error = ask_for_certificates(context, options);
    if (error) break;
    // Sessions are continued by tickets: nothing is kept for clients that are gone.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(protocol.data()),
                                   protocol.size());
    SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                          reinterpret_cast<void (*)()>(choose_certificate));
    SSL_CTX_set_tlsext_servername_arg(context, set.get());
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  }
  if (error) set.reset();
  return set;
}

}  // namespace

class ServerContext::State {
 public:
  State(Options options, std::shared_ptr<Set> set)
      : options_(std::move(options)), set_(std::move(set)) {}

  const Options& options() const noexcept { return options_; }
  std::shared_ptr<Set> set() {
    const std::lock_guard lock{mutex_};
    return set_;
  }
  void replace(std::shared_ptr<Set> set) {
    const std::lock_guard lock{mutex_};
    set_.swap(set);
  }

 private:
  const Options options_;
  std::mutex mutex_;
  std::shared_ptr<Set> set_;
};

ServerContext::ServerContext(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}

ServerContext::~ServerContext() = default;

std::shared_ptr<ServerContext> ServerContext::make(Options options, Error& error) {
  Error failure;
  auto set = load(options, failure);
  if (failure) {
    error = std::move(failure);
    return nullptr;
  }
  auto state = std::make_unique<State>(std::move(options), std::move(set));
  return std::shared_ptr<ServerContext>{new ServerContext{std::move(state)}};
}

Error ServerContext::reload() {
  Error error;
  auto set = load(state_->options(), error);
  if (!error) state_->replace(std::move(set));
  return error;
}

std::unique_ptr<Filter> ServerContext::secure(Loop& loop, TransportEvents& above) {
  auto set = state_->set();
  Ssl ssl = make_ssl(set->front().get());
  SSL_set_accept_state(ssl.get());
  return std::make_unique<TlsFilter>(loop, above, std::move(ssl), std::move(set), std::string{});
}

}  // namespace timtow::tls
