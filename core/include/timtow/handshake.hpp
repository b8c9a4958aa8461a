// The opening handshake's rules (RFC 6455 section 4), as functions of what was read.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "timtow/error.hpp"
#include "timtow/http.hpp"

namespace timtow {

// Server side.

// Whether a request may be answered by the application: GET, one Host, no body, and, if it asks
// for a WebSocket, everything that section 4.2.1 demands. It may come from any HTTP parser. With
// `drafts` it may ask for one of those as well.
Refusal check_request(const Request& request, bool drafts = false);

// What an application adds to a 101 response.
struct Accept {
  std::string_view subprotocol;  // one of those offered, or empty
  std::vector<Header> headers;   // Set-Cookie and others
  // Whether messages are compressed, if the server does that and the client can. Not good for
  // secrets beside text of others: what a message is compressed to tells of both.
  bool compress = true;
};

// The first of `ours`, in our order of preference, that the client offers, as a view into the
// request; empty when there is none. `ours` may be {"v2", "v1"}, or a vector of strings.
template <typename Names = std::initializer_list<std::string_view>>
std::string_view choose_subprotocol(const Request& request, const Names& ours) {
  const auto offered = request.subprotocols();
  for (const std::string_view name : ours)
    for (const std::string_view each : offered)
      if (each == name) return each;
  return {};
}

// Why a response may not be sent like this: an illegal header, or a subprotocol that the client
// did not offer. `offered` is Request::subprotocols().
Error check_accept(const Accept& accept, const std::vector<std::string_view>& offered);
Error check_reply(const Reply& reply);

// `extensions` is Sec-WebSocket-Extensions of the response, here and below; empty for none.
std::string format_accept(const Accept& accept, std::string_view key,
                          std::string_view extensions = {});
std::string format_reply(const Reply& reply);
// The answer to a request that was refused: its sentence as the body. `drafts`: whether they are
// spoken here, for the answer that names the versions.
std::string format_refusal(const Refusal& refusal, bool drafts = false);

// Client side.

struct ClientRequest {
  std::string_view host;          // "example.org" or "example.org:8080", for the Host header
  std::string_view target = "/";  // path and query
  std::vector<std::string_view> subprotocols;
  std::vector<Header> headers;  // Origin, Cookie, Authorization and others
  ProtocolVersion version = ProtocolVersion::rfc6455;
  bool secure = false;  // over TLS, which only drafts 75 and 76 have to know here
};

Error check_client_request(const ClientRequest& request);
std::string format_client_request(const ClientRequest& request, std::string_view key,
                                  std::string_view extensions = {});

// Whether the response completes our handshake (section 4.1). Of extensions it may select any if
// some were offered: what was, and with what parameters, is for who offered it to say.
Error check_response(const Response& response, std::string_view key,
                     const std::vector<std::string_view>& offered_subprotocols,
                     bool offered_extensions = false);

}  // namespace timtow
