#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>

#include "context.hpp"
#include "timtow/ip_address.hpp"
#include "tls_filter.hpp"

namespace timtow::tls {
namespace {

constexpr unsigned char protocols[] = "\x08http/1.1";

// Hosts whose sessions are kept.
constexpr std::size_t most_sessions = 256;

TlsFilter& filter_of(const SSL* ssl) noexcept {
  return *static_cast<TlsFilter*>(SSL_get_app_data(ssl));
}

// The session that each host gave last, to continue it.
class Sessions {
 public:
  // One of TLS 1.3 once: a ticket that is used twice ties its uses together (RFC 8446 section C.4),
  // and with each use comes another.
  Session take(const std::string& host) {
    const std::lock_guard lock{mutex_};
    const auto found = kept_.find(host);
    if (found == kept_.end()) return nullptr;
    SSL_SESSION* const session = found->second.get();
    if (SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION)
      return std::move(kept_.extract(found).mapped());
    SSL_SESSION_up_ref(session);
    return Session{session};
  }
  void put(const std::string& host, Session session) {
    const std::lock_guard lock{mutex_};
    if (kept_.size() >= most_sessions) kept_.erase(kept_.begin());
    kept_[host] = std::move(session);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Session> kept_;
};

std::string_view text_of(const ASN1_STRING* string) noexcept {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

// The names and addresses that a certificate is for; those who look for another may have mistyped
// it. Nobody vouches for what they are made of.
std::string names_of(const X509* certificate) {
  std::string names;
  const Names all{static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
  for (int i = 0; i < sk_GENERAL_NAME_num(all.get()) && names.size() < 100; ++i) {
    const GENERAL_NAME* const each = sk_GENERAL_NAME_value(all.get(), i);
    std::string name;
    if (each->type == GEN_DNS) {
      name = text_of(each->d.dNSName);
    } else if (each->type == GEN_IPADD) {
      const Bytes bytes = as_bytes(text_of(each->d.iPAddress));
      if (bytes.size() == 4) name = to_string(IpAddress::of_v4(bytes));
      if (bytes.size() == 16) name = to_string(IpAddress::of_v6(bytes));
    }
    if (name.empty()) continue;
    const auto is_strange = [](char c) { return c <= ' ' || c > '~'; };
    std::replace_if(name.begin(), name.end(), is_strange, '?');
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

// Changes nothing, and looks at what is wrong.
int verified(int is_fine, X509_STORE_CTX* store) {
  const int error = X509_STORE_CTX_get_error(store);
  if (is_fine == 0 &&
      (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)) {
    auto* const ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    try {
      filter_of(ssl).note_names(names_of(X509_STORE_CTX_get0_cert(store)));
    } catch (const std::bad_alloc&) {  // the sentence is shorter
    }
  }
  return is_fine;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  auto* const sessions = static_cast<Sessions*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  Session owned{session};
  try {
    sessions->put(filter_of(ssl).host(), std::move(owned));
  } catch (const std::bad_alloc&) {  // then the next one begins anew
  }
  return 1;  // it is ours now
}

// Whom to demand a proof from, and, of a name, to tell (SNI is for names only).
bool demand_host(SSL* ssl, std::string host) {
  X509_VERIFY_PARAM* const param = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1) return true;
  if (host.ends_with('.')) host.pop_back();
  // A Url has none of these. To OpenSSL the first is whoever there is, the second all below it.
  if (host.empty() || host.starts_with('.')) return false;
  // A certificate is for the names that it lists, and not for its subject (RFC 9525).
  X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return X509_VERIFY_PARAM_set1_host(param, host.c_str(), host.size()) == 1 &&
         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) == 1;
}

}  // namespace

class ClientContext::State {
 public:
  explicit State(const Options& options)
      : context_(make_context(TLS_client_method(), options.min_version)) {
    SSL_CTX_set_verify(context_.get(), options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                       verified);
    SSL_CTX_set_session_cache_mode(context_.get(),
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context_.get(), keep_session);
    if (SSL_CTX_set_app_data(context_.get(), sessions_.get()) != 1 ||
        SSL_CTX_set_alpn_protos(context_.get(), protocols, sizeof protocols - 1) != 0)
      throw std::bad_alloc{};
  }

  Error load(const Options& options) {
    SSL_CTX* const context = context_.get();
    if (options.ca_file.empty())
      SSL_CTX_set_default_verify_paths(context);
    else if (Error error = use_issuers(context, options.ca_file))
      return error;
    const Certificate& ours = options.certificate;
    if (ours.chain_file.empty() && ours.key_file.empty()) return {};
    return use_certificate(context, ours);
  }

  std::unique_ptr<Filter> secure(Loop& loop, TransportEvents& above, const std::string& host) {
    Ssl ssl = make_ssl(context_.get());
    SSL_set_connect_state(ssl.get());
    if (!demand_host(ssl.get(), host)) throw std::bad_alloc{};
    if (const Session session = sessions_->take(host)) SSL_set_session(ssl.get(), session.get());
    return std::make_unique<TlsFilter>(loop, above, std::move(ssl), sessions_, host);
  }

 private:
  std::shared_ptr<Sessions> sessions_ = std::make_shared<Sessions>();
  SslContext context_;
};

ClientContext::ClientContext(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}

ClientContext::~ClientContext() = default;

std::shared_ptr<ClientContext> ClientContext::make(const Options& options, Error& error) {
  auto state = std::make_unique<State>(options);
  if (Error failure = state->load(options)) {
    error = std::move(failure);
    return nullptr;
  }
  return std::shared_ptr<ClientContext>{new ClientContext{std::move(state)}};
}

std::unique_ptr<Filter> ClientContext::secure(Loop& loop, TransportEvents& above,
                                              const std::string& host) {
  return state_->secure(loop, above, host);
}

}  // namespace timtow::tls
