// Whose pages may talk to a server. A browser lets any page of any site open a WebSocket to us, and
// sends our cookies along; what it does not let a page do is lie about where it comes from. So a
// server has to ask (RFC 6455 section 10.2), and does unless told otherwise.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "timtow/error.hpp"
#include "timtow/http.hpp"

namespace timtow {

struct OriginPolicy {
  // Pages of the host and port that the request is for. The scheme is compared where it is known.
  bool same_host = true;
  // Other pages: "https://example.org", "https://example.org:8443", "https://*.example.org" for all
  // hosts below that one (but not itself), "null" for pages that have no origin (files, sandboxes).
  std::vector<std::string> allowed = {};
  // All pages: for what is public, and for servers that know their users by more than cookies.
  bool any = false;
  // Requests without an Origin, which no browser sends: programs.
  bool without = true;

  // Whether all of `allowed` can be understood; errc::bad_address tells which cannot.
  Error check() const;
};

// Where a request went, as far as it is known: behind a proxy that is what the proxy was asked for.
struct Destination {
  std::string_view host;    // "example.org:8080"
  std::string_view scheme;  // "http" or "https"; empty: not known
};

// Whether the policy lets the request's page in; otherwise 403, with a sentence that names the
// origin and what to do.
Refusal check_origin(const OriginPolicy& policy, const Request& request, const Destination& to);

}  // namespace timtow
