#include "explain.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "timtow/tls.hpp"

namespace timtow::tls {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "timtow.tls"; }

  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::certificate_expired:
        return "the peer's certificate has expired";
      case errc::certificate_not_yet_valid:
        return "the peer's certificate is not valid yet; is the clock right?";
      case errc::certificate_revoked:
        return "the peer's certificate was revoked";
      case errc::unknown_issuer:
        return "the issuer of the peer's certificate is not known (self-signed?)";
      case errc::wrong_host:
        return "the server's certificate is not for this host";
      case errc::bad_certificate:
        return "the peer's certificate cannot be accepted";
      case errc::no_certificate:
        return "the client showed no certificate, and one is required";
      case errc::certificate_refused:
        return "the peer does not accept our certificate";
      case errc::not_tls:
        return "the peer speaks no TLS";
      case errc::plain_http:
        return "the peer speaks HTTP without TLS";
      case errc::no_common_version:
        return "there is no version of TLS that both sides want";
      case errc::no_common_cipher:
        return "there are no ciphers that both sides want";
      case errc::no_common_protocol:
        return "there is no application protocol that both sides want (ours is http/1.1)";
      case errc::truncated:
        return "the stream was cut short: it ended without close_notify";
      case errc::failed_by_peer:
        return "the peer gave up TLS";
      case errc::failed:
        return "TLS failed";
      case errc::bad_file:
        return "a file for TLS cannot be used";
      case errc::wrong_key:
        return "the key is not the certificate's";
    }
    return "unknown error of TLS " + std::to_string(value);
  }

  // A certificate that time does not make better is a refusal of ours, which a Client takes for
  // final.
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<errc>(value)) {
      case errc::certificate_expired:
      case errc::certificate_revoked:
      case errc::unknown_issuer:
      case errc::wrong_host:
      case errc::bad_certificate:
        return std::errc::permission_denied;
      default:
        return {value, *this};
    }
  }
};

errc code_of_verification(long result) noexcept {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return errc::certificate_expired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return errc::certificate_not_yet_valid;
    case X509_V_ERR_CERT_REVOKED:
      return errc::certificate_revoked;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return errc::unknown_issuer;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return errc::wrong_host;
    default:
      return errc::bad_certificate;
  }
}

errc code_of_alert(int alert) noexcept {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_CERTIFICATE_REQUIRED:
    case SSL_AD_ACCESS_DENIED:
      return errc::certificate_refused;
    case SSL_AD_PROTOCOL_VERSION:
      return errc::no_common_version;
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_INSUFFICIENT_SECURITY:
      return errc::no_common_cipher;
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return errc::no_common_protocol;
    default:
      return errc::failed_by_peer;
  }
}

errc code_of_reason(int reason) noexcept {
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
      return errc::plain_http;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
      return errc::not_tls;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
      return errc::no_common_version;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
      return errc::no_common_cipher;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return errc::no_common_protocol;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return errc::no_certificate;
    default:
      return errc::failed;
  }
}

// The message of the code, and what there is to say besides.
Error error_of(errc code, const char* besides) {
  return make_error(code, "%s: %s", make_error_code(code).message().c_str(), besides);
}

Error explain_verification(long result, const std::string& host, const std::string& names) {
  const errc code = code_of_verification(result);
  const std::string message = make_error_code(code).message();
  if (code == errc::wrong_host)
    return make_error(code, "%s: wanted %.64s, and it is for %s", message.c_str(), host.c_str(),
                      names.empty() ? "nobody that it names" : names.c_str());
  if (code == errc::bad_certificate) return error_of(code, X509_verify_cert_error_string(result));
  return make_error(code, "%s", message.c_str());
}

}  // namespace

const std::error_category& error_category() noexcept {
  static const Category category;
  return category;
}

const char* last_reason() noexcept {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason != nullptr ? reason : "no reason is given";
}

Error out_of_memory() noexcept {
  return make_error(timtow::errc::no_memory, "there is no memory for TLS");
}

Error explain(const SSL* ssl, const std::string& host, const std::string& names) noexcept {
  const unsigned long queued = ERR_peek_error();
  const int reason = ERR_GET_REASON(queued);
  if (reason == ERR_R_MALLOC_FAILURE ||
      ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
    return out_of_memory();
  try {
    if (ERR_GET_LIB(queued) != ERR_LIB_SSL) return error_of(errc::failed, last_reason());
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
      return explain_verification(SSL_get_verify_result(ssl), host, names);
    if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) {  // an alert came
      const int alert = reason - SSL_AD_REASON_OFFSET;
      return error_of(code_of_alert(alert), SSL_alert_desc_string_long(alert));
    }
    const errc code = code_of_reason(reason);
    if (code == errc::failed) return error_of(code, last_reason());
    return make_error(code, "%s", make_error_code(code).message().c_str());
  } catch (const std::bad_alloc&) {
    return make_error(errc::failed, "TLS failed, and there is no memory to say why");
  }
}

}  // namespace timtow::tls
