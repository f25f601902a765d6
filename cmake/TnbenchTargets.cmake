# tnb_library(NAME SOURCES ... LINKS ...): one static library a folder, tnb_NAME.
# tnb_test(NAME SOURCES ... LINKS ... [LABELS label]): one Catch2 program, test_NAME; every case is a test of ctest,
#   named "NAME: case". The label `long` keeps a program out of the default suite. A program that links LibTorch
#   and has no label gets the label `torch`; the target tests_without_torch builds all others.
# tnb_program(NAME OUTPUT name SOURCES ... LINKS ...): the executable tnbench_NAME, named `name` on disk.
#
# All compile our own code with strict warnings. A target that links LibTorch, itself or through another one, gets
# the shared precompiled <ATen/ATen.h>: that header costs 9 s in every file without and 2 s with it.

add_library(tnb_options INTERFACE)
# A designated initializer that leaves out members which have defaults is meant so.
target_compile_options(tnb_options INTERFACE -Wall -Wextra -Wpedantic -Werror -Wno-missing-field-initializers)
target_include_directories(tnb_options INTERFACE ${PROJECT_SOURCE_DIR})
if(TNBENCH_SANITIZE)
  # GCC's -Wmaybe-uninitialized has false positives under sanitizers (its manual says so of -fsanitize), also in the
  # standard library's <regex>.
  target_compile_options(tnb_options INTERFACE
    -fsanitize=${TNBENCH_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g -Wno-maybe-uninitialized)
  target_link_options(tnb_options INTERFACE -fsanitize=${TNBENCH_SANITIZE})
endif()

# The fastest linker there is: the test programs are many.
find_program(TNBENCH_LINKER NAMES mold ld.mold ld.lld ld.gold)
mark_as_advanced(TNBENCH_LINKER)
if(TNBENCH_LINKER AND CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  string(REGEX REPLACE "^.*/(ld\\.)?" "" _linker_name ${TNBENCH_LINKER})
  target_link_options(tnb_options INTERFACE -fuse-ld=${_linker_name})
endif()

add_library(tnb_torch_pch OBJECT ${PROJECT_SOURCE_DIR}/cmake/torch_pch.cc)
target_link_libraries(tnb_torch_pch PRIVATE tnb_options tnb_torch)
target_precompile_headers(tnb_torch_pch PRIVATE <ATen/ATen.h>)

# Where a file's own flags do not fit the precompiled header, the compiler reads the plain one instead.
set(CMAKE_PCH_WARN_INVALID OFF)

function(tnb_set_up name)
  target_link_libraries(${name} ${ARGN})
  foreach(link ${ARGN})
    if(TARGET ${link})
      get_target_property(uses_torch ${link} TNB_USES_TORCH)
      if(link STREQUAL "tnb_torch" OR uses_torch)
        set_target_properties(${name} PROPERTIES TNB_USES_TORCH TRUE)
        # LibTorch asks for position-independent code, which is -fPIC in a library and -fPIE in a program; a header
        # precompiled with the one is silently left out with the other, so all take -fPIC (the last one counts).
        target_compile_options(${name} PRIVATE -fPIC)
        target_precompile_headers(${name} REUSE_FROM tnb_torch_pch)
        break()
      endif()
    endif()
  endforeach()
endfunction()

function(tnb_library name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;LINKS")
  add_library(tnb_${name} STATIC ${ARG_SOURCES})
  tnb_set_up(tnb_${name} PUBLIC tnb_options ${ARG_LINKS})
endfunction()

function(tnb_program name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "OUTPUT" "SOURCES;LINKS")
  add_executable(tnbench_${name} ${ARG_SOURCES})
  tnb_set_up(tnbench_${name} PRIVATE tnb_options ${ARG_LINKS})
  set_target_properties(tnbench_${name} PROPERTIES OUTPUT_NAME ${ARG_OUTPUT})
endfunction()

add_custom_target(tests_without_torch)

function(tnb_test name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;LINKS;LABELS")
  list(LENGTH ARG_LABELS labels)
  if(labels GREATER 1)
    message(FATAL_ERROR "tnb_test(${name}): expected one label, found ${ARG_LABELS}; Catch2 v2 cannot pass on more")
  endif()
  add_executable(test_${name} ${ARG_SOURCES})
  tnb_set_up(test_${name} PRIVATE tnb_test_main ${ARG_LINKS})
  # Tests are compiled more often than run: -O1 takes 40 % of the time of -O3. What they test keeps its own flags.
  target_compile_options(test_${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  get_target_property(uses_torch test_${name} TNB_USES_TORCH)
  if(NOT uses_torch)
    add_dependencies(tests_without_torch test_${name})
  elseif(NOT ARG_LABELS)
    set(ARG_LABELS torch)
  endif()
  set(properties SKIP_REGULAR_EXPRESSION "SKIPPED: ")  # what tests/support prints when data is absent
  if(ARG_LABELS)
    list(APPEND properties LABELS ${ARG_LABELS})
  endif()
  if("long" IN_LIST ARG_LABELS)
    list(APPEND properties TIMEOUT 7200)
  else()
    list(APPEND properties TIMEOUT 600)
  endif()
  if(Catch2_VERSION VERSION_GREATER_EQUAL 3)
    set(discovery DISCOVERY_MODE PRE_TEST)
  endif()
  catch_discover_tests(test_${name} TEST_PREFIX "${name}: " ${discovery} PROPERTIES ${properties})
endfunction()
