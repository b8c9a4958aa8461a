#include "context.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstdio>
#include <new>

#include "explain.hpp"

namespace timtow::tls {
namespace {

// Who starts a server at night is not asked for a password; that one was wanted is noted.
int no_password(char*, int, int, void* asked) {
  if (asked != nullptr) *static_cast<bool*>(asked) = true;
  return -1;
}

Error check_readable(const char* what, const std::string& file) {
  std::FILE* const opened = std::fopen(file.c_str(), "re");
  if (opened != nullptr) {
    std::fclose(opened);
    return {};
  }
  const std::error_code cause{errno, std::system_category()};
  return make_error(cause, "cannot read the %s %.100s: %s", what, file.c_str(),
                    cause.message().c_str());
}

Error bad_file(const char* what, const std::string& file, const char* wanted) {
  return make_error(errc::bad_file, "the %s %.100s cannot be used (%s): it has to be %s", what,
                    file.c_str(), last_reason(), wanted);
}

}  // namespace

SslContext make_context(const SSL_METHOD* method, Version min_version) {
  SslContext made{SSL_CTX_new(method)};
  if (made == nullptr) throw std::bad_alloc{};
  SSL_CTX* const context = made.get();
  SSL_CTX_set_min_proto_version(context,
                                min_version == Version::tls1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
  // A connection at rest keeps no buffers, ...
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  // ... and is made once: nothing is gained by doing so anew, and it is an attacker's way to have
  // others work.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_default_passwd_cb(context, no_password);
  return made;
}

Ssl make_ssl(SSL_CTX* context) {
  Ssl made{SSL_new(context)};
  if (made == nullptr) throw std::bad_alloc{};
  return made;
}

Error use_certificate(SSL_CTX* context, const Certificate& certificate) {
  const auto& [chain, key] = certificate;
  if (Error error = check_readable("certificate file", chain)) return error;
  if (Error error = check_readable("key file", key)) return error;
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, chain.c_str()) != 1)
    return bad_file("certificate file", chain, "PEM, and the server's own certificate first");
  bool is_encrypted = false;
  SSL_CTX_set_default_passwd_cb_userdata(context, &is_encrypted);
  const bool is_used = SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) == 1;
  SSL_CTX_set_default_passwd_cb_userdata(context, nullptr);
  if (is_used) return {};
  if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
    return make_error(errc::wrong_key, "the key in %.80s is not that of the certificate in %.80s",
                      key.c_str(), chain.c_str());
  if (is_encrypted)
    return make_error(errc::bad_file,
                      "the key file %.100s is encrypted, and there is nobody to ask for its "
                      "password: decrypt it (openssl pkey)",
                      key.c_str());
  return bad_file("key file", key, "an unencrypted key in PEM");
}

Error use_issuers(SSL_CTX* context, const std::string& ca_file) {
  if (Error error = check_readable("file of issuers", ca_file)) return error;
  ERR_clear_error();
  if (SSL_CTX_load_verify_file(context, ca_file.c_str()) == 1) return {};
  return bad_file("file of issuers", ca_file, "certificates in PEM");
}

}  // namespace timtow::tls
