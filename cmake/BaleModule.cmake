# bale_module(NAME [USES lib...] [EXTERNAL lib...])
#
# One static library per folder of src/. USES names the modules above it that it may include (the arrows of
# ARCHITECTURE.md; tools/check_arrows.py holds the includes against them). EXTERNAL libraries are linked
# privately: their headers are seen by this module alone.
function(bale_module name)
  cmake_parse_arguments(ARG "" "" "USES;EXTERNAL" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  string(REPLACE "/" "_" target "bale_${name}")
  if(NOT sources)  # headers only
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    return()
  endif()
  add_library(${target} STATIC ${sources})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ARG_USES REPLACE "/" "_")
  list(TRANSFORM ARG_USES PREPEND bale_)
  target_link_libraries(${target} PUBLIC ${ARG_USES} fmt::fmt nlohmann_json::nlohmann_json Threads::Threads
                                  PRIVATE ${ARG_EXTERNAL})
  if(NOT BALE_NO_PCH)
    if(name STREQUAL "base")
      target_precompile_headers(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src/pch.hpp)
    else()
      target_precompile_headers(${target} REUSE_FROM bale_base)  # compiled once for all modules
    endif()
  endif()
endfunction()
