# Examples: one source, an executable for every loop.

include_guard(GLOBAL)

# timtow_add_loop_example(name source [LINK library...])
#
# An executable <name>-<loop> for every backend that is built. The source says
# `#include "this_loop.hpp"`, and finds there this_loop::Loop and this_loop::name; this header is
# the only thing that differs between the executables. LINK is for libraries they share.
function(timtow_add_loop_example name source)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "LINK")
  get_property(backends GLOBAL PROPERTY TIMTOW_BACKENDS)
  foreach(loop IN LISTS backends)
    set(folder "${CMAKE_CURRENT_BINARY_DIR}/${loop}")
    configure_file("${TIMTOW_CMAKE_DIR}/this_loop.hpp.in" "${folder}/this_loop.hpp" @ONLY)
    timtow_add_executable(${name}-${loop} ${source} LINK timtow::${loop} ${arg_LINK})
    target_include_directories(${name}-${loop} PRIVATE "${folder}")
  endforeach()
endfunction()

# timtow_embed(target file variable)
#
# Gives target a header <variable>.hpp with the text of file: `inline constexpr std::string_view
# <variable>`. target may be an INTERFACE library that several executables link.
function(timtow_embed target file variable)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${target}")
  set(input "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  set(header "${folder}/${variable}.hpp")
  add_custom_command(OUTPUT "${header}"
    COMMAND "${CMAKE_COMMAND}" -D "INPUT=${input}" -D "OUTPUT=${header}" -D "VARIABLE=${variable}"
      -P "${TIMTOW_CMAKE_DIR}/embed.cmake"
    DEPENDS "${input}" "${TIMTOW_CMAKE_DIR}/embed.cmake"
    COMMENT "Embedding ${file}"
    VERBATIM)

  get_target_property(type ${target} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    target_sources(${target} INTERFACE "${header}")
    target_include_directories(${target} INTERFACE "${folder}")
  else()
    target_sources(${target} PRIVATE "${header}")
    target_include_directories(${target} PRIVATE "${folder}")
  endif()
endfunction()
