# Configures, builds and runs consumer/ below WORK against timtow, in one MODE:
#   find_package   the package below PREFIX
#   pkg_config     the same, on LOOP (or tls), through pkg-config and nothing but the compiler
#   subdirectory   the sources
#   conformance    as find_package, with the adapter of examples/port/ as the consumer: it passes the
#                  installed suite
# With SAYS, configuring must fail and say so (a regular expression).

set(consumer "${CMAKE_CURRENT_LIST_DIR}/consumer")
if(MODE STREQUAL "conformance")
  set(consumer "${SOURCE}/examples/port")
  set(BUILD_TYPE Debug)  # it is the suite that takes long to compile
endif()
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")

function(run)
  execute_process(COMMAND ${ARGV}
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\nfailed (${status}):\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

if(MODE STREQUAL "pkg_config")
  if(NOT PKG_CONFIG)
    message(FATAL_ERROR "pkg-config is missing: install the Debian package pkg-config.")
  endif()
  # The same program on another loop; what is none has its own.
  set(program main)
  if(EXISTS "${consumer}/${LOOP}.cpp")
    set(program ${LOOP})
  endif()
  file(READ "${consumer}/${program}.cpp" program)
  string(REGEX REPLACE "(timtow/|timtow::)poll" "\\1${LOOP}" program "${program}")
  file(WRITE "${WORK}/main.cpp" "${program}")
  file(GLOB_RECURSE files "${PREFIX}/timtow-${LOOP}.pc")
  cmake_path(GET files PARENT_PATH folder)
  set(ENV{PKG_CONFIG_PATH} "${folder}")
  run("${PKG_CONFIG}" --cflags --libs timtow-${LOOP})
  separate_arguments(words UNIX_COMMAND "${output}")
  separate_arguments(FLAGS UNIX_COMMAND "${FLAGS}")
  run(${COMPILER} -std=c++20 ${FLAGS} "${WORK}/main.cpp" ${words} -o "${WORK}/consumer")
  run("${WORK}/consumer")
  return()
endif()

separate_arguments(OPTIONS UNIX_COMMAND "${OPTIONS}")
set(configure "${CMAKE_COMMAND}" -S "${consumer}" -B "${WORK}" -G "${GENERATOR}"
  "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}" "-DCMAKE_CXX_COMPILER=${COMPILER}"
  "-DCMAKE_CXX_FLAGS=${FLAGS}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}" ${OPTIONS})
if(MODE STREQUAL "subdirectory")
  list(APPEND configure "-DTIMTOW_SOURCE=${SOURCE}")
else()
  list(APPEND configure "-DCMAKE_PREFIX_PATH=${PREFIX}" -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF)
endif()

if(SAYS)
  execute_process(COMMAND ${configure}
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " sentence "${output}")
  if(status EQUAL 0 OR NOT sentence MATCHES "${SAYS}")
    message(FATAL_ERROR "configuring does not fail with \"${SAYS}\" (${status}):\n${output}")
  endif()
  return()
endif()

run(${configure})
run("${CMAKE_COMMAND}" --build "${WORK}")
if(MODE STREQUAL "conformance")
  run("${CMAKE_CTEST_COMMAND}" --test-dir "${WORK}" --no-tests=error -j 2)
  return()
endif()
file(GLOB_RECURSE program "${WORK}/consumer")
run(${program})
