# One function makes an adapter, or another part that can be left out: its option, the search for its
# library, the target, the install rules and its line in the closing summary.

include_guard(GLOBAL)

# timtow_add_adapter(name SOURCES source... [LINK library...] [PRIVATE_LINK library...]
#                    [PACKAGE package TARGET target DEBIAN package
#                     [PKG_CONFIG requirement] [PKG_CONFIG_LIBS -l…]])
#
# A part (below) that is a backend: the loop of examples, tests and comparisons of its own.
function(timtow_add_adapter name)
  timtow_add_part(${name} ${ARGN})
  if(TARGET timtow_${name})
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "TARGET" "")
    set_property(GLOBAL APPEND PROPERTY TIMTOW_BACKENDS ${name})
    set_property(GLOBAL PROPERTY TIMTOW_LIBRARY_${name} ${arg_TARGET})
  endif()
endfunction()

# timtow_add_part(name, and the rest as above)
#
# Makes timtow::<name> out of SOURCES and include/timtow/<name>.hpp, and the option TIMTOW_<NAME>:
#   AUTO  build it if PACKAGE is found (a package config, or cmake/Find<PACKAGE>.cmake)
#   ON    stop with the name of the Debian package if it is not
#   OFF   do not build it
# PACKAGE gives the imported TARGET, which stays private: its headers are for the part's .cpp files.
# PKG_CONFIG is what the same library is called in the Requires of a .pc file; PKG_CONFIG_LIBS links
# it where it has no such name. Without PACKAGE the part needs nothing but the system. LINK takes
# other libraries of timtow; timtow::core is always linked.
function(timtow_add_part name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PACKAGE;TARGET;DEBIAN;PKG_CONFIG;PKG_CONFIG_LIBS"
    "SOURCES;LINK;PRIVATE_LINK")

  string(TOUPPER "TIMTOW_${name}" option)
  set(${option} AUTO CACHE STRING "Build timtow::${name}: AUTO, ON or OFF")
  set_property(CACHE ${option} PROPERTY STRINGS AUTO ON OFF)
  string(TOUPPER "${${option}}" wanted)
  if(NOT wanted MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "${option} is \"${${option}}\": say AUTO, ON or OFF.")
  endif()
  if(wanted STREQUAL "OFF")
    timtow_note_part(${name} no "${option} is OFF")
    return()
  endif()

  set(note "needs no library")
  if(arg_PACKAGE)
    find_package(${arg_PACKAGE} QUIET GLOBAL)  # the tests link it as well, to lend loops of it
    if(NOT ${arg_PACKAGE}_FOUND)
      if(wanted STREQUAL "ON")
        message(FATAL_ERROR "${option} is ON, but ${arg_PACKAGE} was not found: install the Debian "
          "package ${arg_DEBIAN}, or set ${option} to AUTO or OFF.")
      endif()
      timtow_note_part(${name} no "${arg_PACKAGE} not found: install ${arg_DEBIAN}")
      return()
    endif()
    set(version "${${arg_PACKAGE}_VERSION}")
    if(NOT version)  # as some of CMake's own modules call it
      string(TOUPPER "${arg_PACKAGE}_VERSION" version)
      set(version "${${version}}")
    endif()
    if(NOT version)
      set(version "${${arg_PACKAGE}_VERSION_STRING}")
    endif()
    set(note "${arg_PACKAGE} ${version}")
  endif()

  timtow_add_library(${name}
    SOURCES ${arg_SOURCES}
    LINK timtow::core ${arg_LINK}
    PRIVATE_LINK ${arg_PRIVATE_LINK} ${arg_TARGET})

  set(requires ${arg_LINK} ${arg_PRIVATE_LINK})
  list(TRANSFORM requires REPLACE "^timtow::" "")
  timtow_install_component(${name}
    REQUIRES ${requires} core
    PACKAGE ${arg_PACKAGE} DEBIAN ${arg_DEBIAN} PKG_CONFIG ${arg_PKG_CONFIG}
    PKG_CONFIG_LIBS ${arg_PKG_CONFIG_LIBS})
  timtow_note_part(${name} yes "${note}")
endfunction()

# One line of the summary. Padded by hand: the names are short and a table reads better.
function(timtow_note_part name built note)
  string(SUBSTRING "${name}           " 0 11 name)
  string(SUBSTRING "${built}  " 0 4 built)
  set_property(GLOBAL APPEND PROPERTY TIMTOW_SUMMARY "  ${name} ${built} ${note}")
endfunction()

function(timtow_print_summary)
  get_property(lines GLOBAL PROPERTY TIMTOW_SUMMARY)
  message(STATUS "timtow ${PROJECT_VERSION}:")
  foreach(line IN LISTS lines)
    message(STATUS "${line}")
  endforeach()
endfunction()
