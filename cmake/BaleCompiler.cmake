# Warnings, the linker and the compiler cache: the same for every target.
add_compile_options(-Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # -Wreserved-identifier: clang-tidy has this check too, at many times the price.
  add_compile_options(-Wthread-safety -Wreserved-identifier)
endif()

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

find_program(BALE_CCACHE ccache)
if(BALE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # pch_defines: a precompiled header changes what __TIME__ and friends mean; Bale uses neither.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${BALE_CCACHE})
endif()
find_program(BALE_MOLD mold)
if(BALE_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()

set(BALE_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them")
if(BALE_SANITIZE)
  add_compile_options(-fsanitize=${BALE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BALE_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's manual: sanitizers make this warning see what is not there (std::regex, for one). The release build keeps it.
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()

if(BALE_FUZZ)
  # The code under test is instrumented, not only the targets: without it a fuzzer is blind.
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
