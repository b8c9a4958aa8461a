// Uses timtow::tls, and with it the library below: there is no such certificate.
#include <timtow/tls.hpp>

int main() {
  timtow::Error error;
  const auto context =
      timtow::tls::ServerContext::make({.certificates = {{"/nowhere/a", "/nowhere/b"}}}, error);
  return context == nullptr && error.code == std::errc::no_such_file_or_directory ? 0 : 1;
}
