#include "timtow/http.hpp"

#include <algorithm>
#include <array>

namespace timtow {
namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

constexpr bool is_letter_or_digit(char c) noexcept {
  const char l = lower(c);
  return (l >= 'a' && l <= 'z') || is_digit(c);
}

constexpr bool is_token_char(char c) noexcept {
  return is_letter_or_digit(c) ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

constexpr bool is_scheme_char(char c) noexcept {
  return is_letter_or_digit(c) || c == '+' || c == '-' || c == '.';
}

constexpr bool is_control_char(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

// Where the list element that starts at `from` ends: at a comma outside quotes.
std::size_t element_end(std::string_view list, std::size_t from) noexcept {
  bool quoted = false;
  for (std::size_t i = from; i < list.size(); ++i) {
    if (quoted && list[i] == '\\')
      ++i;
    else if (list[i] == '"')
      quoted = !quoted;
    else if (list[i] == ',' && !quoted)
      return i;
  }
  return list.size();
}

// Splits the line off the front of `rest`, without its CRLF.
std::string_view take_line(std::string_view& rest) noexcept {
  const auto end = rest.find("\r\n");
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  return line;
}

// An absolute URI in its parts; all of them are empty when the text is none.
struct Uri {
  std::string_view scheme;
  std::string_view authority;
  std::string_view path_and_query;
};

Uri split_uri(std::string_view text) noexcept {
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return {};
  const std::string_view scheme = text.substr(0, scheme_end);
  if (scheme.empty() || !std::all_of(scheme.begin(), scheme.end(), is_scheme_char)) return {};
  const std::string_view rest = text.substr(scheme_end + 3);
  const auto authority_end = std::min(rest.find_first_of("/?#"), rest.size());
  return {scheme, rest.substr(0, authority_end), rest.substr(authority_end)};
}

// The name of the header that tells the origin.
std::string_view origin_header(const Headers& headers) noexcept {
  if (headers.has("Origin")) return "Origin";
  const std::string_view version = headers["Sec-WebSocket-Version"];
  return version == "8" || version == "7" ? "Sec-WebSocket-Origin" : "Origin";
}

constexpr int shown = 64;  // characters of a peer's text that an error repeats

int shown_size(std::string_view text) noexcept {
  return static_cast<int>(std::min<std::size_t>(text.size(), shown));
}

Error malformed(const char* what, std::string_view line) noexcept {
  return make_error(errc::bad_request, "%s: \"%.*s\"", what, shown_size(line), line.data());
}

// Reads header lines up to the empty one. A count over the maximum is errc::handshake_too_large.
Error parse_headers(std::string_view rest, std::size_t max_headers, Headers& headers) {
  std::vector<Header> all;
  all.reserve(16);
  while (true) {
    const std::string_view line = take_line(rest);
    if (line.empty()) break;
    if (line[0] == ' ' || line[0] == '\t')
      return malformed("a header line is folded onto the next, which HTTP/1.1 forbids", line);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return malformed("a header line has no colon", line);
    const std::string_view name = line.substr(0, colon);
    if (!is_token(name)) return malformed("a header's name is not a token", line);
    if (all.size() == max_headers)
      return make_error(errc::handshake_too_large,
                        "more than %zu headers came, which is Limits::handshake_headers",
                        max_headers);
    all.push_back({name, trimmed(line.substr(colon + 1))});
  }
  headers = Headers{std::move(all)};
  return {};
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool is_header_value(std::string_view text) noexcept {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return is_control_char(c) && c != '\t'; });
}

std::size_t Headers::count(std::string_view name) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(all_.begin(), all_.end(),
                    [&](const Header& header) { return equal_ignoring_case(header.name, name); }));
}

std::string_view Headers::operator[](std::string_view name) const noexcept {
  for (const auto& header : all_)
    if (equal_ignoring_case(header.name, name)) return header.value;
  return {};
}

std::vector<std::string_view> Headers::list(std::string_view name) const {
  std::vector<std::string_view> elements;
  for (const auto& header : all_) {
    if (!equal_ignoring_case(header.name, name)) continue;
    for (std::size_t from = 0; from < header.value.size();) {
      const std::size_t end = element_end(header.value, from);
      const std::string_view element = trimmed(header.value.substr(from, end - from));
      if (!element.empty()) elements.push_back(element);
      from = end + 1;
    }
  }
  return elements;
}

bool Headers::has_token(std::string_view name, std::string_view token) const {
  const auto elements = list(name);
  return std::any_of(elements.begin(), elements.end(),
                     [&](std::string_view element) { return equal_ignoring_case(element, token); });
}

