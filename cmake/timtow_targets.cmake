# What every target of timtow has in common: language, warnings, where its headers are, how it is
# installed. Nothing here knows a backend; that is timtow_adapter.cmake.

include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

set(TIMTOW_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")
set(TIMTOW_INSTALL_CMAKEDIR "${CMAKE_INSTALL_LIBDIR}/cmake/timtow")

if(TIMTOW_LTO)
  include(CheckIPOSupported)
  check_ipo_supported(LANGUAGES CXX)
endif()

# timtow_set_defaults(target): C++20 without extensions and our warnings, which stay ours: a program
# that links timtow does not inherit them.
function(timtow_set_defaults target)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF
    COMPILE_WARNING_AS_ERROR ${TIMTOW_WERROR}
    INTERPROCEDURAL_OPTIMIZATION ${TIMTOW_LTO})
  target_compile_features(${target} PUBLIC cxx_std_20)
  # g++ 12 says -Wstringop-overflow of loops that it unrolls beyond what their condition allows;
  # AddressSanitizer sees the real ones.
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
    -Woverloaded-virtual -Wcast-qual
    "$<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond;-Wlogical-op;-Wno-stringop-overflow>")
endfunction()

# timtow_add_executable(name source... [LINK library...]): a program in <build>/bin.
function(timtow_add_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  timtow_set_defaults(${name})
  target_link_libraries(${name} PRIVATE ${arg_LINK})
endfunction()

# timtow_check_sources(folder source...): every .cpp of a folder is named in its CMakeLists.txt. A
# library names its sources so that a reader sees them; this makes sure that none is forgotten.
function(timtow_check_sources folder)
  file(GLOB present RELATIVE "${CMAKE_CURRENT_SOURCE_DIR}" CONFIGURE_DEPENDS "${folder}/*.cpp")
  list(REMOVE_ITEM present ${ARGN})
  if(present)
    list(JOIN present ", " present)
    cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY "${PROJECT_SOURCE_DIR}"
      OUTPUT_VARIABLE here)
    message(FATAL_ERROR "${here}/CMakeLists.txt does not name ${present}: add it to the sources.")
  endif()
endfunction()

# timtow_add_library(name SOURCES source... [LINK library...] [PRIVATE_LINK library...])
#
# The static library timtow_<name>, known as timtow::<name>. Its public headers are whatever is
# below include/ next to it, each of which compiles on its own (target all_verify_interface_header_sets).
function(timtow_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK;PRIVATE_LINK")
  timtow_check_sources(src ${arg_SOURCES})

  set(target timtow_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(timtow::${name} ALIAS ${target})
  timtow_set_defaults(${target})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME timtow-${name} EXPORT_NAME ${name})

  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/include/*.hpp")
  target_sources(${target} PUBLIC
    FILE_SET HEADERS BASE_DIRS "${CMAKE_CURRENT_SOURCE_DIR}/include" FILES ${headers})
  target_link_libraries(${target} PUBLIC ${arg_LINK} PRIVATE ${arg_PRIVATE_LINK})

  if(TIMTOW_INSTALL)
    install(TARGETS ${target}
      EXPORT timtow-${name}-targets
      ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
      FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
    install(EXPORT timtow-${name}-targets
      NAMESPACE timtow:: DESTINATION "${TIMTOW_INSTALL_CMAKEDIR}")
  endif()
endfunction()

# timtow_install_component(name REQUIRES component... [PACKAGE name] [DEBIAN package]
#                          [PKG_CONFIG requirement] [PKG_CONFIG_LIBS -l…])
#
# Lets find_package(timtow COMPONENTS <name>) and `pkg-config timtow-<name>` find a library made by
# timtow_add_library. REQUIRES are other components, PACKAGE is what find_package finds for it. For
# pkg-config that is PKG_CONFIG, or PKG_CONFIG_LIBS where it has no .pc file.
function(timtow_install_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PACKAGE;DEBIAN;PKG_CONFIG;PKG_CONFIG_LIBS" "REQUIRES")
  set_property(GLOBAL APPEND PROPERTY TIMTOW_COMPONENTS ${name})
  if(NOT TIMTOW_INSTALL)
    return()
  endif()

  configure_file("${TIMTOW_CMAKE_DIR}/timtow-component.cmake.in" timtow-${name}.cmake @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/timtow-${name}.cmake"
    DESTINATION "${TIMTOW_INSTALL_CMAKEDIR}")
  if(arg_PACKAGE AND EXISTS "${TIMTOW_CMAKE_DIR}/Find${arg_PACKAGE}.cmake")
    install(FILES "${TIMTOW_CMAKE_DIR}/Find${arg_PACKAGE}.cmake"
      DESTINATION "${TIMTOW_INSTALL_CMAKEDIR}")
  endif()

  list(TRANSFORM arg_REQUIRES PREPEND timtow- OUTPUT_VARIABLE requires)
  list(APPEND requires ${arg_PKG_CONFIG})
  list(JOIN requires ", " requires)
  set(libs -ltimtow-${name} ${arg_PKG_CONFIG_LIBS} -pthread)
  list(JOIN libs " " libs)
  # Relative to the .pc file, so that an installed tree can be moved.
  file(RELATIVE_PATH prefix "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
  file(RELATIVE_PATH includedir "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
  file(RELATIVE_PATH libdir "${CMAKE_INSTALL_PREFIX}" "${CMAKE_INSTALL_FULL_LIBDIR}")
  configure_file("${TIMTOW_CMAKE_DIR}/timtow-component.pc.in" timtow-${name}.pc @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/timtow-${name}.pc"
    DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()

# timtow_install_package(): what find_package(timtow) reads first. Called once, after all components.
function(timtow_install_package)
  get_property(components GLOBAL PROPERTY TIMTOW_COMPONENTS)
  configure_package_config_file("${TIMTOW_CMAKE_DIR}/timtow-config.cmake.in"
    "${PROJECT_BINARY_DIR}/timtow-config.cmake"
    INSTALL_DESTINATION "${TIMTOW_INSTALL_CMAKEDIR}"
    NO_SET_AND_CHECK_MACRO)
  # Until 1.0 a new minor version may change the interface.
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/timtow-config-version.cmake"
    COMPATIBILITY SameMinorVersion)
  install(FILES
    "${PROJECT_BINARY_DIR}/timtow-config.cmake"
    "${PROJECT_BINARY_DIR}/timtow-config-version.cmake"
    DESTINATION "${TIMTOW_INSTALL_CMAKEDIR}")

  # The conformance suite comes with it, as sources: for adapters that are not ours.
  install(FILES "${TIMTOW_CMAKE_DIR}/timtow_conformance.cmake"
    DESTINATION "${TIMTOW_INSTALL_CMAKEDIR}")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/tests/conformance"
    DESTINATION "${TIMTOW_INSTALL_CMAKEDIR}/tests"
    PATTERN CMakeLists.txt EXCLUDE PATTERN lent EXCLUDE PATTERN "tls.*" EXCLUDE)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/tests/core/support"
    DESTINATION "${TIMTOW_INSTALL_CMAKEDIR}/tests/core")
endfunction()
