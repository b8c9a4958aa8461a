# Writes a file's text as a C++ header: cmake -D INPUT=… -D OUTPUT=… -D VARIABLE=… -P embed.cmake
# A raw string keeps it readable; that has no length limit worth naming in g++ and clang++.

file(READ "${INPUT}" text)
string(FIND "${text}" ")embedded\"" clash)
if(NOT clash EQUAL -1)
  message(FATAL_ERROR "${INPUT} contains the sequence that ends a raw string here: )embedded\"")
endif()

cmake_path(GET INPUT FILENAME name)
file(WRITE "${OUTPUT}"
"// The text of ${name}, written by the build.
#pragma once

#include <string_view>

inline constexpr std::string_view ${VARIABLE} = R\"embedded(${text})embedded\";
")
