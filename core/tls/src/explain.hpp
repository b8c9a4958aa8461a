// What OpenSSL has to complain of, in words.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "timtow/error.hpp"

namespace timtow::tls {

// Why the last call on this stream failed, from OpenSSL's queue of errors and the result of the
// verification. `names`: what the peer's certificate is for, if it is not for `host`.
Error explain(const SSL* ssl, const std::string& host, const std::string& names) noexcept;

Error out_of_memory() noexcept;

// The last reason in that queue, as OpenSSL words it.
const char* last_reason() noexcept;

}  // namespace timtow::tls