// The absolute form, as proxies get it, is to be understood by servers as well (RFC 9112 3.2.2).
std::string_view Request::path() const noexcept {
  const Uri uri = split_uri(target);
  if (uri.scheme.empty()) return target.substr(0, target.find('?'));
  const std::string_view path = uri.path_and_query.substr(0, uri.path_and_query.find('?'));
  return path.empty() ? std::string_view{"/"} : path;
}

std::string_view Request::host() const noexcept {
  const Uri uri = split_uri(target);
  return uri.scheme.empty() ? headers["Host"] : uri.authority;
}

std::string_view Request::origin() const noexcept { return headers[origin_header(headers)]; }

ProtocolVersion Request::version() const {
  const std::string_view version = headers["Sec-WebSocket-Version"];
  if (version == "8") return ProtocolVersion::hybi_8;
  if (version == "7") return ProtocolVersion::hybi_7;
  if (headers.has("Sec-WebSocket-Version") || headers.has("Sec-WebSocket-Key") || !is_upgrade())
    return ProtocolVersion::rfc6455;
  return headers.has("Sec-WebSocket-Key1") || headers.has("Sec-WebSocket-Key2")
             ? ProtocolVersion::hixie_76
             : ProtocolVersion::hixie_75;
}

std::vector<std::string_view> Request::subprotocols() const {
  return headers.list(version() == ProtocolVersion::hixie_75 ? "WebSocket-Protocol"
                                                             : "Sec-WebSocket-Protocol");
}

std::string_view Request::query() const noexcept {
  const auto mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

HeadScanner::Result HeadScanner::scan(std::string_view head) noexcept {
  while (scanned_ < head.size()) {
    const char c = head[scanned_];
    if (after_cr_ != (c == '\n')) return Result::bad;  // CR without LF, or LF without CR
    if (is_control_char(c) && c != '\t' && c != '\r' && c != '\n') return Result::bad;
    ++scanned_;
    after_cr_ = c == '\r';
    if (c == '\n') {
      if (line_length_ == 0) return Result::complete;
      line_length_ = 0;
    } else if (c != '\r') {
      ++line_length_;
    }
  }
  return Result::incomplete;
}

Refusal parse_request(std::string_view head, std::size_t max_headers, Request& request) {
  const std::string_view line = take_line(head);
  const auto refuse = [&](const char* what) { return Refusal{400, malformed(what, line)}; };
  if (line.empty()) return {400, make_error(errc::bad_request, "the request line is empty")};

  const auto method_end = line.find(' ');
  const auto target_end = line.rfind(' ');
  if (method_end == std::string_view::npos || target_end == method_end)
    return refuse("the request line is not \"method target version\"");
  request.method = line.substr(0, method_end);
  request.target = line.substr(method_end + 1, target_end - method_end - 1);
  const std::string_view version = line.substr(target_end + 1);

  if (!is_token(request.method)) return refuse("the method is not a token");
  if (request.target.empty() ||
      std::any_of(request.target.begin(), request.target.end(), [](char c) {
        return c <= ' ' || c == '#' || static_cast<unsigned char>(c) > 0x7E;
      }))
    return refuse("the request target is not a URI");
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7]))
    return refuse("the request line does not end with an HTTP version");
  if (version != "HTTP/1.1")
    return {505, make_error(errc::http_version, "this is %.*s; a WebSocket needs HTTP/1.1",
                            shown_size(version), version.data())};

  if (Error error = parse_headers(head, max_headers, request.headers))
    return {error.code == errc::handshake_too_large ? 431 : 400, std::move(error)};
  return {};
}

Error parse_response(std::string_view head, std::size_t max_headers, Response& response) {
  const std::string_view line = take_line(head);
  // "HTTP/1.1 101 Switching Protocols"; the words may be missing, and so may their space.
  const bool well_formed = line.size() >= 12 && line.starts_with("HTTP/1.1 ") &&
                           is_digit(line[9]) && is_digit(line[10]) && is_digit(line[11]) &&
                           line[9] != '0' && (line.size() == 12 || line[12] == ' ');
  if (!well_formed)
    return make_error(errc::bad_response, "this is not an HTTP/1.1 status line: \"%.*s\"",
                      shown_size(line), line.data());
  response.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  response.reason = line.size() > 13 ? line.substr(13) : std::string_view{};
  Error error = parse_headers(head, max_headers, response.headers);
  if (error.code == errc::bad_request) error.code = errc::bad_response;
  return error;
}

}  // namespace timtow
