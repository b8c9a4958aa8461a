// URLs, proxies, and networks: what is read can be sent, and is read again as the same.
#include "support.hpp"
#include "timtow/ip_address.hpp"
#include "timtow/proxy.hpp"
#include "timtow/url.hpp"

namespace {

using namespace timtow;

void check_url(std::string_view text) {
  Url url;
  if (Url::parse(text, url)) return;
  fuzz::check(!url.host.empty() && url.port != 0, "a URL has a host and a port");
  const std::string host = url.authority();
  const ClientRequest request{
      .host = host, .target = url.target, .subprotocols = {}, .headers = {}};
  const Error error = check_client_request(request);
  fuzz::check(!error, error.text.c_str());
  if (url.is_unix()) return;
  Url again;
  const char* const scheme = url.is_secure ? "wss://" : "ws://";
  fuzz::check(!Url::parse(scheme + host + url.target, again), "a URL is one again");
  fuzz::check(again.host == url.host && again.port == url.port && again.target == url.target,
              "and the same");
}

void check_proxy(std::string_view text) {
  Proxy proxy;
  if (const Error error = Proxy::parse(text, proxy)) {
    fuzz::check(error.code == errc::bad_address, "what is no proxy is said to be none");
    return;
  }
  const std::string head = format_connect(proxy, {.host = "example.org"});
  HeadScanner scanner;
  fuzz::check(
      scanner.scan(head) == HeadScanner::Result::complete && scanner.scanned() == head.size(),
      "whatever the password is, there is one request, and nothing behind it");
  std::optional<Proxy> chosen;
  const std::string variable{text};
  const Error error = proxy_from_environment(
      {.host = "www.example.org", .port = 81},
      [&](const char* name) {
        return std::string_view{name} == "no_proxy" ? variable.c_str() : "proxy";
      },
      chosen);
  fuzz::check(!error, "whatever no_proxy says, it is no error");
}

void check_address(const std::string& text) {
  if (const auto address = IpAddress::parse(text))
    fuzz::check(IpAddress::parse(to_string(*address)) == address, "an address is one again");
  Networks networks;
  if (!Networks::parse({text}, networks))
    fuzz::check(!networks.empty(), "a network has somebody in it");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  check_url(text);
  check_proxy(text);
  check_address(std::string{text});
  return 0;
}
