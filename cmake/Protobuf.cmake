# The .proto files as a library: penstock_protos. Generated code is nobody's style, so it is compiled without our
# warnings; only grpc includes it (DESIGN: walls).
find_package(Protobuf REQUIRED)
find_package(ZLIB REQUIRED)

file(GLOB_RECURSE protos CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/proto ${CMAKE_SOURCE_DIR}/proto/*.proto)
set(proto_out ${CMAKE_BINARY_DIR}/proto)
file(MAKE_DIRECTORY ${proto_out})
set(proto_sources)
foreach(proto ${protos})
  string(REGEX REPLACE "\\.proto$" "" stem ${proto})
  add_custom_command(
    OUTPUT ${proto_out}/${stem}.pb.cc ${proto_out}/${stem}.pb.h
    COMMAND protobuf::protoc --fatal_warnings --proto_path=${CMAKE_SOURCE_DIR}/proto --cpp_out=${proto_out} ${proto}
    DEPENDS ${CMAKE_SOURCE_DIR}/proto/${proto}
    COMMENT "protoc ${proto}" VERBATIM)
  list(APPEND proto_sources ${proto_out}/${stem}.pb.cc)
endforeach()
add_library(penstock_protos STATIC ${proto_sources})
target_include_directories(penstock_protos SYSTEM PUBLIC ${proto_out})
target_link_libraries(penstock_protos PUBLIC protobuf::libprotobuf)
target_compile_options(penstock_protos PRIVATE -w)
if(PENSTOCK_SANITIZE STREQUAL "thread")
  # libprotobuf's headers lay maps out in another way under TSan, and the library that they meet was built without.
  target_compile_options(penstock_protos PUBLIC -U__SANITIZE_THREAD__)
endif()
