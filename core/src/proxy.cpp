#include "timtow/proxy.hpp"

#include <algorithm>
#include <charconv>
#include <new>

#include "timtow/digest.hpp"
#include "timtow/ip_address.hpp"

namespace timtow {
namespace {

// A proxy's answer is short, but some tell a page's worth of headers.
constexpr std::size_t most_of_answer = 16 * 1024;
constexpr std::size_t most_headers = 100;

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "timtow.proxy"; }
  std::string message(int status) const override {
    std::string text = "the proxy answered " + std::to_string(status);
    switch (status) {
      case 403:
        return text + ": it does not allow this server, or its port";
      case 405:
      case 501:
        return text + ": it knows no CONNECT";
      case 407:
        return text + ": it wants another user and password, as in http://user:word@proxy:3128";
      case 502:
      case 503:
      case 504:
        return text + ": it cannot reach the server";
      default:
        return text + " to CONNECT";
    }
  }
};

// False where a '%' is not followed by two hexadecimal digits.
bool percent_decoded(std::string_view text, std::string& plain) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    unsigned char byte = 0;
    const std::string_view digits = text.substr(i + 1, 2);
    const auto [stop, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (failure != std::errc{} || digits.size() != 2 || stop != digits.data() + 2) return false;
    plain += static_cast<char>(byte);
    i += 2;
  }
  return true;
}

// Never shows what is before an '@', which may be a password.
Error bad(const char* what, std::string_view text) {
  const auto at = text.rfind('@');
  const std::string_view shown = text.substr(at == std::string_view::npos ? 0 : at).substr(0, 100);
  return make_error(errc::bad_address, "%s: \"%.*s\"; proxies look like http://user:word@host:3128",
                    what, static_cast<int>(shown.size()), shown.data());
}

const char* look_up(const Environment& environment, std::string name) {
  const char* value = environment(name.c_str());
  if (value != nullptr || name == "http_proxy") return value;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c == '_' ? c : static_cast<char>(c - 'a' + 'A'); });
  return environment(name.c_str());
}

// Whether an entry of no_proxy is this server.
bool is_excepted(std::string_view entry, const Url& url) {
  if (entry == "*") return true;
  // A port, unless the colon belongs to an address of IPv6.
  const auto colon = entry.rfind(':');
  if (colon != std::string_view::npos && (colon == entry.find(':') || entry[colon - 1] == ']')) {
    if (entry.substr(colon + 1) != std::to_string(url.port)) return false;
    entry = entry.substr(0, colon);
  }
  if (entry.starts_with('[') && entry.ends_with(']')) entry = entry.substr(1, entry.size() - 2);
  std::string_view host = url.host;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (const auto address = IpAddress::parse(host)) {
    const auto network = Network::parse(entry);
    return network && network->contains(*address);
  }
  if (entry.starts_with("*.")) entry.remove_prefix(1);
  if (entry.starts_with('.')) entry.remove_prefix(1);
  if (entry.empty() || host.size() < entry.size()) return false;
  const std::size_t front = host.size() - entry.size();
  return equal_ignoring_case(host.substr(front), entry) && (front == 0 || host[front - 1] == '.');
}

bool is_excepted_by_any(std::string_view list, const Url& url) {
  while (!list.empty()) {
    const auto end = std::min(list.find_first_of(", \t"), list.size());
    if (end != 0 && is_excepted(list.substr(0, end), url)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

std::string authority_of(const Url& url) {
  const bool v6 = url.host.find(':') != std::string::npos;
  return (v6 ? '[' + url.host + ']' : url.host) + ':' + std::to_string(url.port);
}

}  // namespace

const std::error_category& proxy_category() noexcept {
  static const Category category;
  return category;
}

Error Proxy::parse(std::string_view text, Proxy& proxy) {
  std::string_view rest = text;
  if (const auto scheme = rest.find("://"); scheme != std::string_view::npos) {
    if (!equal_ignoring_case(rest.substr(0, scheme), "http"))
      return bad("a proxy is spoken to by http:// and nothing else", text);
    rest.remove_prefix(scheme + 3);
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  Proxy read;
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view credentials = rest.substr(0, at);
    const auto colon = std::min(credentials.find(':'), credentials.size());
    std::string user;
    std::string word;
    if (!percent_decoded(credentials.substr(0, colon), user) ||
        !percent_decoded(credentials.substr(std::min(colon + 1, credentials.size())), word))
      return bad("the proxy's user or password is not percent-encoded", text);
    if (user.find(':') != std::string::npos) return bad("the proxy's user has a colon", text);
    read.credentials = user + ':' + word;
    rest.remove_prefix(at + 1);
  }
  // Host and port are those of a URL.
  Url url;
  if (rest.find_first_of("/?") != std::string_view::npos ||
      Url::parse("ws://" + std::string{rest}, url))
    return bad("the proxy is not a host and a port", text);
  read.host = url.host;
  read.port = url.port;
  proxy = std::move(read);
  return {};
}

Error proxy_from_environment(const Url& url, const Environment& environment,
                             std::optional<Proxy>& proxy) {
  proxy.reset();
  const char* const exceptions = look_up(environment, "no_proxy");
  if (exceptions != nullptr && is_excepted_by_any(exceptions, url)) return {};
  const char* named = look_up(environment, url.is_secure ? "https_proxy" : "http_proxy");
  if (named == nullptr || *named == '\0') named = look_up(environment, "all_proxy");
  if (named == nullptr || *named == '\0') return {};
  Proxy read;
  if (Error error = Proxy::parse(named, read)) return error;
  proxy = std::move(read);
  return {};
}

std::string format_connect(const Proxy& proxy, const Url& url) {
  const std::string authority = authority_of(url);
  std::string head = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!proxy.credentials.empty())
    head += "Proxy-Authorization: Basic " + base64(as_bytes(proxy.credentials)) + "\r\n";
  return head += "\r\n";
}

bool ConnectAnswer::take(Bytes bytes, std::size_t& used, std::error_code& error) noexcept {
  used = 0;
  try {
    while (used < bytes.size() && !error) {
      const std::size_t before = head_.size();
      const std::size_t part = std::min(bytes.size() - used, most_of_answer - before);
      head_ += as_text(bytes.subspan(used, part));
      const auto result = scanner_.scan(head_);
      if (result == HeadScanner::Result::complete) {
        used += scanner_.scanned() - before;
        head_.resize(scanner_.scanned());
        if (take_head(error)) return true;
        head_.clear();
        scanner_ = {};
      } else if (result == HeadScanner::Result::bad || head_.size() == most_of_answer) {
        error = errc::bad_proxy_answer;
      } else {
        used += part;
      }
    }
  } catch (const std::bad_alloc&) {
    error = errc::no_memory;
  }
  return false;
}

// Whether it is the one that counts, and says yes.
bool ConnectAnswer::take_head(std::error_code& error) {
  // Many proxies still answer so, and mean nothing else by it.
  if (head_.starts_with("HTTP/1.0 ")) head_[7] = '1';
  Response response;
  if (parse_response(head_, most_headers, response)) {
    error = errc::bad_proxy_answer;
    return false;
  }
  if (response.status < 200) return false;  // an interim one (RFC 9110 section 15.2)
  if (response.status < 300) return true;
  error = {response.status, proxy_category()};
  return false;
}

}  // namespace timtow
