// What is OpenSSL's, freed when it goes.
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>

namespace timtow::tls {

template <auto function>
struct FreeBy {
  template <typename Object>
  void operator()(Object* object) const noexcept {
    function(object);
  }
};

using SslContext = std::unique_ptr<SSL_CTX, FreeBy<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, FreeBy<SSL_free>>;
using Session = std::unique_ptr<SSL_SESSION, FreeBy<SSL_SESSION_free>>;
using Bio = std::unique_ptr<BIO, FreeBy<BIO_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, FreeBy<GENERAL_NAMES_free>>;
using BioMethod = std::unique_ptr<BIO_METHOD, FreeBy<BIO_meth_free>>;

}  // namespace timtow::tls
