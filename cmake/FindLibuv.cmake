# Finds libuv: the target Libuv::uv and Libuv_VERSION. On Debian: libuv1-dev.
include(FindPackageHandleStandardArgs)

find_path(Libuv_INCLUDE_DIR uv.h)
find_library(Libuv_LIBRARY uv)
mark_as_advanced(Libuv_INCLUDE_DIR Libuv_LIBRARY)
if(EXISTS "${Libuv_INCLUDE_DIR}/uv/version.h")
  set(Libuv_VERSION "")
  foreach(part IN ITEMS MAJOR MINOR PATCH)
    file(STRINGS "${Libuv_INCLUDE_DIR}/uv/version.h" line REGEX "^#define UV_VERSION_${part} +[0-9]+")
    string(REGEX MATCH "[0-9]+$" number "${line}")
    string(APPEND Libuv_VERSION ".${number}")
  endforeach()
  string(SUBSTRING "${Libuv_VERSION}" 1 -1 Libuv_VERSION)
endif()

find_package_handle_standard_args(Libuv
  REQUIRED_VARS Libuv_LIBRARY Libuv_INCLUDE_DIR VERSION_VAR Libuv_VERSION)
if(Libuv_FOUND AND NOT TARGET Libuv::uv)
  add_library(Libuv::uv UNKNOWN IMPORTED)
  set_target_properties(Libuv::uv PROPERTIES
    IMPORTED_LOCATION "${Libuv_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${Libuv_INCLUDE_DIR}")
endif()
