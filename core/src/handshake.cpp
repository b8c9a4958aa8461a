#include "timtow/handshake.hpp"

#include <algorithm>

#include "handshake_drafts.hpp"
#include "handshake_parts.hpp"
#include "timtow/digest.hpp"
#include "timtow/extension.hpp"

namespace timtow {
namespace {

template <typename... Arguments>
Refusal refusal(int status, errc code, const char* format, Arguments... arguments) noexcept {
  return {status, make_error(code, format, arguments...)};
}

// Whether the text is `uri-host [ ":" port ]` (RFC 9110 section 7.2): a name or an address, that of
// IPv6 in brackets.
bool is_host(std::string_view text) noexcept {
  constexpr std::string_view digits = "0123456789";
  constexpr std::string_view of_ipv6 = "0123456789abcdefABCDEF:.";
  constexpr std::string_view of_name =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~%!$&'()*+;=";
  const bool bracketed = text.starts_with('[');
  if (bracketed) text.remove_prefix(1);
  const auto size = std::min(text.find_first_not_of(bracketed ? of_ipv6 : of_name), text.size());
  if (size == 0) return false;
  text.remove_prefix(size);
  if (bracketed) {
    if (!text.starts_with(']')) return false;
    text.remove_prefix(1);
  }
  return text.empty() ||
         (text[0] == ':' && text.find_first_not_of(digits, 1) == std::string_view::npos);
}

// The headers of which a second one would let two readers see two different requests.
constexpr std::string_view single_headers[] = {"Host", "Origin", "Sec-WebSocket-Key",
                                               "Sec-WebSocket-Version", "Content-Length"};

// Sec-WebSocket-Origin has the meaning of Origin, so that they must not differ.
bool has_two_origins(const Headers& headers) noexcept {
  const std::size_t old = headers.count("Sec-WebSocket-Origin");
  return old > 1 || (old == 1 && headers.has("Origin") &&
                     headers["Sec-WebSocket-Origin"] != headers["Origin"]);
}

Refusal check_upgrade(const Request& request, bool drafts) {
  const Headers& headers = request.headers;
  if (!headers.has_token("Connection", "upgrade"))
    return bad_request("Upgrade: websocket came without Connection: Upgrade");

  const ProtocolVersion asked = drafts ? request.version() : ProtocolVersion::rfc6455;
  if (is_hixie(asked)) return check_hixie_request(request);
  const std::string_view version = headers["Sec-WebSocket-Version"];
  if (version != "13" && asked == ProtocolVersion::rfc6455)
    return refusal(426, errc::websocket_version, "Sec-WebSocket-Version is %s%.*s; it has to be %s",
                   version.empty() ? "missing" : "", static_cast<int>(version.substr(0, 32).size()),
                   version.data(), drafts ? "13, 8 or 7" : "13");
  if (asked != ProtocolVersion::rfc6455 && has_two_origins(headers))
    return bad_request("Sec-WebSocket-Origin came more than once, or is not as Origin is");

  if (!headers.has("Sec-WebSocket-Key")) return bad_request("Sec-WebSocket-Key is missing");
  if (!is_base64_of_16_bytes(headers["Sec-WebSocket-Key"]))
    return bad_request("Sec-WebSocket-Key is not the base64 form of 16 bytes");

  const auto subprotocols = request.subprotocols();
  if (!std::all_of(subprotocols.begin(), subprotocols.end(), is_token))
    return bad_request("Sec-WebSocket-Protocol is not a list of tokens");
  const auto extensions = request.extensions();
  if (!std::all_of(extensions.begin(), extensions.end(), Extension::parse))
    return bad_request("Sec-WebSocket-Extensions is not a list of extensions");
  return {};
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) noexcept {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view each) { return equal_ignoring_case(name, each); });
}

std::string joined(const std::vector<std::string_view>& tokens) {
  std::string list;
  for (const auto& token : tokens) list.append(list.empty() ? "" : ", ").append(token);
  return list;
}

Error bad_response(const char* sentence) noexcept {
  return make_error(errc::bad_response, "%s", sentence);
}

// A request for a draft, beyond what is checked of all.
Error check_draft_request(const ClientRequest& request) {
  if (!is_hixie(request.version) && request.version != ProtocolVersion::hybi_7 &&
      request.version != ProtocolVersion::hybi_8)
    return make_error(errc::websocket_version, "version %u is not one that is spoken here",
                      static_cast<unsigned>(request.version));
  if (is_hixie(request.version) && request.subprotocols.size() > 1)
    return make_error(errc::invalid_header,
                      "a request of draft 75 or 76 offers one subprotocol, not several");
  return check_headers(request.headers, {"Sec-WebSocket-Key1", "Sec-WebSocket-Key2",
                                         "Sec-WebSocket-Origin", "WebSocket-Protocol"});
}

}  // namespace

