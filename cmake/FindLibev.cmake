# Finds libev: the target Libev::ev and Libev_VERSION. On Debian: libev-dev.
include(FindPackageHandleStandardArgs)

find_path(Libev_INCLUDE_DIR ev.h)
find_library(Libev_LIBRARY ev)
mark_as_advanced(Libev_INCLUDE_DIR Libev_LIBRARY)
if(Libev_INCLUDE_DIR)
  set(Libev_VERSION "")
  foreach(part IN ITEMS MAJOR MINOR)
    file(STRINGS "${Libev_INCLUDE_DIR}/ev.h" line REGEX "EV_VERSION_${part} +[0-9]+")
    string(REGEX MATCH "[0-9]+$" number "${line}")
    string(APPEND Libev_VERSION ".${number}")
  endforeach()
  string(SUBSTRING "${Libev_VERSION}" 1 -1 Libev_VERSION)
endif()

find_package_handle_standard_args(Libev
  REQUIRED_VARS Libev_LIBRARY Libev_INCLUDE_DIR VERSION_VAR Libev_VERSION)
if(Libev_FOUND AND NOT TARGET Libev::ev)
  add_library(Libev::ev UNKNOWN IMPORTED)
  set_target_properties(Libev::ev PROPERTIES
    IMPORTED_LOCATION "${Libev_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${Libev_INCLUDE_DIR}")
endif()
