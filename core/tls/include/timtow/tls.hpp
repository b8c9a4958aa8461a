// TLS 1.2 and 1.3 for servers and clients on any loop, by OpenSSL:
//
//   timtow::Error error;
//   const auto context = timtow::tls::ServerContext::make(
//       {.certificates = {{"chain.pem", "key.pem"}}}, error);
//   if (!error) error = server.listen({"0.0.0.0", 443}, context);
//
// A context is what connections share: certificates and what is required of peers. It may be used
// by servers and clients of several loops, on several threads. ALPN says http/1.1, renegotiation is
// refused, and what fails is said in a sentence: never is there plain text instead.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "timtow/error.hpp"
#include "timtow/security.hpp"

namespace timtow::tls {

// Why TLS failed; each message says it in words. A certificate that cannot be accepted, now or
// later, is also std::errc::permission_denied.
enum class errc {
  certificate_expired = 1,    // the peer's certificate
  certificate_not_yet_valid,  // the peer's
  certificate_revoked,        // the peer's
  unknown_issuer,             // of the peer's certificate: nobody we trust
  wrong_host,                 // the server's certificate is for others
  bad_certificate,            // anything else that is wrong with the peer's
  no_certificate,             // a client showed none, and one is required
  certificate_refused,        // the peer does not accept our certificate, or that we have none
  not_tls,                    // what the peer says is no TLS
  plain_http,                 // the peer speaks HTTP without TLS; answered 400
  no_common_version,          // of TLS
  no_common_cipher,           // nor other parameters that both want
  no_common_protocol,         // ALPN: the peer wants something else than http/1.1
  truncated,                  // the stream ended without close_notify (RFC 8446 section 6.1)
  failed_by_peer,             // by another alert, which the sentence names
  failed,                     // anything else; the sentence has OpenSSL's reason
  bad_file,                   // making a context: it is not what it should be; one that cannot be
                              // opened is an error of the system
  wrong_key                   // making a context: the key is not the certificate's
};

const std::error_category& error_category() noexcept;

inline std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

enum class Version : std::uint8_t { tls1_2, tls1_3 };

// Two PEM files, which may be the same: a certificate with those of its issuers behind it, and its
// key, which must not be encrypted.
struct Certificate {
  std::string chain_file;
  std::string key_file;
};

// Whether a server asks its clients for certificates, and cuts those who have none.
enum class ClientCertificates : std::uint8_t { none, optional, required };

class ServerContext final : public ServerSecurity {
 public:
  struct Options {
    // The first that is for the name which a client asks for (SNI), or the first of all.
    std::vector<Certificate> certificates = {};
    ClientCertificates client_certificates = ClientCertificates::none;
    std::string client_ca_file = {};  // PEM: who may have issued them
    Version min_version = Version::tls1_2;
  };

  // Reads the files. Null and an error, with a sentence that names the file, if that cannot be
  // done.
  static std::shared_ptr<ServerContext> make(Options options, Error& error);
  ~ServerContext() override;

  // Reads the files anew: connections that come from now on get what is in them, those that are
  // there stay. After an error all is as it was. From any thread.
  Error reload();

  // For Server.
  std::unique_ptr<Filter> secure(Loop& loop, TransportEvents& above) override;

 private:
  class State;
  explicit ServerContext(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

class ClientContext final : public ClientSecurity {
 public:
  struct Options {
    // PEM: whom to trust, in place of those whom the system trusts.
    std::string ca_file = {};
    // To show to servers that ask for one; none when its files are empty.
    Certificate certificate = {};
    Version min_version = Version::tls1_2;
    // False takes whatever certificate comes, of anybody for anything: a person in the middle is
    // not noticed. For tests.
    bool verify = true;
  };

  static std::shared_ptr<ClientContext> make(const Options& options, Error& error);
  ~ClientContext() override;

  // For Client.
  std::unique_ptr<Filter> secure(Loop& loop, TransportEvents& above,
                                 const std::string& host) override;

 private:
  class State;
  explicit ClientContext(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

}  // namespace timtow::tls

template <>
struct std::is_error_code_enum<timtow::tls::errc> : std::true_type {};
