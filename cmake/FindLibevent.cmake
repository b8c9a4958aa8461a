# Finds the core of libevent: the target Libevent::core and Libevent_VERSION. On Debian:
# libevent-dev.
include(FindPackageHandleStandardArgs)

find_path(Libevent_INCLUDE_DIR event2/event.h)
find_library(Libevent_LIBRARY event_core)
# Where the configured header is depends on the architecture.
find_path(Libevent_CONFIG_DIR event2/event-config.h HINTS "${Libevent_INCLUDE_DIR}")
mark_as_advanced(Libevent_INCLUDE_DIR Libevent_LIBRARY Libevent_CONFIG_DIR)
if(Libevent_CONFIG_DIR)
  file(STRINGS "${Libevent_CONFIG_DIR}/event2/event-config.h" line
    REGEX "^#define EVENT__VERSION \"[0-9.]+")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" Libevent_VERSION "${line}")
endif()

find_package_handle_standard_args(Libevent
  REQUIRED_VARS Libevent_LIBRARY Libevent_INCLUDE_DIR VERSION_VAR Libevent_VERSION)
if(Libevent_FOUND AND NOT TARGET Libevent::core)
  add_library(Libevent::core UNKNOWN IMPORTED)
  set_target_properties(Libevent::core PROPERTIES
    IMPORTED_LOCATION "${Libevent_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${Libevent_INCLUDE_DIR}")
endif()