Error check_headers(const std::vector<Header>& headers,
                    std::initializer_list<std::string_view> ours) {
  for (const auto& [name, value] : headers) {
    if (!is_token(name) || !is_header_value(value))
      return make_error(errc::invalid_header,
                        "the header \"%.*s\" has a name that is no token, or a control character",
                        static_cast<int>(name.substr(0, 64).size()), name.data());
    if (is_one_of(name, ours))
      return make_error(errc::invalid_header, "the header \"%.*s\" is written by timtow",
                        static_cast<int>(name.size()), name.data());
  }
  return {};
}

Refusal check_request(const Request& request, bool drafts) {
  const Headers& headers = request.headers;
  if (request.method != "GET")
    return refusal(405, errc::method_not_allowed, "the method is %.*s; only GET is answered here",
                   static_cast<int>(request.method.substr(0, 32).size()), request.method.data());
  if (!request.path().starts_with('/'))
    return bad_request("the request target is neither a path nor an absolute URI");
  for (const auto& name : single_headers)
    if (headers.count(name) > 1)
      return refusal(400, errc::bad_request, "%s came more than once", name.data());
  if (!headers.has("Host")) return bad_request("Host is missing");
  if (!is_host(headers["Host"])) return bad_request("Host is not a host");
  if (!is_host(request.host())) return bad_request("the host in the request target is not a host");
  // Some clients of draft 76 declare the eight bytes behind their head.
  const bool declares_key3 =
      drafts && headers["Content-Length"] == "8" && request.version() == ProtocolVersion::hixie_76;
  if (headers.has("Transfer-Encoding") ||
      (headers.has("Content-Length") && headers["Content-Length"] != "0" && !declares_key3))
    return bad_request("the request has a body; a GET here has none");
  return request.is_upgrade() ? check_upgrade(request, drafts) : Refusal{};
}

Error check_accept(const Accept& accept, const std::vector<std::string_view>& offered) {
  if (!accept.subprotocol.empty() &&
      std::find(offered.begin(), offered.end(), accept.subprotocol) == offered.end())
    return make_error(errc::invalid_header, "the client did not offer the subprotocol \"%.*s\"",
                      static_cast<int>(accept.subprotocol.substr(0, 64).size()),
                      accept.subprotocol.data());
  return check_headers(accept.headers,
                       {"Upgrade", "Connection", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol",
                        "Sec-WebSocket-Extensions", "Content-Length", "Transfer-Encoding"});
}

Error check_reply(const Reply& reply) {
  if (reply.status < 200 || reply.status > 599)
    return make_error(errc::invalid_header, "%d is not a status from 200 to 599", reply.status);
  return check_headers(reply.headers, {"Connection", "Content-Length", "Transfer-Encoding"});
}

std::string format_accept(const Accept& accept, std::string_view key, std::string_view extensions) {
  std::string response = "HTTP/1.1 101 Switching Protocols\r\n";
  append_header(response, "Upgrade", "websocket");
  append_header(response, "Connection", "Upgrade");
  append_header(response, "Sec-WebSocket-Accept", accept_for(key));
  if (!accept.subprotocol.empty())
    append_header(response, "Sec-WebSocket-Protocol", accept.subprotocol);
  if (!extensions.empty()) append_header(response, "Sec-WebSocket-Extensions", extensions);
  append_headers(response, accept.headers);
  return response += "\r\n";
}

std::string format_reply(const Reply& reply) {
  std::string response = "HTTP/1.1 " + std::to_string(reply.status) + ' ';
  response.append(reason_phrase(reply.status)).append("\r\n");
  append_header(response, "Connection", "close");
  append_headers(response, reply.headers);
  // These have no body, and must not say so (RFC 9110 sections 6.4.1 and 8.6).
  if (reply.status == 204 || reply.status == 304) return response += "\r\n";
  const bool has_type = std::any_of(reply.headers.begin(), reply.headers.end(), [](const auto& h) {
    return equal_ignoring_case(h.name, "Content-Type");
  });
  if (!has_type && !reply.body.empty())
    append_header(response, "Content-Type", "text/plain; charset=utf-8");
  append_header(response, "Content-Length", std::to_string(reply.body.size()));
  return response.append("\r\n").append(reply.body);
}

