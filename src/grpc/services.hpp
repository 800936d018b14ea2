#pragma once

#include <google/protobuf/descriptor.h>

#include <span>
#include <string_view>

namespace penstock::grpc {

/// The services that are served, as health and reflection know them. Naming each one's file here is also what links it:
/// a file whose classes nobody uses would not be among the generated ones.
std::span<const google::protobuf::ServiceDescriptor* const> Services();
/// By full name.
bool IsService(std::string_view name);

}  // namespace penstock::grpc
