# tnb_library(NAME SOURCES ... LINKS ...): one static library a folder, strict warnings for our own code.
# tnb_test(NAME SOURCES ... LINKS ... [LABELS ...]): one Catch2 program a tested folder.

add_library(tnb_options INTERFACE)
target_compile_options(tnb_options INTERFACE -Wall -Wextra -Wpedantic -Werror)
target_include_directories(tnb_options INTERFACE ${PROJECT_SOURCE_DIR})
if(TNBENCH_SANITIZE)
  target_compile_options(tnb_options INTERFACE -fsanitize=${TNBENCH_SANITIZE} -fno-omit-frame-pointer -g)
  target_link_options(tnb_options INTERFACE -fsanitize=${TNBENCH_SANITIZE})
endif()

function(tnb_library name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;LINKS")
  add_library(tnb_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(tnb_${name} PUBLIC tnb_options ${ARG_LINKS})
endfunction()

function(tnb_test name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;LINKS;LABELS")
  add_executable(test_${name} ${ARG_SOURCES})
  target_link_libraries(test_${name} PRIVATE tnb_test_main ${ARG_LINKS})
  catch_discover_tests(test_${name} TEST_PREFIX "${name}: " DISCOVERY_MODE PRE_TEST
    PROPERTIES LABELS "${ARG_LABELS}")
endfunction()
