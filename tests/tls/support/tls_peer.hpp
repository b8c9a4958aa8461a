// The other end of a TLS stream, by OpenSSL alone: it shares nothing with timtow::tls. Bytes in,
// bytes out.
#pragma once

#include <doctest/doctest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace test {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;

inline Context client_context() { return Context{SSL_CTX_new(TLS_client_method())}; }
inline Context server_context() { return Context{SSL_CTX_new(TLS_server_method())}; }

// SNI.
inline void ask_for(SSL* ssl, std::string name) {
  SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
}

inline std::string common_name(const X509* certificate) {
  if (certificate == nullptr) return "nobody";
  char text[100] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text, sizeof text);
  return text;
}

class TlsPeer {
 public:
  TlsPeer(SSL_CTX* context, bool is_client) : ssl_(SSL_new(context), SSL_free) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(in_, -1);
    SSL_set_bio(ssl_.get(), in_, out_);
    is_client ? SSL_set_connect_state(ssl_.get()) : SSL_set_accept_state(ssl_.get());
  }

  SSL* ssl() { return ssl_.get(); }

  std::string got;         // what the other side said
  bool is_ready = false;   // the handshake is done
  bool has_ended = false;  // the other side said close_notify
  std::string failure;     // OpenSSL's reason

  // What came from the wire; nothing at all starts a client's handshake.
  void hear(std::string_view wire) {
    BIO_write(in_, wire.data(), static_cast<int>(wire.size()));
    ERR_clear_error();
    if (!is_ready) {
      const int result = SSL_do_handshake(ssl_.get());
      is_ready = result == 1;
      if (!is_ready) return note(result);
    }
    char buffer[20'000];
    int size = 0;
    while ((size = SSL_read(ssl_.get(), buffer, sizeof buffer)) > 0)
      got.append(buffer, static_cast<std::size_t>(size));
    note(size);
  }

  // In records of at most so many bytes.
  void say(std::string_view text, std::size_t record = 16'384) {
    for (; !text.empty(); text.remove_prefix(std::min(record, text.size()))) {
      const std::string_view part = text.substr(0, record);
      const int size = SSL_write(ssl_.get(), part.data(), static_cast<int>(part.size()));
      REQUIRE_MESSAGE(size == static_cast<int>(part.size()), "OpenSSL does not take it");
    }
  }
  void say_close_notify() { SSL_shutdown(ssl_.get()); }

  // What goes to the wire.
  std::string take() {
    char* data = nullptr;
    const long size = BIO_get_mem_data(out_, &data);
    std::string wire{data, static_cast<std::size_t>(size)};
    static_cast<void>(BIO_reset(out_));
    return wire;
  }

 private:
  void note(int result) {
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        return;
      case SSL_ERROR_ZERO_RETURN:
        has_ended = true;
        return;
      default: {
        if (!failure.empty()) return;
        const char* const reason = ERR_reason_error_string(ERR_peek_error());
        failure = reason != nullptr ? reason : "unknown";
      }
    }
  }

  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
};

}  // namespace test
