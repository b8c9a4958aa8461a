# Configures SOURCE afresh below WORK with OPTIONS, and looks at the RESULT (ok or error) and at
# what it SAYS (regular expressions, separated by |, all of which have to match). With STRAY, in a
# copy of the sources to which that file was added.

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
if(STRAY)
  foreach(part IN ITEMS CMakeLists.txt cmake core adapters)
    file(COPY "${SOURCE}/${part}" DESTINATION "${WORK}/source")
  endforeach()
  file(WRITE "${WORK}/source/${STRAY}" "")
  set(SOURCE "${WORK}/source")
endif()

separate_arguments(OPTIONS UNIX_COMMAND "${OPTIONS}")
set(command "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${WORK}/build" -G "${GENERATOR}"
  "-DCMAKE_CXX_COMPILER=${COMPILER}" -DTIMTOW_BUILD_TESTS=OFF ${OPTIONS})
if(STRAY)
  list(APPEND command -DTIMTOW_BUILD_EXAMPLES=OFF -DTIMTOW_BUILD_BENCH=OFF)
endif()
execute_process(COMMAND ${command}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)

if(RESULT STREQUAL "ok" AND NOT status EQUAL 0)
  message(FATAL_ERROR "configuring failed:\n${output}")
elseif(RESULT STREQUAL "error" AND status EQUAL 0)
  message(FATAL_ERROR "configuring succeeded:\n${output}")
endif()

# cmake breaks long sentences into lines.
string(REGEX REPLACE "[ \n]+" " " sentence "${output}")
string(REPLACE "|" ";" SAYS "${SAYS}")
foreach(each IN LISTS SAYS)
  if(NOT sentence MATCHES "${each}")
    message(FATAL_ERROR "configuring does not say \"${each}\":\n${output}")
  endif()
endforeach()
