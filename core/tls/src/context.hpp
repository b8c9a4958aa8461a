// What the contexts of servers and clients have in common.
#pragma once

#include <string>

#include "openssl.hpp"
#include "timtow/tls.hpp"

namespace timtow::tls {

// Throws std::bad_alloc.
SslContext make_context(const SSL_METHOD* method, Version min_version);
Ssl make_ssl(SSL_CTX* context);

// Our certificate, with its chain and its key.
Error use_certificate(SSL_CTX* context, const Certificate& certificate);
// Whom to trust.
Error use_issuers(SSL_CTX* context, const std::string& ca_file);

}  // namespace timtow::tls