std::string format_refusal(const Refusal& refusal, bool drafts) {
  const std::string body = refusal.error.text + '\n';
  Reply reply{.status = refusal.status, .body = body, .headers = {}};
  if (refusal.status == 503) reply.headers.push_back({"Retry-After", "10"});  // seconds
  if (refusal.status == 405) reply.headers.push_back({"Allow", "GET"});
  if (refusal.status == 426) {
    reply.headers.push_back({"Upgrade", "websocket"});
    reply.headers.push_back({"Sec-WebSocket-Version", drafts ? "13, 8, 7" : "13"});
  }
  return format_reply(reply);
}

Error check_client_request(const ClientRequest& request) {
  if (!is_host(request.host))
    return make_error(errc::invalid_header, "\"%.*s\" cannot be sent as Host",
                      static_cast<int>(request.host.substr(0, 64).size()), request.host.data());
  if (!request.target.starts_with('/') ||
      std::any_of(request.target.begin(), request.target.end(),
                  [](char c) { return c <= ' ' || c == '#' || c > 0x7E; }))
    return make_error(
        errc::invalid_header,
        "\"%.*s\" cannot be sent as a target: it starts with / and is percent-encoded",
        static_cast<int>(request.target.substr(0, 64).size()), request.target.data());
  for (auto each = request.subprotocols.begin(); each != request.subprotocols.end(); ++each)
    if (!is_token(*each) || std::find(request.subprotocols.begin(), each, *each) != each)
      return make_error(errc::invalid_header,
                        "the subprotocol \"%.*s\" is no token, or named twice",
                        static_cast<int>(each->substr(0, 64).size()), each->data());
  if (request.version != ProtocolVersion::rfc6455)
    if (Error error = check_draft_request(request)) return error;
  return check_headers(request.headers,
                       {"Host", "Upgrade", "Connection", "Sec-WebSocket-Key",
                        "Sec-WebSocket-Version", "Sec-WebSocket-Protocol",
                        "Sec-WebSocket-Extensions", "Content-Length", "Transfer-Encoding"});
}

std::string format_client_request(const ClientRequest& request, std::string_view key,
                                  std::string_view extensions) {
  std::string head = "GET ";
  head.append(request.target).append(" HTTP/1.1\r\n");
  append_header(head, "Host", request.host);
  append_header(head, "Upgrade", "websocket");
  append_header(head, "Connection", "Upgrade");
  append_header(head, "Sec-WebSocket-Key", key);
  append_header(head, "Sec-WebSocket-Version",
                std::to_string(static_cast<unsigned>(request.version)));
  if (!request.subprotocols.empty())
    append_header(head, "Sec-WebSocket-Protocol", joined(request.subprotocols));
  if (!extensions.empty()) append_header(head, "Sec-WebSocket-Extensions", extensions);
  for (const auto& [name, value] : request.headers) {
    const bool renamed =
        request.version != ProtocolVersion::rfc6455 && equal_ignoring_case(name, "Origin");
    append_header(head, renamed ? "Sec-WebSocket-Origin" : name, value);
  }
  return head += "\r\n";
}

Error check_switched(const Response& response) {
  const Headers& headers = response.headers;
  if (response.status != 101)
    return make_error(errc::rejected, "the server answered %d %.*s; an upgrade is answered 101",
                      response.status, static_cast<int>(response.reason.substr(0, 64).size()),
                      response.reason.data());
  if (headers.count("Upgrade") != 1 || !equal_ignoring_case(headers["Upgrade"], "websocket"))
    return bad_response("the response does not say Upgrade: websocket");
  if (!headers.has_token("Connection", "upgrade"))
    return bad_response("the response does not say Connection: Upgrade");
  return {};
}

Error check_selected(const Headers& headers, std::string_view name,
                     const std::vector<std::string_view>& offered) {
  const bool is_fine = !headers.has(name) ||
                       (headers.count(name) == 1 &&
                        std::find(offered.begin(), offered.end(), headers[name]) != offered.end());
  return is_fine ? Error{}
                 : bad_response("the response selects a subprotocol that we did not offer");
}

Error check_response(const Response& response, std::string_view key,
                     const std::vector<std::string_view>& offered_subprotocols,
                     bool offered_extensions) {
  if (Error error = check_switched(response)) return error;
  const Headers& headers = response.headers;
  if (headers.count("Sec-WebSocket-Accept") != 1 ||
      headers["Sec-WebSocket-Accept"] != accept_for(key))
    return bad_response(
        "Sec-WebSocket-Accept does not answer our key: is this a WebSocket server?");
  if (headers.has("Sec-WebSocket-Extensions") && !offered_extensions)
    return bad_response("the response selects an extension that we did not offer");
  return check_selected(headers, "Sec-WebSocket-Protocol", offered_subprotocols);
}

}  // namespace timtow
