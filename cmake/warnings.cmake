# Every target of ours links `holdfast_options`: warnings and sanitizers in one place. A program that
# links `holdfast` inherits none of it.
add_library(holdfast_options INTERFACE)
target_compile_options(
  holdfast_options
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wshadow
            -Wconversion
            -Wsign-conversion
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            -Wold-style-cast
            -Wcast-align
            -Wnull-dereference
            -Wdouble-promotion
            -Wformat=2
            -Wimplicit-fallthrough
            -fstack-protector-strong)
if(HOLDFAST_WERROR)
  target_compile_options(holdfast_options INTERFACE -Werror)
endif()
# What ships is small: optimized for size by the preset, and the linker drops what no path reaches.
target_compile_options(holdfast_options INTERFACE
                       $<$<CONFIG:Release>:-ffunction-sections;-fdata-sections>)
target_link_options(holdfast_options INTERFACE $<$<CONFIG:Release>:-Wl,--gc-sections>)
# An installed archive is for every compiler, not only for the one that understands its intermediate code.
if(HOLDFAST_INSTALL AND CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(holdfast_options INTERFACE -ffat-lto-objects)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees ghosts inside libstdc++ once it inlines (GCC bugs 105329 and 105651); clang keeps
  # these checks on. -Wtsan is about Asio's fences, which are not ours.
  target_compile_options(
    holdfast_options INTERFACE -Wlogical-op -Wduplicated-cond -Wno-null-dereference
                               -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-tsan)
endif()
if(HOLDFAST_SANITIZE)
  target_compile_options(holdfast_options INTERFACE -fsanitize=${HOLDFAST_SANITIZE}
                                                    -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU") # sees ghosts in what the sanitizers add
    target_compile_options(holdfast_options INTERFACE -Wno-maybe-uninitialized)
  endif()
  target_link_options(holdfast_options INTERFACE -fsanitize=${HOLDFAST_SANITIZE})
  if(HOLDFAST_SANITIZE MATCHES "undefined")
    target_compile_options(holdfast_options INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()

# What simulations run through, whole lives long: optimized a little in debug builds, too, which makes
# them five times as fast.
function(holdfast_simulated)
  foreach(target ${ARGN})
    target_compile_options(${target} PRIVATE $<$<CONFIG:Debug>:-Og>)
  endforeach()
endfunction()
