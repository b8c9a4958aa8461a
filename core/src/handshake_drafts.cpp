#include "handshake_drafts.hpp"

#include <algorithm>
#include <limits>

#include "handshake_parts.hpp"
#include "timtow/frame.hpp"

namespace timtow {
namespace {

// -76 says "Sec-WebSocket-Origin" where -75 said "WebSocket-Origin", and so on.
constexpr std::string_view prefix_of(ProtocolVersion version) noexcept {
  return version == ProtocolVersion::hixie_75 ? "WebSocket-" : "Sec-WebSocket-";
}

std::string name_of(ProtocolVersion version, std::string_view what) {
  return std::string{prefix_of(version)}.append(what);
}

std::string location_of(bool secure, std::string_view host, std::string_view target) {
  return std::string{secure ? "wss://" : "ws://"}.append(host).append(target);
}

// Whether two locations are the same: of the host the case does not count.
bool is_same_location(std::string_view a, std::string_view b) noexcept {
  const auto host_end = std::min(a.find('/', std::string_view{"wss://"}.size()), a.size());
  return equal_ignoring_case(a.substr(0, host_end), b.substr(0, host_end)) &&
         a.substr(host_end) == b.substr(std::min(host_end, b.size()));
}

void store(HixieChallenge& challenge, std::uint32_t number1, std::uint32_t number2) noexcept {
  detail::store_big_endian<std::uint32_t>(challenge.data(), number1);
  detail::store_big_endian<std::uint32_t>(challenge.data() + 4, number2);
}

// Makes keys from randomness that was drawn before; what is left of a division is as good.
class KeyMaker {
 public:
  explicit KeyMaker(Bytes random) noexcept : random_(random) {}

  // A key, and the number that is hidden in it.
  std::uint32_t make(std::string& key) {
    const std::uint32_t spaces = below(12) + 1;
    const std::uint32_t most = std::numeric_limits<std::uint32_t>::max() / spaces;
    const auto number = static_cast<std::uint32_t>(take(4) % (std::uint64_t{most} + 1));
    key = std::to_string(std::uint64_t{number} * spaces);
    for (std::uint32_t left = below(12) + 1; left != 0; --left) {
      const std::size_t place = below(key.size() + 1);
      const std::uint32_t other = below(84);  // the printable characters but for space and digits
      key.insert(place, 1, static_cast<char>(other < 15 ? '!' + other : ':' + (other - 15)));
    }
    // Neither first nor last, where they would be taken for space around a header's value.
    for (std::uint32_t left = spaces; left != 0; --left)
      key.insert(below(key.size() - 1) + 1, 1, ' ');
    return number;
  }
  Bytes rest() const noexcept { return random_; }

 private:
  std::uint64_t take(std::size_t size) noexcept {
    std::uint64_t value = 0;
    for (const std::byte each : random_.first(size))
      value = value << 8U | std::to_integer<std::uint64_t>(each);
    random_ = random_.subspan(size);
    return value;
  }
  std::uint32_t below(std::size_t limit) noexcept {
    return static_cast<std::uint32_t>(take(1) % limit);
  }

