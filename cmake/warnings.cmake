# Every target of ours links `holdfast_options`: language, warnings and sanitizers in one place.
add_library(holdfast_options INTERFACE)
target_include_directories(holdfast_options INTERFACE ${PROJECT_SOURCE_DIR}/include
                                                      ${PROJECT_SOURCE_DIR}/src)
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
  target_link_options(holdfast_options INTERFACE -fsanitize=${HOLDFAST_SANITIZE})
  if(HOLDFAST_SANITIZE MATCHES "undefined")
    target_compile_options(holdfast_options INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()
