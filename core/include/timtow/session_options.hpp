// What a session is told before it begins, and sessions share: a server has one of these for all.
// They count in it, so the sessions of two threads need two.
#pragma once

#include "timtow/limits.hpp"
#include "timtow/metrics.hpp"

namespace timtow {

class Compression;

struct SessionOptions {
  Limits limits = {};

  // Server: speak the drafts before RFC 6455 as well, to who asks for one (docs/drafts.md).
  bool drafts = false;
  // Server: clients come over TLS. Drafts 75 and 76 have a response say so; see Session::went_to().
  bool secure = false;
  // Offered or accepted; null for none. Outlives the sessions.
  const Compression* compression = nullptr;

  // What they have done.
  mutable Traffic traffic = {};
};

}  // namespace timtow