  Bytes random_;
};

}  // namespace

std::optional<std::uint32_t> hixie_number(std::string_view key) noexcept {
  constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
  std::uint64_t number = 0;
  std::uint64_t spaces = 0;
  bool has_digit = false;
  for (const char c : key) {
    if (c == ' ') {
      ++spaces;
    } else if (c >= '0' && c <= '9') {
      has_digit = true;
      number = number * 10 + static_cast<std::uint64_t>(c - '0');
      if (number > most) return std::nullopt;
    }
  }
  if (!has_digit || spaces == 0 || number % spaces != 0) return std::nullopt;
  return static_cast<std::uint32_t>(number / spaces);
}

std::string_view subprotocol_header(ProtocolVersion version) noexcept {
  return version == ProtocolVersion::hixie_75 ? "WebSocket-Protocol" : "Sec-WebSocket-Protocol";
}

// -- Server ---------------------------------------------------------------------------------------

Refusal check_hixie_request(const Request& request) {
  const Headers& headers = request.headers;
  // hybi-02 and -03 had the same keys, and other frames.
  if (headers.has("Sec-WebSocket-Draft"))
    return {426, make_error(errc::websocket_version,
                            "Sec-WebSocket-Draft names a draft that is not spoken here")};
  for (const std::string_view name :
       {"Sec-WebSocket-Key1", "Sec-WebSocket-Key2", "Sec-WebSocket-Protocol", "WebSocket-Protocol"})
    if (headers.count(name) > 1)
      return {400, make_error(errc::bad_request, "%s came more than once", name.data())};
  // The response repeats these, and the request may come from any HTTP parser.
  const auto is_printable = [](char c) { return c > ' ' && c <= '~'; };
  if (!std::all_of(request.target.begin(), request.target.end(), is_printable) ||
      !is_header_value(request.origin()))
    return bad_request("the request target or Origin holds what a response cannot repeat");
  const auto subprotocols = request.subprotocols();
  if (!std::all_of(subprotocols.begin(), subprotocols.end(), is_token))
    return bad_request("the subprotocol is not a token");
  if (request.version() == ProtocolVersion::hixie_75) return {};
  for (const std::string_view name : {"Sec-WebSocket-Key1", "Sec-WebSocket-Key2"})
    if (!hixie_number(headers[name]))
      return {400, make_error(errc::bad_request,
                              "%s does not hide a number of 32 bits: digits that its spaces divide",
                              name.data())};
  return {};
}

HixieTerms hixie_terms(const Request& request, std::string_view host, bool secure) {
  std::string target{request.target};
  if (!target.starts_with('/')) {
    target = request.path();
    if (!request.query().empty()) target.append("?").append(request.query());
  }
  const bool has_origin = request.headers.has("Origin");
  return {.origin = std::string{has_origin ? request.origin() : "null"},
          .location = location_of(secure, host, target)};
}

HixieChallenge hixie_challenge(const Request& request) noexcept {
  HixieChallenge challenge{};
  store(challenge, hixie_number(request.headers["Sec-WebSocket-Key1"]).value_or(0),
        hixie_number(request.headers["Sec-WebSocket-Key2"]).value_or(0));
  return challenge;
}

Error check_hixie_accept(const Accept& accept) {
  return check_headers(accept.headers,
                       {"WebSocket-Origin", "WebSocket-Location", "WebSocket-Protocol",
                        "Sec-WebSocket-Origin", "Sec-WebSocket-Location"});
}

// -75 compares the first three lines byte by byte.
std::string format_hixie_accept(const Accept& accept, ProtocolVersion version,
                                const HixieTerms& terms) {
  std::string response = version == ProtocolVersion::hixie_75
                             ? "HTTP/1.1 101 Web Socket Protocol Handshake\r\n"
                             : "HTTP/1.1 101 WebSocket Protocol Handshake\r\n";
  append_header(response, "Upgrade", "WebSocket");
  append_header(response, "Connection", "Upgrade");
  append_header(response, name_of(version, "Origin"), terms.origin);
  append_header(response, name_of(version, "Location"), terms.location);
  if (!accept.subprotocol.empty())
    append_header(response, subprotocol_header(version), accept.subprotocol);
  append_headers(response, accept.headers);
  return response += "\r\n";
}

// -- Client ---------------------------------------------------------------------------------------

HixieKeys hixie_keys(Bytes random) {
  HixieKeys keys;
  KeyMaker maker{random};
  const std::uint32_t number1 = maker.make(keys.key1);
  const std::uint32_t number2 = maker.make(keys.key2);
  store(keys.challenge, number1, number2);
  std::copy_n(maker.rest().data(), keys.challenge.size() - hixie_numbers,
              keys.challenge.data() + hixie_numbers);
  return keys;
}

HixieTerms hixie_terms(const ClientRequest& request) {
  HixieTerms terms{.origin = {},
                   .location = location_of(request.secure, request.host, request.target)};
  for (const auto& [name, value] : request.headers)
    if (equal_ignoring_case(name, "Origin")) terms.origin = value;
  // A page has one, and to these drafts a client is a page: it is one of that server's.
  if (terms.origin.empty())
    terms.origin.append(request.secure ? "https://" : "http://").append(request.host);
  return terms;
}

std::string format_hixie_request(const ClientRequest& request, const HixieTerms& terms,
                                 const HixieKeys& keys) {
  std::string head = "GET ";
  head.append(request.target).append(" HTTP/1.1\r\n");
  append_header(head, "Upgrade", "WebSocket");
  append_header(head, "Connection", "Upgrade");
  append_header(head, "Host", request.host);
  append_header(head, "Origin", terms.origin);
  for (const std::string_view each : request.subprotocols)  // one at most
    append_header(head, subprotocol_header(request.version), each);
  const bool has_keys = request.version == ProtocolVersion::hixie_76;
  if (has_keys) {
    append_header(head, "Sec-WebSocket-Key1", keys.key1);
    append_header(head, "Sec-WebSocket-Key2", keys.key2);
  }
  for (const auto& [name, value] : request.headers)
    if (!equal_ignoring_case(name, "Origin")) append_header(head, name, value);
  head += "\r\n";
  if (has_keys) head += as_text(Bytes{keys.challenge}.subspan(hixie_numbers));
  return head;
}

Error check_hixie_response(const Response& response, ProtocolVersion version,
                           const HixieTerms& terms,
                           const std::vector<std::string_view>& offered_subprotocols) {
  if (Error error = check_switched(response)) return error;
  const Headers& headers = response.headers;
  const auto holds = [&](const std::string& name, auto is_right) {
    return headers.count(name) == 1 && is_right(headers[name]);
  };
  const std::string origin = name_of(version, "Origin");
  if (!holds(origin, [&](auto value) { return equal_ignoring_case(value, terms.origin); }))
    return make_error(errc::bad_response, "%s is not our origin, %.100s", origin.c_str(),
                      terms.origin.c_str());
  const std::string location = name_of(version, "Location");
  if (!holds(location, [&](auto value) { return is_same_location(terms.location, value); }))
    return make_error(errc::bad_response, "%s is not where we are, %.100s", location.c_str(),
                      terms.location.c_str());
  return check_selected(headers, subprotocol_header(version), offered_subprotocols);
}

}  // namespace timtow
