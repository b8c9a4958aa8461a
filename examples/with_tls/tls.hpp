// TLS for an example, where timtow::tls was built.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "arguments.hpp"
#include "timtow/tls.hpp"

namespace example {

// Ends the program if the files cannot be used.
inline std::shared_ptr<timtow::ServerSecurity> server_tls(const Arguments& arguments,
                                                          std::string chain_file,
                                                          std::string key_file) {
  timtow::Error error;
  auto context = timtow::tls::ServerContext::make(
      {.certificates = {{std::move(chain_file), std::move(key_file)}}}, error);
  if (error) arguments.refuse(error.text);
  return context;
}

// Trusts whom the system trusts, or those in the file.
inline std::shared_ptr<timtow::ClientSecurity> client_tls(const Arguments& arguments,
                                                          std::string ca_file) {
  timtow::Error error;
  auto context = timtow::tls::ClientContext::make({.ca_file = std::move(ca_file)}, error);
  if (error) arguments.refuse(error.text);
  return context;
}

}  // namespace example
