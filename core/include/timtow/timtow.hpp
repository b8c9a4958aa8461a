// All of the core. An adapter's header (timtow/poll.hpp) comes beside it.
#pragma once

#include "timtow/client.hpp"
#include "timtow/server.hpp"
#include "timtow/utf8.hpp"
#include "timtow/version.hpp"
