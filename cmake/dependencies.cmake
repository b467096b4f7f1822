# What Holdfast needs from the system. Debian's package names are in tools/packages.txt.
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(Boost 1.74 REQUIRED) # headers: Asio
find_package(nlohmann_json 3.11 REQUIRED)
find_package(tomlplusplus 3.3 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(MOSQUITTO REQUIRED IMPORTED_TARGET libmosquitto)

# The engine aws_crt is built when the AWS IoT Device SDK for C++ v2 (or aws-c-mqtt alone) is there: as
# a package, or as targets of the project that we are a part of.
if(NOT DEFINED S2N_USE_CRYPTO_SHARED_LIBS)
  set(S2N_USE_CRYPTO_SHARED_LIBS ON) # else all of libcrypto.a is linked in, without its updates
endif()
if(NOT TARGET AWS::aws-c-mqtt AND NOT TARGET aws-c-mqtt)
  find_package(aws-c-mqtt QUIET)
endif()
foreach(target AWS::aws-c-mqtt aws-c-mqtt)
  if(TARGET ${target} AND NOT TARGET holdfast_aws_crt)
    add_library(holdfast_aws_crt INTERFACE)
    target_link_libraries(holdfast_aws_crt INTERFACE ${target})
  endif()
endforeach()
if(TARGET holdfast_aws_crt)
  message(STATUS "Engine aws_crt: built (aws-c-mqtt found)")
else()
  message(STATUS "Engine aws_crt: NOT built, aws-c-mqtt was not found (part of the AWS IoT Device SDK "
                 "for C++ v2; give its prefix in CMAKE_PREFIX_PATH)")
endif()

# The page of metrics is served where prometheus-cpp is.
pkg_check_modules(PROMETHEUS IMPORTED_TARGET prometheus-cpp-core)
if(PROMETHEUS_FOUND)
  message(STATUS "Page of metrics: built (prometheus-cpp found)")
else()
  message(STATUS "Page of metrics: NOT built, prometheus-cpp was not found (package prometheus-cpp-dev)")
endif()

pkg_check_modules(CURL IMPORTED_TARGET libcurl)
pkg_check_modules(ARCHIVE IMPORTED_TARGET libarchive)
if(CURL_FOUND AND ARCHIVE_FOUND)
  message(STATUS "Updater: built (libcurl and libarchive found)")
else()
  message(STATUS "Updater: NOT built, libcurl or libarchive was not found (packages libcurl4-openssl-dev "
                 "and libarchive-dev)")
endif()

# NetworkManager and ModemManager are asked where sd-bus's header is; its library is loaded at run time.
pkg_check_modules(SYSTEMD libsystemd)
if(SYSTEMD_FOUND)
  message(STATUS "Network managers over D-Bus: built (libsystemd found)")
else()
  message(STATUS "Network managers over D-Bus: NOT built, libsystemd was not found (package libsystemd-dev)")
endif()

if(HOLDFAST_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

# Fit for a shared library (src/capi): position-independent, and none of its names is exported, so that
# calls stay direct and a program pays nothing for it.
function(holdfast_shareable target)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                                             VISIBILITY_INLINES_HIDDEN ON)
endfunction()

# What most files include, read once. With clang 14 it saves a third of the time, with g++ 12 none. Not
# in other builds: a file that lacks an include must not build there.
option(HOLDFAST_PRECOMPILE "Precompile the headers that most files include" OFF)
function(holdfast_precompiled name)
  cmake_parse_arguments(PCH "" "" "HEADERS;DEPENDS" ${ARGN})
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp "")
  add_library(${name} OBJECT ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE holdfast_options nlohmann_json::nlohmann_json ${PCH_DEPENDS})
  target_precompile_headers(${name} PRIVATE <algorithm> <array> <chrono> <deque> <filesystem> <fstream>
    <functional> <map> <memory> <optional> <set> <span> <sstream> <string> <variant> <vector>
    <nlohmann/json.hpp> ${PCH_HEADERS})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang") # else a copy from ccache is refused
    target_compile_options(${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()
if(HOLDFAST_PRECOMPILE)
  holdfast_precompiled(holdfast_headers)
  holdfast_shareable(holdfast_headers) # as who uses them
  holdfast_precompiled(holdfast_test_headers HEADERS <gmock/gmock.h> <gtest/gtest.h>
                       DEPENDS GTest::gmock GTest::gtest)
endif()
# holdfast_precompile(TARGET HEADERS): it uses the ones of that name, if any are precompiled.
function(holdfast_precompile target headers)
  if(TARGET ${headers})
    target_precompile_headers(${target} REUSE_FROM ${headers})
  endif()
endfunction()

# One library of a room: holdfast_room(NAME SOURCES… [DEPENDS libs…] [TESTS files…]).
# A room's tests become one program NAME_test, run by CTest case by case. CORE: sans-I/O, no thread.
function(holdfast_room name)
  cmake_parse_arguments(ROOM "CORE" "" "SOURCES;DEPENDS;TESTS;TEST_DEPENDS" ${ARGN})
  add_library(hf_${name} STATIC ${ROOM_SOURCES})
  set_property(GLOBAL APPEND PROPERTY HOLDFAST_ROOMS hf_${name})
  set(library ${PROJECT_SOURCE_DIR}/src)
  cmake_path(IS_PREFIX library ${CMAKE_CURRENT_SOURCE_DIR} of_library)
  if(of_library OR HOLDFAST_PRECOMPILE) # all who share precompiled headers must be alike
    holdfast_shareable(hf_${name})
  endif()
  target_include_directories(hf_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include
                                               ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(hf_${name} PUBLIC holdfast_options ${ROOM_DEPENDS})
  holdfast_precompile(hf_${name} holdfast_headers)
  if(ROOM_CORE)
    holdfast_simulated(hf_${name})
  endif()
  if(ROOM_CORE AND HOLDFAST_SANITIZE MATCHES "thread")
    return() # a core room starts no thread and shares nothing: its tests would find nothing
  endif()
  if(HOLDFAST_TESTS AND ROOM_TESTS)
    add_executable(${name}_test ${ROOM_TESTS})
    target_link_libraries(${name}_test PRIVATE hf_${name} ${ROOM_TEST_DEPENDS} GTest::gtest_main
                                               GTest::gmock)
    holdfast_precompile(${name}_test holdfast_test_headers)
    if(ROOM_CORE)
      holdfast_simulated(${name}_test)
    endif()
    gtest_discover_tests(${name}_test DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120 LABELS unit)
  endif()
endfunction()
