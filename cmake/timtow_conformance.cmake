# The conformance suite: what every adapter has to do, on real sockets of the loopback interface.
# For timtow's own adapters, and for anybody else's.

include_guard(GLOBAL)

# Where the suite's sources are: in timtow's own tree, or next to this file where it is installed.
cmake_path(SET TIMTOW_TESTS_DIR NORMALIZE "${CMAKE_CURRENT_LIST_DIR}/../tests")
if(NOT EXISTS "${TIMTOW_TESTS_DIR}/conformance")
  set(TIMTOW_TESTS_DIR "${CMAKE_CURRENT_LIST_DIR}/tests")
endif()

# timtow_add_conformance_test(name loop_header [DRESS dress] target...)
#
# An executable timtow-conformance-<name>, each of whose cases is a test conformance.<name>.<case>.
# `loop_header` is a header that defines `this_loop::Loop`: a timtow::Loop that can be made without
# arguments, and whose run() and stop() work (for one that runs on a lent loop: by running and
# stopping that). The targets are what has to be linked for it. Needs doctest.
#
# In a dress, such as tls, the suite's peers and servers talk through something: that is one object
# more, conformance/dress/<dress>.cpp; next to it <dress>.cmake sets what it needs (`link`,
# `include`), and the cases that are left out because they have no meaning in it (`without_files`,
# `without_cases`: doctest's patterns). Plain is the usual one.
function(timtow_add_conformance_test name loop_header)
  find_package(doctest QUIET)
  if(NOT doctest_FOUND)
    message(FATAL_ERROR "The conformance suite needs doctest: install the Debian package doctest-dev.")
  endif()
  # Not by its name: only the first find_package() says where it is.
  include("${doctest_DIR}/doctest.cmake")

  if(NOT TARGET timtow_conformance)
    file(GLOB sources CONFIGURE_DEPENDS
      "${TIMTOW_TESTS_DIR}/conformance/*.cpp" "${TIMTOW_TESTS_DIR}/core/support/*.cpp")
    # Compiled once, for all loops.
    add_library(timtow_conformance OBJECT EXCLUDE_FROM_ALL ${sources})
    target_include_directories(timtow_conformance PUBLIC
      "${TIMTOW_TESTS_DIR}/conformance" "${TIMTOW_TESTS_DIR}/core")
    target_link_libraries(timtow_conformance PUBLIC
      timtow::core doctest::doctest ${CMAKE_DL_LIBS})
    target_compile_options(timtow_conformance PRIVATE ${TIMTOW_TEST_OPTIONS})
    if(COMMAND timtow_set_defaults)
      timtow_set_defaults(timtow_conformance)
    endif()
    add_custom_target(conformance)  # all that are plain
  endif()
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "DRESS" "")
  if(NOT arg_DRESS)
    set(arg_DRESS plain)
  endif()
  foreach(setting IN ITEMS link include without_files without_cases)
    set(${setting} "")
  endforeach()
  include("${TIMTOW_TESTS_DIR}/conformance/dress/${arg_DRESS}.cmake" OPTIONAL)
  set(dress timtow_conformance_${arg_DRESS})
  if(NOT TARGET ${dress})
    add_library(${dress} OBJECT EXCLUDE_FROM_ALL
      "${TIMTOW_TESTS_DIR}/conformance/dress/${arg_DRESS}.cpp")
    target_include_directories(${dress} PRIVATE ${include})
    target_link_libraries(${dress} PUBLIC timtow_conformance ${link})
    target_compile_options(${dress} PRIVATE ${TIMTOW_TEST_OPTIONS})
    if(COMMAND timtow_set_defaults)
      timtow_set_defaults(${dress})
    endif()
  endif()

  cmake_path(ABSOLUTE_PATH loop_header)
  set(target timtow-conformance-${name})
  configure_file("${TIMTOW_TESTS_DIR}/conformance/make_loop.cpp.in" ${target}.cpp @ONLY)
  add_executable(${target} "${CMAKE_CURRENT_BINARY_DIR}/${target}.cpp")
  target_link_libraries(${target} PRIVATE timtow_conformance ${dress} ${arg_UNPARSED_ARGUMENTS})
  if(COMMAND timtow_set_defaults)
    timtow_set_defaults(${target})
  endif()
  if(arg_DRESS STREQUAL "plain")
    add_dependencies(conformance ${target})
  endif()
  set(without "*")  # all but those; doctest_discover_tests() takes the first for a pattern of cases
  foreach(kind IN ITEMS file case)
    if(without_${kind}s)
      list(JOIN without_${kind}s "," patterns)
      string(REPLACE "file" "source-file" option "${kind}")
      string(REPLACE "case" "test-case" option "${option}")
      list(APPEND without "--${option}-exclude=${patterns}")
    endif()
  endforeach()
  doctest_discover_tests(${target}
    TEST_SPEC ${without}
    TEST_PREFIX conformance.${name}.
    PROPERTIES LABELS conformance TIMEOUT 120 FAIL_REGULAR_EXPRESSION "test cases: +0 ")
endfunction()
