// TLS for an example, where timtow::tls was not built: there is none.
#pragma once

#include <memory>
#include <string>

#include "arguments.hpp"
#include "timtow/security.hpp"

namespace example {

[[noreturn]] inline void refuse_tls(const Arguments& arguments) {
  arguments.refuse("there is no TLS: timtow::tls was not built (on Debian it needs libssl-dev)");
}

inline std::shared_ptr<timtow::ServerSecurity> server_tls(const Arguments& arguments,
                                                          const std::string&, const std::string&) {
  refuse_tls(arguments);
}

inline std::shared_ptr<timtow::ClientSecurity> client_tls(const Arguments& arguments,
                                                          const std::string&) {
  refuse_tls(arguments);
}

}  // namespace example
