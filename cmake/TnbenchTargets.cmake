# tnb_library(NAME [LIGHT] SOURCES ... [PLAIN ...] LINKS ...): one static library a folder, tnb_NAME. LIGHT is for what
#   takes no part in measured work: it is compiled with -O1.
# tnb_test(NAME SOURCES ... [PLAIN ...] LINKS ... [LABELS label]): one Catch2 program, test_NAME; every case is a test of
#   ctest, named "NAME: case". The label `long` keeps a program out of the default suite. A program that links LibTorch
#   and has no label gets the label `torch`; the target tests_without_torch builds all others.
# tnb_program(NAME OUTPUT name SOURCES ... LINKS ...): the executable tnbench_NAME, named `name` on disk.
#
# All compile our own code with strict warnings, and read the headers that most files include precompiled: without, they
# are half of the time of a whole build. cmake/pch holds what is precompiled, once for each kind of file. That of LibTorch
# costs 2 s in every file that reads it (and 9 s in one that includes <ATen/ATen.h> without it): sources of a target with
# LibTorch that include nothing of it, also not through our own headers, are listed as PLAIN and spared that. Files
# include what they use all the same; -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON builds without.

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

# tnb_pch(NAME LINKS ...): the header cmake/pch/NAME.h, precompiled.
function(tnb_pch name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "LINKS")
  add_library(tnb_pch_${name} OBJECT ${PROJECT_SOURCE_DIR}/cmake/pch/empty.cc)
  target_link_libraries(tnb_pch_${name} PRIVATE tnb_options nlohmann_json::nlohmann_json ${ARG_LINKS})
  target_precompile_headers(tnb_pch_${name} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pch/${name}.h)
endfunction()
tnb_pch(plain)
tnb_pch(torch LINKS tnb_torch)
if(TNBENCH_TESTS)
  tnb_pch(test LINKS Catch2::Catch2)
endif()

# Where a file's own flags do not fit the precompiled header, the compiler reads the plain one instead.
set(CMAKE_PCH_WARN_INVALID OFF)

function(tnb_use_pch target name)
  # Position-independent code is -fPIC in a library and -fPIE in a program; a header precompiled with the one is
  # silently left out with the other, so all take -fPIC (the last one counts).
  target_compile_options(${target} PRIVATE -fPIC)
  target_precompile_headers(${target} REUSE_FROM tnb_pch_${name})
endfunction()

# tnb_set_up(TARGET [PCH name] [PLAIN sources...] PUBLIC|PRIVATE link...): PCH is what targets and sources without
# LibTorch read, `plain` by default.
function(tnb_set_up target)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "PCH" "PLAIN;PUBLIC;PRIVATE")
  if(NOT ARG_PCH)
    set(ARG_PCH plain)
  endif()
  target_link_libraries(${target} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  if(ARG_PLAIN)
    add_library(${target}_plain OBJECT ${ARG_PLAIN})
    target_link_libraries(${target}_plain PRIVATE ${ARG_PUBLIC} ${ARG_PRIVATE})
    tnb_use_pch(${target}_plain ${ARG_PCH})
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_plain>)
  endif()
  foreach(link ${ARG_PUBLIC} ${ARG_PRIVATE})
    if(TARGET ${link})
      get_target_property(uses_torch ${link} TNB_USES_TORCH)
      if(link STREQUAL "tnb_torch" OR uses_torch)
        set_target_properties(${target} PROPERTIES TNB_USES_TORCH TRUE)
        set(ARG_PCH torch)
      endif()
    endif()
  endforeach()
  tnb_use_pch(${target} ${ARG_PCH})
  # LibTorch's header, precompiled or not, leaves two seconds of templates to every file that reads it: sources of a
  # target share that, eight at a time.
  if(TNBENCH_UNITY AND ARG_PCH STREQUAL "torch")
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endfunction()

# tnb_light(TARGET): -O1 takes 60 to 80 % of the time of -O3.
function(tnb_light name)
  foreach(target ${name} ${name}_plain)
    if(TARGET ${target})
      target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
    endif()
  endforeach()
endfunction()

function(tnb_library name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "LIGHT" "" "SOURCES;PLAIN;LINKS")
  add_library(tnb_${name} STATIC ${ARG_SOURCES})
  tnb_set_up(tnb_${name} PLAIN ${ARG_PLAIN} PUBLIC tnb_options ${ARG_LINKS})
  if(ARG_LIGHT)
    tnb_light(tnb_${name})
  endif()
endfunction()

function(tnb_program name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "OUTPUT" "SOURCES;LINKS")
  add_executable(tnbench_${name} ${ARG_SOURCES})
  tnb_set_up(tnbench_${name} PRIVATE tnb_options ${ARG_LINKS})
  set_target_properties(tnbench_${name} PROPERTIES OUTPUT_NAME ${ARG_OUTPUT})
endfunction()

add_custom_target(tests_without_torch)

function(tnb_test name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;PLAIN;LINKS;LABELS")
  list(LENGTH ARG_LABELS labels)
  if(labels GREATER 1)
    message(FATAL_ERROR "tnb_test(${name}): expected one label, found ${ARG_LABELS}; Catch2 v2 cannot pass on more")
  endif()
  add_executable(test_${name} ${ARG_SOURCES})
  tnb_set_up(test_${name} PCH test PLAIN ${ARG_PLAIN} PRIVATE tnb_test_main ${ARG_LINKS})
  # Tests are compiled more often than run. What they test keeps its own flags.
  tnb_light(test_${name})
  get_target_property(uses_torch test_${name} TNB_USES_TORCH)
  if(NOT uses_torch)
    add_dependencies(tests_without_torch test_${name})
  elseif(NOT ARG_LABELS)
    set(ARG_LABELS torch)
  endif()
  set(properties SKIP_REGULAR_EXPRESSION "SKIPPED: ")  # what tests/support prints when data is absent
  # Threads of OpenMP spin while they wait. With as many tests at a time as cores they take the other tests' time:
  # a test of 0.6 s took 27 s.
  list(APPEND properties ENVIRONMENT OMP_WAIT_POLICY=passive)
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
