// What a session is told before it begins, and sessions share: a server has one of these for all.
#pragma once

#include "timtow/compression.hpp"
#include "timtow/limits.hpp"

namespace timtow {

struct SessionOptions {
  Limits limits = {};

  // Server: speak the drafts before RFC 6455 as well, to who asks for one (docs/drafts.md).
  bool drafts = false;
  // Server: clients come over TLS. Drafts 75 and 76 have a response say so; see Session::went_to().
  bool secure = false;
  // Offered or accepted; null for none. Outlives the sessions.
  const Compression* compression = nullptr;
};

}  // namespace timtow
